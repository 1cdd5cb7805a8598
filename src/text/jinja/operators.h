// Owns: the operators of expressions on values, as Python defines them. Knows no syntax tree.
#pragma once

#include <compare>

#include "text/jinja/machine.h"

namespace strata::text::jinja {

enum class Operator { add, subtract, multiply, divide, floor_divide, modulo, power };
enum class Comparator { equal, not_equal, less, less_equal, greater, greater_equal, in, not_in };

/// Integers that leave 64 bits are an error.
Value calculate(Machine& machine, Operator op, const Value& a, const Value& b);
Value negate(Machine& machine, const Value& value);
Value plus(Machine& machine, const Value& value);

bool equal(Machine& machine, const Value& a, const Value& b);
/// Fails for types that have no order. Unordered where a number is not a number.
std::partial_ordering order(Machine& machine, const Value& a, const Value& b);
bool contains(Machine& machine, const Value& container, const Value& item);
bool holds(Machine& machine, Comparator comparator, const Value& a, const Value& b);

/// `object[start:stop:step]`; None stands for parts left out.
Value slice(Machine& machine, const Value& object, const Value& start, const Value& stop, const Value& step);
/// The text with &, <, >, ' and " as HTML writes them, marked as markup.
Value escape(Machine& machine, const Value& value);

}  // namespace strata::text::jinja
