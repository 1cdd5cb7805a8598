// Owns: the interface of filters, tests, methods and functions, and the binding of arguments to their parameters. Knows
// no syntax tree.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "text/jinja/machine.h"

namespace strata::text::jinja {

inline constexpr std::size_t max_parameters = 6;

/// A call's arguments in the order of the parameters.
struct Bound {
  std::array<const Value*, max_parameters> values{};  ///< null where not given
  const Arguments* all = nullptr;

  /// Given and not None.
  bool has(std::size_t i) const { return values[i] != nullptr && !values[i]->is_none(); }
  bool truthy(std::size_t i) const { return values[i] != nullptr && values[i]->truthy(); }
  const Value& operator[](std::size_t i) const { return *values[i]; }
};

struct Builtin {
  std::string_view name;
  std::string_view parameters;  ///< names separated by spaces, required ones first; "*" takes any arguments
  int required;
  Value (*run)(Machine& machine, const Value& input, const Bound& arguments);
};

/// Fails for missing, unknown and surplus arguments, naming `what`.
bool bind(Machine& machine, const Builtin& builtin, const Arguments& arguments, Bound& out);
/// An integer argument; `fallback` where it is not given. Fails for other types.
std::int64_t integer_argument(Machine& machine, const Bound& arguments, std::size_t index, std::int64_t fallback,
                              std::string_view what);
/// A string argument; null after a failure.
const String* text_argument(Machine& machine, const Bound& arguments, std::size_t index, std::string_view what);

std::span<const Builtin> text_filters();
std::span<const Builtin> sequence_filters();
std::span<const Builtin> tests();
std::span<const Builtin> text_methods();
std::span<const Builtin> container_methods(const Value& object);

/// Null where there is none.
const Builtin* find_filter(std::string_view name);
const Builtin* find_test(std::string_view name);
/// A method of a value that is no object, bound to it.
std::optional<Value> find_method(Machine& machine, const Value& object, std::string_view name);

/// range, dict, namespace, cycler, joiner, raise_exception and, where the time is known, strftime_now.
std::vector<std::pair<std::string_view, Value>> global_functions(Machine& machine);

/// The object of `namespace()`, whose attributes a template may set.
class Namespace final : public Object {
 public:
  std::string_view type_name() const override { return "Namespace"; }
  std::string representation() const override { return "<Namespace>"; }
  std::optional<Value> attribute(Machine& machine, std::string_view name) override;
  void set(Machine& machine, std::string_view name, Value value);

 private:
  std::vector<std::pair<std::string, Value>> entries_;
};

// Shared by methods and filters of the same work.
enum class Side { left, right, both };
/// Strips white space, or the characters of `set`.
Value strip(Machine& machine, const String& text, const String* set, Side side);
Value to_upper(Machine& machine, const String& text);
Value to_lower(Machine& machine, const String& text);
Value capitalize(Machine& machine, const String& text);
Value center(Machine& machine, const String& text, std::int64_t width, const String* fill);
Value replace(Machine& machine, const String& text, const String& from, const String& to, std::int64_t count);
std::vector<Value> split_lines(Machine& machine, const String& text, bool keep_ends);

}  // namespace strata::text::jinja
