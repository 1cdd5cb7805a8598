// Owns: the evaluation of expressions.
#include "text/jinja/interpreter.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"

namespace strata::text::jinja {

Value Interpreter::evaluate(const ExpressionPtr& expression) {
  if (!machine_.spend(1) || !machine_.enter()) return {};
  const int line = std::exchange(machine_.line, expression->line);
  Value out = std::visit([this](const auto& node) { return value(node); }, expression->node);
  machine_.leave();
  machine_.line = line;
  return machine_.failed() ? Value() : out;
}

Value Interpreter::look_up(std::string_view name) {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent)
    if (const Value* found = scope->find(name)) return *found;
  if (name == "strftime_now") return machine_.undefined("'strftime_now' is undefined, for no time was given");
  return machine_.undefined(str("'", name, "' is undefined"));
}
Value Interpreter::value(const Name& node) { return look_up(node.name); }

Value Interpreter::value(const ListDisplay& node) {
  std::vector<Value> items;
  for (const ExpressionPtr& item : node.items) items.push_back(evaluate(item));
  return machine_.list(std::move(items), node.tuple ? SequenceType::tuple : SequenceType::list);
}

Value Interpreter::value(const DictDisplay& node) {
  Dict out;
  for (const auto& [key, item] : node.entries) {
    Value name = evaluate(key);
    if (!machine_.set(out, std::move(name), evaluate(item))) return {};
  }
  return machine_.dict(std::move(out));
}

Value Interpreter::value(const Unary& node) {
  const Value operand = evaluate(node.operand);
  if (node.op == '!') return Value::of(!operand.truthy());
  return node.op == '-' ? negate(machine_, operand) : plus(machine_, operand);
}

Value Interpreter::value(const Binary& node) {
  const Value left = evaluate(node.left), right = evaluate(node.right);
  return calculate(machine_, node.op, left, right);
}

Value Interpreter::value(const Logical& node) {
  Value left = evaluate(node.left);
  return left.truthy() == node.conjunction ? evaluate(node.right) : left;
}

Value Interpreter::value(const Comparison& node) {
  Value left = evaluate(node.first);
  for (const auto& [comparator, operand] : node.rest) {
    Value right = evaluate(operand);
    if (!holds(machine_, comparator, left, right)) return Value::of(false);
    left = std::move(right);
  }
  return Value::of(true);
}

Value Interpreter::value(const Concatenation& node) {
  TextBuilder out(machine_);
  for (const ExpressionPtr& part : node.parts) print(machine_, evaluate(part), out);
  return out.finish();
}

Value Interpreter::value(const Conditional& node) {
  if (evaluate(node.condition).truthy()) return evaluate(node.then);
  if (node.otherwise) return evaluate(node.otherwise);
  return machine_.undefined("the inline if-expression is false and has no else");
}

Value Interpreter::value(const Attribute& node) { return machine_.attribute(evaluate(node.object), node.name); }

Value Interpreter::value(const Item& node) {
  const Value object = evaluate(node.object);
  return machine_.item(object, evaluate(node.key));
}

Value Interpreter::value(const Slice& node) {
  const Value object = evaluate(node.object);
  const auto part = [this](const ExpressionPtr& bound) { return bound ? evaluate(bound) : Value::none(); };
  const Value start = part(node.start), stop = part(node.stop), step = part(node.step);
  return slice(machine_, object, start, stop, step);
}

Arguments Interpreter::evaluate(const CallArguments& arguments) {
  Arguments out;
  for (const ExpressionPtr& argument : arguments.positional) out.positional.push_back(evaluate(argument));
  if (arguments.more_positional) {
    std::vector<Value> more = machine_.elements(evaluate(arguments.more_positional));
    const std::uint64_t bytes = more.size() * sizeof(Value);
    if (!machine_.reserve(bytes)) return out;
    out.charge = machine_.charge(bytes);
    out.positional.insert(out.positional.end(), std::make_move_iterator(more.begin()),
                          std::make_move_iterator(more.end()));
  }
  for (const auto& [name, argument] : arguments.named) out.named.emplace_back(name, evaluate(argument));
  if (!arguments.more_named) return out;
  const Value more = evaluate(arguments.more_named);
  if (!more.is_dict()) {
    machine_.fail("** needs a dict, not ", more.type_name());
    return out;
  }
  for (const auto& [name, value] : more.dict().entries) {
    if (name.is_string()) out.named.emplace_back(name.string().bytes, value);
    else machine_.fail("** needs names that are strings");
  }
  return out;
}

Value Interpreter::call(const Call& node, const Value& caller) {
  const Value callee = evaluate(node.callee);
  Arguments arguments = evaluate(node.arguments);
  if (!caller.is_undefined()) arguments.named.emplace_back("caller", caller);
  return machine_.call(callee, arguments);
}
Value Interpreter::value(const Call& node) { return call(node, Value()); }

Value Interpreter::value(const Filter& node) {
  const Value input = node.input ? evaluate(node.input) : filter_input_;
  const Arguments arguments = evaluate(node.arguments);
  return machine_.filter(node.name, input, arguments);
}

Value Interpreter::value(const Test& node) {
  const Value input = evaluate(node.input);
  const Arguments arguments = evaluate(node.arguments);
  return Value::of(machine_.test(node.name, input, arguments).truthy() != node.negated);
}

}  // namespace strata::text::jinja
