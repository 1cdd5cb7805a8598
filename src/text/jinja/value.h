// Owns: the values a template computes with: Python's undefined, None, bool, int, float, str, sequences, dicts and
// callable objects, and the budget that bounds their memory. Knows no syntax and no operators.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace strata::text::jinja {

class Machine;
class Value;
struct Arguments;

/// What one rendering may still use. Memory is given back when strings and containers die; steps never are.
class Budget {
 public:
  Budget(std::uint64_t steps, std::uint64_t memory) : steps_(steps), memory_(memory) {}
  bool take_steps(std::uint64_t count) {
    if (count > steps_) return false;
    steps_ -= count;
    return true;
  }
  bool take_memory(std::uint64_t bytes) {
    if (bytes > memory_) return false;
    memory_ -= bytes;
    return true;
  }
  void give_memory(std::uint64_t bytes) { memory_ += bytes; }

 private:
  std::uint64_t steps_, memory_;
};

/// Bytes taken from a budget for as long as this lives.
class Charge {
 public:
  Charge() = default;
  Charge(Budget* budget, std::uint64_t bytes) : budget_(budget), bytes_(bytes) {}
  Charge(Charge&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(budget_, other.budget_), std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Charge() {
    if (budget_) budget_->give_memory(bytes_);
  }
  /// Takes over the other's bytes, which are of the same budget.
  void join(Charge other) {
    budget_ = other.budget_;
    bytes_ += std::exchange(other.bytes_, 0);
    other.budget_ = nullptr;
  }

 private:
  Budget* budget_ = nullptr;
  std::uint64_t bytes_ = 0;
};

/// Bytes [begin, end) of a string.
struct Span {
  std::size_t begin, end;
};

/// Immutable, well-formed UTF-8. `content` are the bytes that came from the conversation and not from the template, in
/// order, disjoint and not touching; they follow the text through every operation.
struct String {
  std::string bytes;
  std::vector<Span> content;
  std::size_t length = 0;  ///< in code points, which is how Python counts
  bool markup = false;     ///< made by `safe` or `escape`: joining it with `+` escapes the other side
  Charge charge;

  bool ascii() const { return length == bytes.size(); }
};

/// Everything that iterates like a list. They differ in how they print and in what may be asked of them.
enum class SequenceType {
  list,
  tuple,
  group,  ///< a tuple of `groupby`, with names for its two parts
  range,
  items,  ///< views of a dict
  keys,
  values,
  iterator  ///< what map, select and the like return: always true, without a length, used up by iterating
};
struct Sequence;
struct Dict;

/// A value with behaviour: functions, macros, methods, `loop`, namespaces.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string_view type_name() const = 0;
  virtual std::string representation() const;
  virtual std::optional<Value> attribute(Machine& machine, std::string_view name);
  virtual bool callable() const { return false; }
  virtual Value call(Machine& machine, const Arguments& arguments);
};

class Value {
 public:
  /// Why a value is missing: the message of the error that using it gives.
  struct Hint {
    std::string message;
    Charge charge;
  };
  struct Undefined {
    std::shared_ptr<const Hint> hint;
  };
  struct None {};

  Value() : data_(Undefined{}) {}
  static Value undefined(std::string message, Charge charge) {
    Value out;
    out.data_ = Undefined{std::make_shared<const Hint>(Hint{std::move(message), std::move(charge)})};
    return out;
  }
  static Value none() {
    Value out;
    out.data_ = None{};
    return out;
  }
  static Value of(bool value) { return Value(value); }
  static Value of(std::int64_t value) { return Value(value); }
  static Value of(double value) { return Value(value); }
  static Value of(std::shared_ptr<const String> value) { return Value(std::move(value)); }
  static Value of(std::shared_ptr<Sequence> value) { return Value(std::move(value)); }
  static Value of(std::shared_ptr<const Dict> value) { return Value(std::move(value)); }
  static Value of(std::shared_ptr<Object> value) { return Value(std::move(value)); }

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  /// An int that is not a bool.
  bool is_int() const { return std::holds_alternative<std::int64_t>(data_); }
  bool is_float() const { return std::holds_alternative<double>(data_); }
  bool is_number() const { return is_bool() || is_int() || is_float(); }
  bool is_string() const { return std::holds_alternative<std::shared_ptr<const String>>(data_); }
  bool is_sequence() const { return std::holds_alternative<std::shared_ptr<Sequence>>(data_); }
  bool is_dict() const { return std::holds_alternative<std::shared_ptr<const Dict>>(data_); }
  bool is_object() const { return std::holds_alternative<std::shared_ptr<Object>>(data_); }

  // Each needs the type asked for above.
  bool boolean() const { return *std::get_if<bool>(&data_); }
  std::int64_t integer() const { return *std::get_if<std::int64_t>(&data_); }
  double real() const { return *std::get_if<double>(&data_); }
  const String& string() const { return **std::get_if<std::shared_ptr<const String>>(&data_); }
  Sequence& sequence() const { return **std::get_if<std::shared_ptr<Sequence>>(&data_); }
  const Dict& dict() const { return **std::get_if<std::shared_ptr<const Dict>>(&data_); }
  Object& object() const { return **std::get_if<std::shared_ptr<Object>>(&data_); }
  std::string_view hint() const;

  /// An int, or a bool as 0 or 1.
  std::optional<std::int64_t> as_integer() const;
  /// Any number as a float.
  std::optional<double> as_real() const;
  bool truthy() const;
  /// Python's `is`, as far as it can be told for values.
  bool same(const Value& other) const;
  /// Python's name of its type: "str", "int", "dict".
  std::string_view type_name() const;
  /// How many containers are nested in it; 0 for scalars.
  int depth() const;

 private:
  template <class T>
  explicit Value(T value) : data_(std::move(value)) {}
  std::variant<Undefined, None, bool, std::int64_t, double, std::shared_ptr<const String>, std::shared_ptr<Sequence>,
               std::shared_ptr<const Dict>, std::shared_ptr<Object>>
      data_;
};

struct Sequence {
  SequenceType type = SequenceType::list;
  std::vector<Value> items;
  int depth = 1;
  std::size_t next = 0;                        ///< of an iterator: how many are used up
  std::int64_t start = 0, stop = 0, step = 1;  ///< of a range
  Charge charge;

  bool has_length() const { return type != SequenceType::iterator; }
  bool subscriptable() const {
    return type == SequenceType::list || type == SequenceType::tuple || type == SequenceType::group ||
           type == SequenceType::range;
  }
};

/// Keeps the order of insertion. Keys are compared as Python compares them: 1, 1.0 and true are one key.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  int depth = 1;
  Charge charge;

  /// Null where there is none.
  const Value* find(std::string_view key) const;
  const Value* find(const Value& key) const;
  /// Adds or replaces; false where the key is a list, a dict or something else that cannot be one.
  bool set(Value key, Value value);

 private:
  std::unordered_map<std::string, std::size_t> index_;  ///< by `hash_key`
};

/// A text that is equal for equal keys and different for others; nothing for values that cannot be keys.
std::optional<std::string> hash_key(const Value& value);

/// Calls of functions, macros, filters and tests.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
  Charge charge;  ///< for elements of *args
};

}  // namespace strata::text::jinja
