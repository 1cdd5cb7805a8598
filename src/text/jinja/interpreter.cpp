// Owns: statements, scopes, macros and loops.
#include "text/jinja/interpreter.h"

#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"

namespace strata::text::jinja {

const Value* Scope::find(std::string_view name) const {
  for (const auto& [key, value] : names)
    if (key == name) return &value;
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  for (auto& [key, old] : names)
    if (key == name) return void(old = std::move(value));
  names.emplace_back(name, std::move(value));
}

/// Makes a scope the innermost one as long as this lives.
class Interpreter::InnerScope {
 public:
  InnerScope(Interpreter& interpreter, Scope* parent)
      : interpreter_(interpreter), before_(interpreter.scope_), scope_(std::make_unique<Scope>()) {
    scope_->parent = parent;
    interpreter_.scope_ = scope_.get();
  }
  ~InnerScope() {
    interpreter_.scope_ = before_;
    if (!scope_->kept) return;
    interpreter_.machine_.reserve(sizeof(Scope) + scope_->names.size() * sizeof(scope_->names[0]));
    interpreter_.kept_scopes_.push_back(std::move(scope_));
  }
  InnerScope(const InnerScope&) = delete;
  InnerScope& operator=(const InnerScope&) = delete;
  Scope* operator->() { return scope_.get(); }

 private:
  Interpreter& interpreter_;
  Scope* before_;
  std::unique_ptr<Scope> scope_;
};

/// Collects what is written as long as this lives.
class Interpreter::Capture {
 public:
  explicit Capture(Interpreter& interpreter)
      : interpreter_(interpreter), before_(interpreter.out_), text_(interpreter.machine_) {
    interpreter_.out_ = &text_;
  }
  ~Capture() { interpreter_.out_ = before_; }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  Value finish() { return text_.finish(); }

 private:
  Interpreter& interpreter_;
  TextBuilder* before_;
  TextBuilder text_;
};

// --- macros ----------------------------------------------------------------------------------------------------------

class MacroObject final : public Object {
 public:
  MacroObject(Interpreter& interpreter, const Procedure& procedure, Scope* closure)
      : interpreter_(interpreter), procedure_(procedure), closure_(closure) {}
  std::string_view type_name() const override { return "Macro"; }
  std::string representation() const override { return str("<Macro '", procedure_.name, "'>"); }
  bool callable() const override { return true; }
  Value call(Machine&, const Arguments& arguments) override {
    return interpreter_.call_macro(procedure_, closure_, arguments);
  }
  std::optional<Value> attribute(Machine& machine, std::string_view name) override {
    if (name == "name") return machine.text(procedure_.name);
    if (name == "catch_varargs") return Value::of(procedure_.takes_more_positional);
    if (name == "catch_kwargs") return Value::of(procedure_.takes_more_named);
    if (name == "caller") return Value::of(procedure_.takes_caller);
    if (name != "arguments") return std::nullopt;
    std::vector<Value> names;
    for (const Parameter& parameter : procedure_.parameters) names.push_back(machine.text(parameter.name));
    return machine.tuple(std::move(names));
  }

