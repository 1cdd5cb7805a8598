// Owns: how values are written: Python's str() and repr(). Knows no operators.
#pragma once

#include <string>

#include "text/jinja/machine.h"
#include "text/jinja/strings.h"

namespace strata::text::jinja {

/// str(): a string as it is, an undefined value as nothing.
Value print(Machine& machine, const Value& value);
void print(Machine& machine, const Value& value, TextBuilder& out);
/// repr(): strings in quotes, with escapes.
void represent(Machine& machine, const Value& value, TextBuilder& out);
/// The shortest digits that give the number again, as Python lays them out: 1.0, 1e+16, 1e-05, inf.
std::string float_text(double value);
/// As %e, %f or %g of C write it (`kind`), whatever the locale.
std::string float_text(double value, char kind, int precision);

}  // namespace strata::text::jinja
