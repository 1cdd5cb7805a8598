// Owns: the tests, what may follow `is`. Source: the Jinja documentation, "List of Builtin Tests".
#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"

namespace strata::text::jinja {

namespace {

Value test_defined(Machine&, const Value& input, const Bound&) { return Value::of(!input.is_undefined()); }
Value test_undefined(Machine&, const Value& input, const Bound&) { return Value::of(input.is_undefined()); }
Value test_none(Machine&, const Value& input, const Bound&) { return Value::of(input.is_none()); }
Value test_boolean(Machine&, const Value& input, const Bound&) { return Value::of(input.is_bool()); }
Value test_true(Machine&, const Value& input, const Bound&) { return Value::of(input.is_bool() && input.boolean()); }
Value test_false(Machine&, const Value& input, const Bound&) { return Value::of(input.is_bool() && !input.boolean()); }
Value test_integer(Machine&, const Value& input, const Bound&) { return Value::of(input.is_int()); }
Value test_float(Machine&, const Value& input, const Bound&) { return Value::of(input.is_float()); }
Value test_number(Machine&, const Value& input, const Bound&) { return Value::of(input.is_number()); }
Value test_string(Machine&, const Value& input, const Bound&) { return Value::of(input.is_string()); }
Value test_mapping(Machine&, const Value& input, const Bound&) { return Value::of(input.is_dict()); }
Value test_iterable(Machine& machine, const Value& input, const Bound&) { return Value::of(machine.iterable(input)); }
Value test_callable(Machine&, const Value& input, const Bound&) {
  return Value::of(input.is_undefined() || (input.is_object() && input.object().callable()));
}
Value test_escaped(Machine&, const Value& input, const Bound&) {
  return Value::of(input.is_string() && input.string().markup);
}

/// What has a length and items; that is true of dicts and of undefined values too.
Value test_sequence(Machine&, const Value& input, const Bound&) {
  return Value::of(input.is_undefined() || input.is_string() || input.is_dict() ||
                   (input.is_sequence() && input.sequence().subscriptable()));
}

Value cased(Machine& machine, const Value& input, std::string_view method) {
  const Value text = print(machine, input);
  return machine.failed() ? Value() : machine.call(machine.attribute(text, method), {});
}
Value test_upper(Machine& machine, const Value& input, const Bound&) { return cased(machine, input, "isupper"); }
Value test_lower(Machine& machine, const Value& input, const Bound&) { return cased(machine, input, "islower"); }

Value remainder(Machine& machine, const Value& input, const Value& divisor, std::int64_t wanted) {
  const Value rest = calculate(machine, Operator::modulo, input, divisor);
  return Value::of(!machine.failed() && equal(machine, rest, Value::of(wanted)));
}
Value test_odd(Machine& machine, const Value& input, const Bound&) {
  return remainder(machine, input, Value::of(std::int64_t{2}), 1);
}
Value test_even(Machine& machine, const Value& input, const Bound&) {
  return remainder(machine, input, Value::of(std::int64_t{2}), 0);
}
Value test_divisibleby(Machine& machine, const Value& input, const Bound& arguments) {
  return remainder(machine, input, arguments[0], 0);
}

template <Comparator comparator>
Value test_compare(Machine& machine, const Value& input, const Bound& arguments) {
  return Value::of(holds(machine, comparator, input, arguments[0]));
}
Value test_sameas(Machine&, const Value& input, const Bound& arguments) { return Value::of(input.same(arguments[0])); }

Value test_filter(Machine&, const Value& input, const Bound&) {
  return Value::of(input.is_string() && find_filter(input.string().bytes) != nullptr);
}
Value test_test(Machine&, const Value& input, const Bound&) {
  return Value::of(input.is_string() && find_test(input.string().bytes) != nullptr);
}

constexpr Builtin table[] = {
    {"defined", "", 0, test_defined},
    {"undefined", "", 0, test_undefined},
    {"none", "", 0, test_none},
    {"boolean", "", 0, test_boolean},
    {"true", "", 0, test_true},
    {"false", "", 0, test_false},
    {"integer", "", 0, test_integer},
    {"float", "", 0, test_float},
    {"number", "", 0, test_number},
    {"string", "", 0, test_string},
    {"mapping", "", 0, test_mapping},
    {"iterable", "", 0, test_iterable},
    {"sequence", "", 0, test_sequence},
    {"callable", "", 0, test_callable},
    {"escaped", "", 0, test_escaped},
    {"upper", "", 0, test_upper},
    {"lower", "", 0, test_lower},
    {"odd", "", 0, test_odd},
    {"even", "", 0, test_even},
    {"divisibleby", "num", 1, test_divisibleby},
    {"in", "seq", 1, test_compare<Comparator::in>},
    {"==", "other", 1, test_compare<Comparator::equal>},
    {"eq", "other", 1, test_compare<Comparator::equal>},
    {"equalto", "other", 1, test_compare<Comparator::equal>},
    {"!=", "other", 1, test_compare<Comparator::not_equal>},
    {"ne", "other", 1, test_compare<Comparator::not_equal>},
    {"<", "other", 1, test_compare<Comparator::less>},
    {"lt", "other", 1, test_compare<Comparator::less>},
    {"lessthan", "other", 1, test_compare<Comparator::less>},
    {"<=", "other", 1, test_compare<Comparator::less_equal>},
    {"le", "other", 1, test_compare<Comparator::less_equal>},
    {">", "other", 1, test_compare<Comparator::greater>},
    {"gt", "other", 1, test_compare<Comparator::greater>},
    {"greaterthan", "other", 1, test_compare<Comparator::greater>},
    {">=", "other", 1, test_compare<Comparator::greater_equal>},
    {"ge", "other", 1, test_compare<Comparator::greater_equal>},
    {"sameas", "other", 1, test_sameas},
    {"filter", "", 0, test_filter},
    {"test", "", 0, test_test},
};

}  // namespace

std::span<const Builtin> tests() { return table; }

}  // namespace strata::text::jinja
