// Owns: finding filters, tests and methods by name, binding their arguments, and the methods of containers.
#include "text/jinja/builtins.h"

#include <algorithm>

#include "text/jinja/operators.h"
#include "text/jinja/print.h"

namespace strata::text::jinja {

namespace {

const Builtin* find(std::span<const Builtin> table, std::string_view name) {
  auto at = std::find_if(table.begin(), table.end(), [name](const Builtin& b) { return b.name == name; });
  return at == table.end() ? nullptr : &*at;
}

/// Takes the next name off the list.
std::string_view next_name(std::string_view& names) {
  const std::size_t end = std::min(names.find(' '), names.size());
  const std::string_view name = names.substr(0, end);
  names.remove_prefix(std::min(end + 1, names.size()));
  return name;
}

class Method final : public Object {
 public:
  Method(Value self, const Builtin& builtin) : self_(std::move(self)), builtin_(builtin) {}
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  std::string representation() const override {
    return str("<built-in method ", builtin_.name, " of ", self_.type_name(), " object>");
  }
  bool callable() const override { return true; }
  Value call(Machine& machine, const Arguments& arguments) override {
    Bound bound;
    return bind(machine, builtin_, arguments, bound) ? builtin_.run(machine, self_, bound) : Value();
  }

 private:
  Value self_;
  const Builtin& builtin_;
};

}  // namespace

bool bind(Machine& machine, const Builtin& builtin, const Arguments& arguments, Bound& out) {
  if (machine.failed()) return false;
  out.all = &arguments;
  if (builtin.parameters == "*") return true;
  std::string_view names = builtin.parameters;
  std::size_t named = 0, count = 0;
  for (; !names.empty(); ++count) {
    const std::string_view name = next_name(names);
    auto given =
        std::find_if(arguments.named.begin(), arguments.named.end(), [name](const auto& n) { return n.first == name; });
    if (count < arguments.positional.size()) out.values[count] = &arguments.positional[count];
    if (given == arguments.named.end()) continue;
    if (out.values[count]) return machine.fail(builtin.name, "() got multiple values for argument '", name, "'"), false;
    out.values[count] = &given->second;
    ++named;
  }
  if (arguments.positional.size() > count)
    return machine.fail(builtin.name, "() takes at most ", count, " arguments (", arguments.positional.size(),
                        " given)"),
           false;
  if (named < arguments.named.size())
    return machine.fail(builtin.name, "() got an argument that it does not know; it knows: ", builtin.parameters),
           false;
  names = builtin.parameters;
  for (std::size_t i = 0; i < static_cast<std::size_t>(builtin.required); ++i) {
    const std::string_view name = next_name(names);
    if (!out.values[i]) return machine.fail(builtin.name, "() misses the argument '", name, "'"), false;
  }
  return true;
}

std::int64_t integer_argument(Machine& machine, const Bound& arguments, std::size_t index, std::int64_t fallback,
                              std::string_view what) {
  if (!arguments.values[index]) return fallback;
  if (auto integer = arguments[index].as_integer()) return *integer;
  machine.fail(what, ": an integer is required, not ", arguments[index].type_name());
  return fallback;
}

const String* text_argument(Machine& machine, const Bound& arguments, std::size_t index, std::string_view what) {
  if (arguments[index].is_string()) return &arguments[index].string();
  machine.fail(what, ": a string is required, not ", arguments[index].type_name());
  return nullptr;
}

const Builtin* find_filter(std::string_view name) {
  const Builtin* found = find(text_filters(), name);
  return found ? found : find(sequence_filters(), name);
}
const Builtin* find_test(std::string_view name) { return find(tests(), name); }

std::optional<Value> find_method(Machine& machine, const Value& object, std::string_view name) {
  if (object.is_sequence()) {
    const Sequence& sequence = object.sequence();
    if (sequence.type == SequenceType::group && name == "grouper") return sequence.items[0];
    if (sequence.type == SequenceType::group && name == "list") return sequence.items[1];
    if (sequence.type == SequenceType::range) {
      if (name == "start") return Value::of(sequence.start);
      if (name == "stop") return Value::of(sequence.stop);
      if (name == "step") return Value::of(sequence.step);
    }
  }
  const Builtin* method = find(object.is_string() ? text_methods() : container_methods(object), name);
  if (!method || !machine.reserve(0)) return std::nullopt;
  return Value::of(std::shared_ptr<Object>(std::make_shared<Method>(object, *method)));
}

Value Machine::filter(std::string_view name, const Value& input, const Arguments& arguments) {
  if (failed()) return {};
  const Builtin* found = find_filter(name);
  if (!found) return stop(ErrorCode::unsupported, str("there is no filter '", name, "'"));
  Bound bound;
  if (!spend(1) || !bind(*this, *found, arguments, bound)) return {};
  return found->run(*this, input, bound);
}

Value Machine::test(std::string_view name, const Value& input, const Arguments& arguments) {
  if (failed()) return {};
  const Builtin* found = find_test(name);
  if (!found) return stop(ErrorCode::unsupported, str("there is no test '", name, "'"));
  Bound bound;
  if (!spend(1) || !bind(*this, *found, arguments, bound)) return {};
  return found->run(*this, input, bound);
}

// --- methods of containers -------------------------------------------------------------------------------------------

namespace {

Value view(Machine& machine, const Value& self, SequenceType type) {
  std::vector<Value> out;
  if (!machine.spend(self.dict().entries.size() / 4 + 1)) return {};
  for (const auto& [key, value] : self.dict().entries)
    out.push_back(type == SequenceType::keys     ? key
                  : type == SequenceType::values ? value
                                                 : machine.tuple({key, value}));
  return machine.list(std::move(out), type);
}
Value dict_items(Machine& machine, const Value& self, const Bound&) { return view(machine, self, SequenceType::items); }
Value dict_keys(Machine& machine, const Value& self, const Bound&) { return view(machine, self, SequenceType::keys); }
Value dict_values(Machine& machine, const Value& self, const Bound&) {
  return view(machine, self, SequenceType::values);
}

Value dict_get(Machine& machine, const Value& self, const Bound& arguments) {
  if (!hash_key(arguments[0])) return machine.fail("unhashable type: '", arguments[0].type_name(), "'");
  if (const Value* value = self.dict().find(arguments[0])) return *value;
  return arguments.values[1] ? arguments[1] : Value::none();
}

Value copy(Machine&, const Value& self, const Bound&) { return self; }  // values never change

Value list_count(Machine& machine, const Value& self, const Bound& arguments) {
  std::int64_t count = 0;
  for (const Value& item : self.sequence().items) count += equal(machine, item, arguments[0]);
  return Value::of(count);
}

Value list_index(Machine& machine, const Value& self, const Bound& arguments) {
  const auto& items = self.sequence().items;
  for (std::size_t i = 0; i < items.size() && !machine.failed(); ++i)
    if (equal(machine, items[i], arguments[0])) return Value::of(static_cast<std::int64_t>(i));
  return machine.fail("index(): the value is not in the list");
}

Value forbidden(Machine& machine, const Value& self, const Bound&) {
  return machine.fail("a template may not change a ", self.type_name(), "; build a new one, or use a namespace");
}

constexpr Builtin dict_table[] = {
    {"get", "key default", 1, dict_get}, {"items", "", 0, dict_items},   {"keys", "", 0, dict_keys},
    {"values", "", 0, dict_values},      {"copy", "", 0, copy},          {"clear", "*", 0, forbidden},
    {"pop", "*", 0, forbidden},          {"popitem", "*", 0, forbidden}, {"setdefault", "*", 0, forbidden},
    {"update", "*", 0, forbidden},
};
constexpr Builtin list_table[] = {
    {"count", "value", 1, list_count}, {"index", "value", 1, list_index}, {"copy", "", 0, copy},
    {"append", "*", 0, forbidden},     {"clear", "*", 0, forbidden},      {"extend", "*", 0, forbidden},
    {"insert", "*", 0, forbidden},     {"pop", "*", 0, forbidden},        {"remove", "*", 0, forbidden},
    {"reverse", "*", 0, forbidden},    {"sort", "*", 0, forbidden},
};

}  // namespace

std::span<const Builtin> container_methods(const Value& object) {
  if (object.is_dict()) return dict_table;
  if (!object.is_sequence() || !object.sequence().subscriptable()) return {};
  return std::span(list_table).first(object.sequence().type == SequenceType::list ? std::size(list_table) : 2);
}

}  // namespace strata::text::jinja
