// Owns: limits, the making of values and Python's protocols of attributes, items, iteration and calls.
#include "text/jinja/machine.h"

#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/strings.h"

namespace strata::text::jinja {

namespace {

/// As Jinja names the object in the error of using a missing attribute.
std::string object_name(const Value& value) {
  if (value.is_none()) return "None";
  return str(value.type_name(), " object");
}

Value missing(Machine& machine, const Value& object, std::string_view name) {
  // The name may be a whole text; its begin is enough to know it by.
  constexpr std::size_t longest = 80;
  std::size_t end = 0;
  while (end < name.size() && end < longest) end += character_bytes(name[end]);
  return machine.undefined(
      str("'", object_name(object), "' has no attribute '", name.substr(0, end), end < name.size() ? "..." : "", "'"));
}

std::optional<std::int64_t> position(std::int64_t index, std::size_t size) {
  const auto count = static_cast<std::int64_t>(size);
  if (index < 0) index += count;
  if (index < 0 || index >= count) return std::nullopt;
  return index;
}

/// The code points of a string as strings, or the elements it stands for.
Value character(Machine& machine, const String& text, std::int64_t index) {
  machine.spend_bytes(text.ascii() ? 0 : text.bytes.size());
  const std::size_t begin = byte_offset(text, static_cast<std::size_t>(index));
  const std::size_t end = text.ascii() ? begin + 1 : byte_offset(text, static_cast<std::size_t>(index) + 1);
  return substring(machine, text, begin, end);
}

}  // namespace

Value Machine::stop(ErrorCode code, std::string message) {
  if (!error_) {
    for (char& c : message)
      if (c == '\n' || c == '\r') c = ' ';
    error_ = Error{code, line > 0 ? str("chat template, line ", line, ": ", message) : str("chat template: ", message)};
  }
  return {};
}

bool Machine::spend(std::uint64_t steps) {
  if (failed()) return false;
  if (budget_.take_steps(steps)) return true;
  fail("the rendering takes more than ", limits_.steps, " steps");
  return false;
}

bool Machine::reserve(std::uint64_t bytes) {
  if (failed()) return false;
  if (budget_.take_memory(bytes)) return true;
  fail("the values of the rendering take more than ", limits_.memory, " bytes");
  return false;
}

bool Machine::enter() {
  if (failed()) return false;
  if (nesting_ >= limits_.nesting) {
    fail("calls, loops and expressions nest deeper than ", limits_.nesting);
    return false;
  }
  ++nesting_;
  return true;
}

Value Machine::undefined(std::string hint) {
  const std::uint64_t bytes = sizeof(Value::Hint) + 32 + hint.size();
  if (!reserve(bytes)) return {};
  return Value::undefined(std::move(hint), charge(bytes));
}

Value Machine::text(std::string_view bytes) {
  TextBuilder out(*this);
  out.append(bytes, false);
  return out.finish();
}

Value Machine::list(std::vector<Value> items, SequenceType type) {
  const std::uint64_t bytes = sizeof(Sequence) + items.size() * sizeof(Value);
  if (!spend(items.size() / 4 + 1) || !reserve(bytes)) return {};
  auto out = std::make_shared<Sequence>();
  out->charge = charge(bytes);
  out->type = type;
  for (const Value& item : items) out->depth = std::max(out->depth, item.depth() + 1);
  if (out->depth > max_container_depth) return fail("lists and dicts nest deeper than ", max_container_depth);
  out->items = std::move(items);
  return Value::of(std::move(out));
}

Value Machine::dict(Dict entries) {
  if (failed()) return {};
  if (entries.depth > max_container_depth) return fail("lists and dicts nest deeper than ", max_container_depth);
  return Value::of(std::shared_ptr<const Dict>(std::make_shared<Dict>(std::move(entries))));
}

bool Machine::set(Dict& dict, Value key, Value value) {
  // An entry, its key's text in the index and the index's own cost.
  const std::uint64_t bytes = 2 * sizeof(Value) + 96 + (key.is_string() ? key.string().bytes.size() : 0);
  if (!spend(1) || !reserve(bytes)) return false;
  dict.charge.join(charge(bytes));
  const std::string_view type = key.type_name();
  if (dict.set(std::move(key), std::move(value))) return true;
  fail("unhashable type: '", type, "' cannot be a key");
  return false;
}

Value Machine::range(std::int64_t start, std::int64_t stop, std::int64_t step) {
  if (step == 0) return fail("range() arg 3 must not be zero");
  // In unsigned arithmetic, which cannot overflow.
  const bool up = step > 0;
  const auto distance = static_cast<std::uint64_t>(up ? stop : start) - static_cast<std::uint64_t>(up ? start : stop);
  const std::uint64_t stride = up ? static_cast<std::uint64_t>(step) : 0 - static_cast<std::uint64_t>(step);
  const std::uint64_t count = (up ? start >= stop : start <= stop) ? 0 : (distance - 1) / stride + 1;
  if (count > static_cast<std::uint64_t>(max_range))
    return fail("range of ", count, " numbers; at most ", max_range, " are allowed");
  std::vector<Value> items;
  items.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i)
    items.push_back(
        Value::of(static_cast<std::int64_t>(static_cast<std::uint64_t>(start) + i * static_cast<std::uint64_t>(step))));
  Value out = list(std::move(items), SequenceType::range);
  if (failed()) return {};
  Sequence& sequence = out.sequence();
  sequence.start = start, sequence.stop = stop, sequence.step = step;
  return out;
}

