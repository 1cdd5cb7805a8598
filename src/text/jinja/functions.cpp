// Owns: the functions that every template may call, and the objects they make. Source: the Jinja documentation, "List of
// Global Functions"; raise_exception and strftime_now as Hugging Face's transformers defines them.
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/format.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"

namespace strata::text::jinja {

std::optional<Value> Namespace::attribute(Machine&, std::string_view name) {
  for (const auto& [key, value] : entries_)
    if (key == name) return value;
  return std::nullopt;
}

void Namespace::set(Machine& machine, std::string_view name, Value value) {
  for (auto& [key, old] : entries_)
    if (key == name) return void(old = std::move(value));
  if (machine.spend(entries_.size() + 1) && machine.reserve(sizeof(Value) + 32 + name.size()))
    entries_.emplace_back(name, std::move(value));
}

namespace {

/// A function of the table below.
class Function final : public Object {
 public:
  explicit Function(const Builtin& builtin) : builtin_(builtin) {}
  std::string_view type_name() const override { return "function"; }
  std::string representation() const override { return str("<function ", builtin_.name, ">"); }
  bool callable() const override { return true; }
  Value call(Machine& machine, const Arguments& arguments) override {
    Bound bound;
    return bind(machine, builtin_, arguments, bound) ? builtin_.run(machine, Value(), bound) : Value();
  }

 private:
  const Builtin& builtin_;
};

/// Gives its values one after another, round and round.
class Cycler final : public Object {
 public:
  explicit Cycler(std::vector<Value> items) : items_(std::move(items)) {}
  std::string_view type_name() const override { return "Cycler"; }
  std::optional<Value> attribute(Machine& machine, std::string_view name) override {
    if (name == "current") return items_[at_];
    if (name == "next" || name == "reset")
      return Machine::borrowed(machine.keep(std::make_unique<Step>(*this, name == "next")));
    return std::nullopt;
  }

 private:
  class Step final : public Object {
   public:
    Step(Cycler& cycler, bool next) : cycler_(cycler), next_(next) {}
    std::string_view type_name() const override { return "method"; }
    bool callable() const override { return true; }
    Value call(Machine&, const Arguments&) override {
      const Value out = next_ ? cycler_.items_[cycler_.at_] : Value::none();
      cycler_.at_ = next_ ? (cycler_.at_ + 1) % cycler_.items_.size() : 0;
      return out;
    }

   private:
    Cycler& cycler_;
    bool next_;
  };
  std::vector<Value> items_;
  std::size_t at_ = 0;
};

/// Nothing when it is first called, then its separator.
class Joiner final : public Object {
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) {}
  std::string_view type_name() const override { return "Joiner"; }
  bool callable() const override { return true; }
  Value call(Machine&, const Arguments&) override {
    return std::exchange(used_, true) ? separator_ : constant_text("");
  }

 private:
  Value separator_;
  bool used_ = false;
};

Value function_range(Machine& machine, const Value&, const Bound& arguments) {
  const std::int64_t first = integer_argument(machine, arguments, 0, 0, "range");
  if (!arguments.values[1]) return machine.range(0, first, 1);
  return machine.range(first, integer_argument(machine, arguments, 1, 0, "range"),
                       integer_argument(machine, arguments, 2, 1, "range"));
}

/// `visit(name, value)` for a dict or pairs in the first argument, then for the named ones.
template <class Visit>
void each_entry(Machine& machine, const Arguments& all, Visit visit) {
  if (all.positional.size() > 1) return void(machine.fail("at most one dict or list of pairs is taken"));
  if (!all.positional.empty() && all.positional[0].is_dict()) {
    for (const auto& [key, value] : all.positional[0].dict().entries) visit(key, value);
  } else if (!all.positional.empty()) {
    for (const Value& pair : machine.elements(all.positional[0])) {
      const std::vector<Value> parts = machine.elements(pair);
      if (machine.failed() || parts.size() != 2) return void(machine.fail("a list of pairs is required"));
      visit(parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : all.named) visit(machine.text(name), value);
}

Value function_dict(Machine& machine, const Value&, const Bound& arguments) {
  Dict out;
  each_entry(machine, *arguments.all, [&](const Value& key, const Value& value) { machine.set(out, key, value); });
  return machine.dict(std::move(out));
}

Value function_namespace(Machine& machine, const Value&, const Bound& arguments) {
  Namespace* out = machine.keep(std::make_unique<Namespace>());
  each_entry(machine, *arguments.all, [&](const Value& key, const Value& value) {
    if (key.is_string()) out->set(machine, key.string().bytes, value);
  });
  return Machine::borrowed(out);
}

Value function_cycler(Machine& machine, const Value&, const Bound& arguments) {
  if (arguments.all->positional.empty()) return machine.fail("cycler: at least one item has to be provided");
  if (!machine.reserve(arguments.all->positional.size() * sizeof(Value))) return {};
  return Machine::borrowed(machine.keep(std::make_unique<Cycler>(arguments.all->positional)));
}

Value function_joiner(Machine& machine, const Value&, const Bound& arguments) {
  return Machine::borrowed(
      machine.keep(std::make_unique<Joiner>(arguments.values[0] ? arguments[0] : constant_text(", "))));
}

Value function_raise(Machine& machine, const Value&, const Bound& arguments) {
  const Value message = print(machine, arguments[0]);
  return machine.failed() ? Value() : machine.fail("the template refuses the conversation: ", message.string().bytes);
}

Value function_strftime_now(Machine& machine, const Value&, const Bound& arguments) {
  const String* pattern = text_argument(machine, arguments, 0, "strftime_now");
  return pattern ? format_time(machine, *machine.now(), *pattern) : Value();
}

constexpr Builtin table[] = {
    {"range", "start stop step", 1, function_range},
    {"dict", "*", 0, function_dict},
    {"namespace", "*", 0, function_namespace},
    {"cycler", "*", 0, function_cycler},
    {"joiner", "sep", 0, function_joiner},
    {"raise_exception", "message", 1, function_raise},
    {"strftime_now", "format", 1, function_strftime_now},
};

}  // namespace

std::vector<std::pair<std::string_view, Value>> global_functions(Machine& machine) {
  std::vector<std::pair<std::string_view, Value>> out;
  for (const Builtin& builtin : table)
    if (builtin.name != "strftime_now" || machine.now())
      out.emplace_back(builtin.name, Value::of(std::shared_ptr<Object>(std::make_shared<Function>(builtin))));
  return out;
}

}  // namespace strata::text::jinja