 private:
  Interpreter& interpreter_;
  const Procedure& procedure_;
  Scope* closure_;
};

Value Interpreter::make_macro(const Procedure& procedure) {
  for (Scope* scope = scope_; scope != nullptr; scope = scope->parent) scope->kept = true;
  return Machine::borrowed(machine_.keep(std::make_unique<MacroObject>(*this, procedure, scope_)));
}

Value Interpreter::call_macro(const Procedure& procedure, Scope* closure, const Arguments& arguments) {
  InnerScope scope(*this, closure);
  const auto& parameters = procedure.parameters;
  std::vector<bool> used(arguments.named.size(), false);
  const auto named = [&](std::string_view name) -> const Value* {
    for (std::size_t i = 0; i < arguments.named.size(); ++i)
      if (arguments.named[i].first == name && !used[i]) return used[i] = true, &arguments.named[i].second;
    return nullptr;
  };
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& parameter = parameters[i];
    const Value* given = i < arguments.positional.size() ? &arguments.positional[i] : named(parameter.name);
    if (given) scope->set(parameter.name, *given);
    else if (parameter.fallback) scope->set(parameter.name, evaluate(parameter.fallback));
    else scope->set(parameter.name, machine_.undefined(str("parameter '", parameter.name, "' was not provided")));
  }
  if (procedure.takes_caller) {
    const Value* caller = named("caller");
    scope->set("caller", caller ? *caller : machine_.undefined("No caller defined"));
  }
  if (procedure.takes_more_named) {
    Dict rest;
    for (std::size_t i = 0; i < arguments.named.size(); ++i)
      if (!used[i]) machine_.set(rest, machine_.text(arguments.named[i].first), arguments.named[i].second);
    scope->set("kwargs", machine_.dict(std::move(rest)));
  } else if (auto surplus = std::find(used.begin(), used.end(), false); surplus != used.end()) {
    const auto& name = arguments.named[static_cast<std::size_t>(surplus - used.begin())].first;
    return machine_.fail("macro '", procedure.name, "' takes no keyword argument '", name, "'");
  }
  if (procedure.takes_more_positional) {
    std::vector<Value> rest;
    for (std::size_t i = parameters.size(); i < arguments.positional.size(); ++i)
      rest.push_back(arguments.positional[i]);
    scope->set("varargs", machine_.tuple(std::move(rest)));
  } else if (arguments.positional.size() > parameters.size()) {
    return machine_.fail("macro '", procedure.name, "' takes not more than ", parameters.size(), " argument(s)");
  }
  Capture capture(*this);
  execute(*procedure.body);
  return capture.finish();
}

// --- loops -----------------------------------------------------------------------------------------------------------

/// What `loop` is in the body of a for. Elements are taken one at a time, for the loop's condition may depend on what
/// the body does.
class LoopObject final : public Object, public std::enable_shared_from_this<LoopObject> {
 public:
  LoopObject(Interpreter& interpreter, const For& node, std::vector<Value> items, Charge charge, int depth)
      : interpreter_(interpreter), node_(node), outside_(interpreter.scope_), items_(std::move(items)),
        charge_(std::move(charge)), depth_(depth) {}

  /// The next element; nothing behind the last.
  std::optional<Value> advance() {
    std::optional<Value> item = after_ ? std::exchange(after_, std::nullopt) : take();
    if (!item) return std::nullopt;
    ++index_;
    before_ = std::exchange(current_, *item);
    return item;
  }
  /// Lets go of all values, so that no circle of them stays alive.
  void end() {
    ended_ = true;
    changed_.clear();
    items_ = {};
    charge_ = {};
  }

  std::string_view type_name() const override { return "LoopContext"; }
  bool callable() const override { return true; }
  Value call(Machine& machine, const Arguments& arguments) override {
    if (!node_.recursive) return machine.fail("the loop must have the 'recursive' marker to be called recursively");
    if (ended_ || arguments.positional.size() != 1)
      return machine.fail("a recursive loop takes one iterable, inside of its body");
    Scope* const inside = std::exchange(interpreter_.scope_, outside_);
    Interpreter::Capture capture(interpreter_);
    interpreter_.loop(node_, arguments.positional[0], depth_ + 1);
    interpreter_.scope_ = inside;
    return capture.finish();
  }
  std::optional<Value> attribute(Machine& machine, std::string_view name) override {
    if (name == "index0") return Value::of(index_);
    if (name == "index") return Value::of(index_ + 1);
    if (name == "first") return Value::of(index_ == 0);
    if (name == "last") return Value::of(!peek().has_value());
    if (name == "length") return Value::of(length());
    if (name == "revindex") return Value::of(length() - index_);
    if (name == "revindex0") return Value::of(length() - index_ - 1);
    if (name == "depth") return Value::of(static_cast<std::int64_t>(depth_) + 1);
    if (name == "depth0") return Value::of(static_cast<std::int64_t>(depth_));
    if (name == "previtem") return index_ == 0 ? machine.undefined("there is no previous item") : before_;
    if (name == "nextitem") {
      auto next = peek();
      return next ? *next : machine.undefined("there is no next item");
    }
    if (name == "cycle" || name == "changed")
      return machine.reserve(0)
                 ? Value::of(std::shared_ptr<Object>(std::make_shared<Method>(shared_from_this(), name == "cycle")))
                 : Value();
    return std::nullopt;
  }

