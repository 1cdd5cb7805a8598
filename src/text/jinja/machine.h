// Owns: what every operation on template values needs: the first error, the limits, making values, and Python's protocols
// of attributes, items, iteration and calls. Knows no syntax tree.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "strata/result.h"
#include "text/jinja/value.h"

namespace strata::text::jinja {

/// Bounds of one rendering. Each is an error that says so.
struct Limits {
  std::uint64_t steps = 50'000'000;                 ///< nodes evaluated, elements and 32-byte pieces of text touched
  std::uint64_t memory = std::uint64_t{256} << 20;  ///< bytes of values that live at the same time
  std::uint64_t output = std::uint64_t{64} << 20;   ///< bytes of the result; the tokenizer takes no more
  int nesting = 600;                                ///< nodes, calls and loops inside each other
};
/// Lists and dicts inside each other.
inline constexpr int max_container_depth = 100;
/// As the sandbox of Jinja bounds `range`.
inline constexpr std::int64_t max_range = 100'000;

/// A local date and time.
struct Time {
  int year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0;
};

/// After the first error nothing more happens: operations return an undefined value, which nobody uses, and `failed()`
/// is true. So operations need no check behind each of their steps, only in loops.
class Machine {
 public:
  Machine(const Limits& limits, std::optional<Time> now)
      : limits_(limits), budget_(limits.steps, limits.memory), now_(now) {}
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  bool failed() const { return error_.has_value(); }
  const Error& error() const { return *error_; }
  int line = 0;  ///< of the template, where errors are said to be
  /// Records an error; the value stands for the result there is not.
  template <class... Parts>
  Value fail(const Parts&... parts) {
    return stop(ErrorCode::invalid_argument, str(parts...));
  }
  Value stop(ErrorCode code, std::string message);

  /// False when the error is that there was too much to do.
  bool spend(std::uint64_t steps);
  /// For work proportional to a text's bytes.
  bool spend_bytes(std::size_t bytes) { return spend(bytes / 32 + 1); }
  /// Adds bytes to what a value holds already; false when there is too little memory left.
  bool reserve(std::uint64_t bytes);
  Charge charge(std::uint64_t bytes) { return Charge(&budget_, bytes); }
  const Limits& limits() const { return limits_; }
  const std::optional<Time>& now() const { return now_; }

  Value undefined(std::string hint);
  Value text(std::string_view bytes);
  Value list(std::vector<Value> items, SequenceType type = SequenceType::list);
  Value tuple(std::vector<Value> items) { return list(std::move(items), SequenceType::tuple); }
  Value dict(Dict entries);
  Value range(std::int64_t start, std::int64_t stop, std::int64_t step);
  /// False where the key cannot be one.
  bool set(Dict& dict, Value key, Value value);
  /// An object that lives as long as the machine, so that objects may refer to each other in circles.
  template <class T>
  T* keep(std::unique_ptr<T> object) {
    reserve(256);
    T* raw = object.get();
    kept_.push_back(std::move(object));
    return raw;
  }
  static Value borrowed(Object* object) { return Value::of(std::shared_ptr<Object>(std::shared_ptr<void>(), object)); }

  /// `object.name`: an attribute or method, else the item of that name, else undefined.
  Value attribute(const Value& object, std::string_view name);
  /// `object[key]`: the item, else an attribute of that name, else undefined.
  Value item(const Value& object, const Value& key);
  /// The attribute or method alone.
  std::optional<Value> own_attribute(const Value& object, std::string_view name);
  /// The elements, as `list(value)` gives them; uses up an iterator. Fails for what does not iterate.
  std::vector<Value> elements(const Value& value);
  bool iterable(const Value& value) const;
  /// Python's len().
  std::optional<std::int64_t> length(const Value& value) const;
  Value call(const Value& callee, const Arguments& arguments);
  /// Applies the filter or test of that name; fails where there is none.
  Value filter(std::string_view name, const Value& input, const Arguments& arguments);
  Value test(std::string_view name, const Value& input, const Arguments& arguments);

  /// Counts nesting; false when it is too deep. Every `enter` that returns true is followed by `leave`.
  bool enter();
  void leave() { --nesting_; }

 private:
  Limits limits_;
  Budget budget_;
  std::optional<Time> now_;
  std::optional<Error> error_;
  int nesting_ = 0;
  std::vector<std::unique_ptr<Object>> kept_;
};

}  // namespace strata::text::jinja
