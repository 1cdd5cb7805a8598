// Owns: what is true, what is the same and what is a key among template values. Knows no operators.
#include "text/jinja/value.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "text/jinja/machine.h"

namespace strata::text::jinja {

namespace {

/// A key of nested tuples that share their parts could otherwise be longer than all memory.
constexpr std::size_t max_tuple_key = std::size_t{1} << 20;
/// Keys of dicts up to this size are compared one by one when they are looked up as text.
constexpr std::size_t small_dict = 8;

bool append_key(const Value& value, std::string& out) {
  if (value.is_string()) {
    const std::string& bytes = value.string().bytes;
    out += str('s', bytes.size(), ':', bytes);
  } else if (auto integer = value.as_integer()) {
    out += str('i', *integer, ';');
  } else if (value.is_float()) {
    const double real = value.real();
    const bool whole = std::floor(real) == real && std::fabs(real) < 9e18;
    out += whole ? str('i', static_cast<std::int64_t>(real), ';') : str('f', real, ';');
  } else if (value.is_none()) {
    out += 'n';
  } else if (value.is_undefined()) {
    out += 'u';
  } else if (value.is_object()) {
    out += str('o', reinterpret_cast<std::uintptr_t>(&value.object()), ';');
  } else if (value.is_sequence() && value.sequence().type == SequenceType::tuple) {
    out += '(';
    for (const Value& item : value.sequence().items)
      if (out.size() > max_tuple_key || !append_key(item, out)) return false;
    out += ')';
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::string Object::representation() const { return str('<', type_name(), " object>"); }
std::optional<Value> Object::attribute(Machine&, std::string_view) { return std::nullopt; }
Value Object::call(Machine& machine, const Arguments&) {
  return machine.fail("'", type_name(), "' object is not callable");
}

std::string_view Value::hint() const {
  const Undefined* undefined = std::get_if<Undefined>(&data_);
  return undefined->hint ? std::string_view(undefined->hint->message) : "a value is undefined";
}

std::optional<std::int64_t> Value::as_integer() const {
  if (is_int()) return integer();
  if (is_bool()) return boolean();
  return std::nullopt;
}

std::optional<double> Value::as_real() const {
  if (is_float()) return real();
  if (auto integer = as_integer()) return static_cast<double>(*integer);
  return std::nullopt;
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (is_bool()) return boolean();
  if (is_int()) return integer() != 0;
  if (is_float()) return real() != 0;
  if (is_string()) return !string().bytes.empty();
  if (is_sequence()) return !sequence().has_length() || !sequence().items.empty();
  if (is_dict()) return !dict().entries.empty();
  return true;
}

bool Value::same(const Value& other) const {
  if (data_.index() != other.data_.index()) return false;
  if (is_undefined()) return std::get_if<Undefined>(&data_)->hint == std::get_if<Undefined>(&other.data_)->hint;
  if (is_none()) return true;
  if (is_bool()) return boolean() == other.boolean();
  if (is_int()) return integer() == other.integer();
  if (is_float()) return real() == other.real();
  if (is_string()) return &string() == &other.string();
  if (is_sequence()) return &sequence() == &other.sequence();
  if (is_dict()) return &dict() == &other.dict();
  return &object() == &other.object();
}

std::string_view Value::type_name() const {
  if (is_undefined()) return "Undefined";
  if (is_none()) return "NoneType";
  if (is_bool()) return "bool";
  if (is_int()) return "int";
  if (is_float()) return "float";
  if (is_string()) return string().markup ? "Markup" : "str";
  if (is_dict()) return "dict";
  if (is_object()) return object().type_name();
  switch (sequence().type) {
    case SequenceType::list: return "list";
    case SequenceType::tuple:
    case SequenceType::group: return "tuple";
    case SequenceType::range: return "range";
    case SequenceType::items: return "dict_items";
    case SequenceType::keys: return "dict_keys";
    case SequenceType::values: return "dict_values";
    case SequenceType::iterator: break;
  }
  return "generator";
}

int Value::depth() const {
  if (is_sequence()) return sequence().depth;
  if (is_dict()) return dict().depth;
  return 0;
}

std::optional<std::string> hash_key(const Value& value) {
  std::string out;
  if (!append_key(value, out)) return std::nullopt;
  return out;
}

const Value* Dict::find(std::string_view key) const {
  if (entries.size() <= small_dict) {
    for (const auto& [name, value] : entries)
      if (name.is_string() && name.string().bytes == key) return &value;
    return nullptr;
  }
  auto at = index_.find(str('s', key.size(), ':', key));
  return at == index_.end() ? nullptr : &entries[at->second].second;
}

const Value* Dict::find(const Value& key) const {
  if (key.is_string()) return find(key.string().bytes);
  auto text = hash_key(key);
  if (!text) return nullptr;
  auto at = index_.find(*text);
  return at == index_.end() ? nullptr : &entries[at->second].second;
}

bool Dict::set(Value key, Value value) {
  auto text = hash_key(key);
  if (!text) return false;
  depth = std::max({depth, key.depth() + 1, value.depth() + 1});
  auto [at, added] = index_.emplace(std::move(*text), entries.size());
  if (added) entries.emplace_back(std::move(key), std::move(value));
  else entries[at->second].second = std::move(value);
  return true;
}

}  // namespace strata::text::jinja