 private:
  class Method final : public Object {
   public:
    Method(std::shared_ptr<LoopObject> loop, bool cycle) : loop_(std::move(loop)), cycle_(cycle) {}
    std::string_view type_name() const override { return "method"; }
    bool callable() const override { return true; }
    Value call(Machine& machine, const Arguments& arguments) override {
      return cycle_ ? loop_->cycle(machine, arguments) : loop_->changed(machine, arguments);
    }

   private:
    std::shared_ptr<LoopObject> loop_;
    bool cycle_;
  };

  Value cycle(Machine& machine, const Arguments& arguments) {
    if (arguments.positional.empty()) return machine.fail("loop.cycle: no items for cycling given");
    return arguments.positional[static_cast<std::size_t>(index_) % arguments.positional.size()];
  }
  Value changed(Machine& machine, const Arguments& arguments) {
    const auto same = [&machine](const Value& a, const Value& b) { return equal(machine, a, b); };
    const bool unchanged = called_ && changed_.size() == arguments.positional.size() &&
                           std::equal(changed_.begin(), changed_.end(), arguments.positional.begin(), same);
    if (unchanged) return Value::of(false);
    called_ = true;
    if (!ended_) changed_ = arguments.positional;
    return Value::of(true);
  }

  /// The next element that the loop's condition keeps.
  std::optional<Value> take() {
    while (next_ < items_.size() && !interpreter_.machine_.failed()) {
      Value item = items_[next_++];
      if (!node_.condition || chosen_) return item;
      Interpreter::InnerScope scope(interpreter_, outside_);
      interpreter_.assign(node_.target, item);
      if (interpreter_.evaluate(node_.condition).truthy()) return item;
    }
    return std::nullopt;
  }
  const std::optional<Value>& peek() {
    if (!after_ && !ended_) after_ = take();
    return after_;
  }
  std::int64_t length() {
    if (length_ < 0 && !node_.condition) length_ = static_cast<std::int64_t>(items_.size());
    if (length_ < 0) {
      // With a condition, the elements left are chosen now.
      std::vector<Value> rest;
      if (after_) rest.push_back(*std::exchange(after_, std::nullopt));
      while (auto item = take()) rest.push_back(std::move(*item));
      length_ = index_ + 1 + static_cast<std::int64_t>(rest.size());
      items_ = std::move(rest);
      next_ = 0;
      chosen_ = true;
    }
    return length_;
  }

  Interpreter& interpreter_;
  const For& node_;
  Scope* outside_;
  std::vector<Value> items_;
  Charge charge_;
  std::size_t next_ = 0;
  std::int64_t index_ = -1, length_ = -1;
  int depth_;
  bool ended_ = false, called_ = false, chosen_ = false;
  Value before_, current_;
  std::optional<Value> after_;
  std::vector<Value> changed_;
};

void Interpreter::loop(const For& node, const Value& iterable, int depth) {
  if (!machine_.enter()) return;
  std::vector<Value> items = machine_.elements(iterable);
  const std::uint64_t bytes = sizeof(LoopObject) + items.size() * sizeof(Value);
  if (!machine_.reserve(bytes)) return machine_.leave();
  auto object = std::make_shared<LoopObject>(*this, node, std::move(items), machine_.charge(bytes), depth);
  bool any = false;
  {
    InnerScope scope(*this, scope_);
    while (!machine_.failed()) {
      auto item = object->advance();
      if (!item || !machine_.spend(1)) break;
      any = true;
      scope->names.clear();
      scope->set("loop", Value::of(std::static_pointer_cast<Object>(object)));
      assign(node.target, std::move(*item));
      if (execute(*node.body) == Flow::stop_loop) break;
    }
  }
  object->end();
  if (!any && node.otherwise) {
    InnerScope scope(*this, scope_);
    execute(*node.otherwise);
  }
  machine_.leave();
}

// --- statements ------------------------------------------------------------------------------------------------------

Value Interpreter::run(const Block& program, std::span<const std::pair<std::string, Value>> variables) {
  Value out;
  {
    InnerScope globals(*this, nullptr);
    for (auto& [name, value] : global_functions(machine_)) globals->set(name, value);
    InnerScope top(*this, scope_);
    top_ = scope_;
    for (const auto& [name, value] : variables) top->set(name, value);
    Capture capture(*this);
    execute(program);
    out = capture.finish();
  }
  kept_scopes_.clear();
  if (machine_.failed()) return {};
  if (out.string().bytes.size() > machine_.limits().output)
    return machine_.fail("the text has more than ", machine_.limits().output, " bytes");
  return out;
}