std::optional<Value> Machine::own_attribute(const Value& object, std::string_view name) {
  if (object.is_object()) return object.object().attribute(*this, name);
  return find_method(*this, object, name);
}

Value Machine::attribute(const Value& object, std::string_view name) {
  if (failed()) return {};
  if (object.is_undefined()) return fail(object.hint());
  if (auto own = own_attribute(object, name)) return *own;
  if (object.is_dict())
    if (const Value* value = object.dict().find(name)) return *value;
  return missing(*this, object, name);
}

Value Machine::item(const Value& object, const Value& key) {
  if (failed()) return {};
  if (object.is_undefined()) return fail(object.hint());
  if (object.is_dict()) {
    if (const Value* value = object.dict().find(key)) return *value;
  } else if (auto index = key.as_integer()) {
    if (object.is_string()) {
      if (auto at = position(*index, object.string().length)) return character(*this, object.string(), *at);
    } else if (object.is_sequence() && object.sequence().subscriptable()) {
      const auto& items = object.sequence().items;
      if (auto at = position(*index, items.size())) return items[static_cast<std::size_t>(*at)];
    }
    return undefined(str("'", object_name(object), "' has no element ", *index));
  }
  if (!key.is_string()) return undefined(str("'", object_name(object), "' has no such element"));
  if (auto own = own_attribute(object, key.string().bytes)) return *own;
  return missing(*this, object, key.string().bytes);
}

bool Machine::iterable(const Value& value) const {
  return value.is_undefined() || value.is_string() || value.is_sequence() || value.is_dict();
}

std::optional<std::int64_t> Machine::length(const Value& value) const {
  if (value.is_undefined()) return 0;
  if (value.is_string()) return static_cast<std::int64_t>(value.string().length);
  if (value.is_dict()) return static_cast<std::int64_t>(value.dict().entries.size());
  if (value.is_sequence() && value.sequence().has_length())
    return static_cast<std::int64_t>(value.sequence().items.size());
  return std::nullopt;
}

std::vector<Value> Machine::elements(const Value& value) {
  std::vector<Value> out;
  if (failed() || value.is_undefined()) return out;
  if (value.is_sequence()) {
    Sequence& sequence = value.sequence();
    if (!spend(sequence.items.size() / 2 + 1)) return out;
    if (sequence.type != SequenceType::iterator) return sequence.items;
    out.assign(sequence.items.begin() + static_cast<std::ptrdiff_t>(sequence.next), sequence.items.end());
    sequence.next = sequence.items.size();
  } else if (value.is_dict()) {
    if (!spend(value.dict().entries.size() / 4 + 1)) return out;
    for (const auto& [key, item] : value.dict().entries) out.push_back(key);
  } else if (value.is_string()) {
    const String& text = value.string();
    for (std::size_t at = 0; at < text.bytes.size() && !failed();) {
      const std::size_t end = at + character_bytes(text.bytes[at]);
      out.push_back(substring(*this, text, at, end));
      at = end;
    }
  } else {
    fail("'", value.type_name(), "' object is not iterable");
  }
  return out;
}

Value Machine::call(const Value& callee, const Arguments& arguments) {
  if (failed()) return {};
  if (callee.is_undefined()) return fail(callee.hint());
  if (!callee.is_object()) return fail("'", callee.type_name(), "' object is not callable");
  if (!enter()) return {};
  Value out = callee.object().call(*this, arguments);
  leave();
  return out;
}

}  // namespace strata::text::jinja
