// Owns: Python's three ways to lay out text: `%`, str.format and strftime. Knows no syntax tree.
#pragma once

#include "text/jinja/machine.h"

namespace strata::text::jinja {

/// `pattern % argument`: a tuple gives several values, a dict named ones.
Value format_percent(Machine& machine, const String& pattern, const Value& argument);
/// `pattern.format(...)`.
Value format_braces(Machine& machine, const String& pattern, const Arguments& arguments);
/// The directives of C's strftime in the C locale; fails for one that does not exist.
Value format_time(Machine& machine, const Time& time, const String& pattern);

}  // namespace strata::text::jinja