Interpreter::Flow Interpreter::execute(const Block& block) {
  if (!machine_.enter()) return Flow::next;
  Flow flow = Flow::next;
  for (const Statement& statement : block) {
    if (!machine_.spend(1)) break;
    flow = run_statement(statement);
    if (flow != Flow::next || machine_.failed()) break;
  }
  machine_.leave();
  return flow;
}

Interpreter::Flow Interpreter::run_statement(const Statement& statement) {
  const int line = std::exchange(machine_.line, statement.line);
  const Flow flow = std::visit([this](const auto& node) { return run(node); }, statement.node);
  machine_.line = line;
  return flow;
}

Interpreter::Flow Interpreter::run(const Text& node) {
  out_->append(node.value.string());
  return Flow::next;
}

Interpreter::Flow Interpreter::run(const Output& node) {
  print(machine_, evaluate(node.value), *out_);
  if (out_->size() > machine_.limits().output)
    machine_.fail("the text has more than ", machine_.limits().output, " bytes");
  return Flow::next;
}

Interpreter::Flow Interpreter::run(const If& node) {
  for (const auto& [condition, body] : node.branches) {
    if (condition && !evaluate(condition).truthy()) continue;
    return machine_.failed() ? Flow::next : execute(*body);
  }
  return Flow::next;
}

Interpreter::Flow Interpreter::run(const For& node) {
  const Value iterable = evaluate(node.iterable);
  if (!machine_.failed()) loop(node, iterable, 0);
  return Flow::next;
}

void Interpreter::assign(const Target& target, Value value) {
  if (machine_.failed()) return;
  if (target.is_several) {
    const std::vector<Value> parts = machine_.elements(value);
    if (machine_.failed()) return;
    if (parts.size() != target.several.size())
      return void(machine_.fail(parts.size(), " values cannot be assigned to ", target.several.size(), " names"));
    for (std::size_t i = 0; i < parts.size(); ++i) assign(target.several[i], parts[i]);
    return;
  }
  if (target.attribute.empty()) return scope_->set(target.name, std::move(value));
  const Value object = look_up(target.name);
  auto* space = object.is_object() ? dynamic_cast<Namespace*>(&object.object()) : nullptr;
  if (!space)
    return void(machine_.fail("cannot assign attribute '", target.attribute, "': '", target.name, "' is no namespace"));
  space->set(machine_, target.attribute, std::move(value));
}

Interpreter::Flow Interpreter::run(const Set& node) {
  assign(node.target, evaluate(node.value));
  return Flow::next;
}

Value Interpreter::text_of(const Block& block) {
  InnerScope scope(*this, scope_);
  Capture capture(*this);
  execute(block);
  return capture.finish();
}

Interpreter::Flow Interpreter::run(const SetBlock& node) {
  Value text = text_of(*node.body);
  if (node.filter) {
    Value before = std::exchange(filter_input_, std::move(text));
    text = evaluate(node.filter);
    filter_input_ = std::move(before);
  }
  assign(node.target, std::move(text));
  return Flow::next;
}

Interpreter::Flow Interpreter::run(const FilterBlock& node) {
  Value before = std::exchange(filter_input_, text_of(*node.body));
  print(machine_, evaluate(node.filter), *out_);
  filter_input_ = std::move(before);
  return Flow::next;
}

Interpreter::Flow Interpreter::run(const Macro& node) {
  Value macro = make_macro(node.procedure);
  scope_->set(node.procedure.name, std::move(macro));
  return Flow::next;
}

Interpreter::Flow Interpreter::run(const CallBlock& node) {
  const Value caller = make_macro(node.caller);
  print(machine_, call(std::get<Call>(node.call->node), caller), *out_);
  return Flow::next;
}

Interpreter::Flow Interpreter::run(const With& node) {
  std::vector<Value> values;
  for (const auto& [target, value] : node.values) values.push_back(evaluate(value));
  InnerScope scope(*this, scope_);
  for (std::size_t i = 0; i < values.size(); ++i) assign(node.values[i].first, std::move(values[i]));
  return execute(*node.body);
}

Interpreter::Flow Interpreter::run(const Scoped& node) {
  InnerScope scope(*this, node.top ? top_ : scope_);
  return execute(*node.body);
}

}  // namespace strata::text::jinja
