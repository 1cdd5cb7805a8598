// Owns: arithmetic, comparison, containment and slicing. Source: The Python Language Reference, sections 3.3, 6.
#include "text/jinja/operators.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "text/jinja/format.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"
#include "text/utf8.h"

namespace strata::text::jinja {

namespace {

constexpr const char* symbol(Operator op) {
  switch (op) {
    case Operator::add: return "+";
    case Operator::subtract: return "-";
    case Operator::multiply: return "*";
    case Operator::divide: return "/";
    case Operator::floor_divide: return "//";
    case Operator::modulo: return "%";
    case Operator::power: return "**";
  }
  return "?";
}

Value overflow(Machine& machine) { return machine.fail("an integer does not fit 64 bits"); }

Value integer_power(Machine& machine, std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return machine.fail("0 cannot be raised to a negative power");
    return Value::of(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  std::int64_t result = 1;
  for (bool odd; exponent > 0; exponent /= 2) {
    odd = exponent % 2 != 0;
    if (odd && __builtin_mul_overflow(result, base, &result)) return overflow(machine);
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) return overflow(machine);
  }
  return Value::of(result);
}

Value integers(Machine& machine, Operator op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool over = false;
  switch (op) {
    case Operator::add: over = __builtin_add_overflow(a, b, &result); break;
    case Operator::subtract: over = __builtin_sub_overflow(a, b, &result); break;
    case Operator::multiply: over = __builtin_mul_overflow(a, b, &result); break;
    case Operator::power: return integer_power(machine, a, b);
    case Operator::divide:
      if (b == 0) return machine.fail("division by zero");
      return Value::of(static_cast<double>(a) / static_cast<double>(b));
    case Operator::floor_divide:
    case Operator::modulo:
      if (b == 0) return machine.fail("integer division or modulo by zero");
      if (b == -1) {  // the one quotient that can overflow
        over = op == Operator::floor_divide && __builtin_sub_overflow(std::int64_t{0}, a, &result);
        break;
      }
      // Python rounds quotients down, and remainders have the sign of the divisor.
      result = op == Operator::floor_divide ? a / b - (a % b != 0 && (a < 0) != (b < 0))
                                            : a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0);
      break;
  }
  return over ? overflow(machine) : Value::of(result);
}

Value floats(Machine& machine, Operator op, double a, double b) {
  switch (op) {
    case Operator::add: return Value::of(a + b);
    case Operator::subtract: return Value::of(a - b);
    case Operator::multiply: return Value::of(a * b);
    case Operator::power: {
      if (a == 0 && b < 0) return machine.fail("0.0 cannot be raised to a negative power");
      const double result = std::pow(a, b);
      if (std::isnan(result) && !std::isnan(a) && !std::isnan(b)) return machine.fail("the power is a complex number");
      if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) return machine.fail("the power is too large");
      return Value::of(result);
    }
    case Operator::divide:
      if (b == 0) return machine.fail("float division by zero");
      return Value::of(a / b);
    case Operator::floor_divide:
    case Operator::modulo: break;
  }
  if (b == 0) return machine.fail("float floor division by zero");
  double rest = std::fmod(a, b);
  if (op == Operator::modulo) {
    if (rest != 0) rest += (rest < 0) != (b < 0) ? b : 0;
    else rest = std::copysign(0.0, b);
    return Value::of(rest);
  }
  double quotient = (a - rest) / b;
  if (rest != 0 && (rest < 0) != (b < 0)) quotient -= 1;
  const double whole = std::floor(quotient);
  return Value::of(quotient - whole > 0.5 ? whole + 1 : whole);
}

Value join_texts(Machine& machine, const Value& a, const Value& b) {
  const bool markup = a.string().markup || b.string().markup;
  const Value left = markup ? escape(machine, a) : a;
  const Value right = markup ? escape(machine, b) : b;
  if (machine.failed()) return {};
  TextBuilder out(machine);
  out.append(left.string());
  out.append(right.string());
  return out.finish(markup);
}

Value repeat_text(Machine& machine, const Value& value, std::int64_t times) {
  const String& text = value.string();
  TextBuilder out(machine);
  if (!fits(machine, times, text.bytes.size()) || text.bytes.empty() || times <= 0) return out.finish(text.markup);
  constexpr std::int64_t few = 32;
  std::int64_t rest = times;
  if (times > few) {  // copies of copies
    const Value several = repeat_text(machine, value, few);
    const Value most = machine.failed() ? Value() : repeat_text(machine, several, times / few);
    if (machine.failed()) return {};
    out.append(most.string());
    rest = times % few;
  }
  for (; rest > 0; --rest) out.append(text);
  return out.finish(text.markup);
}

Value repeat(Machine& machine, const Value& value, std::int64_t times) {
  if (value.is_string()) return repeat_text(machine, value, times);
  const std::vector<Value>& items = value.sequence().items;
  std::vector<Value> out;
  // Counted piece by piece, before the memory is used.
  for (std::int64_t i = 0; i < times && !items.empty(); ++i) {
    if (!machine.spend(items.size()) || (out.size() + items.size()) * sizeof(Value) > machine.limits().memory)
      return machine.fail("a repeated list takes more than ", machine.limits().memory, " bytes");
    out.insert(out.end(), items.begin(), items.end());
  }
  return machine.list(std::move(out), value.sequence().type);
}

bool repeats(const Value& value) {
  if (value.is_string()) return true;
  return value.is_sequence() &&
         (value.sequence().type == SequenceType::list || value.sequence().type == SequenceType::tuple);
}

Value join_lists(Machine& machine, const Value& a, const Value& b) {
  if (!machine.spend(a.sequence().items.size() + b.sequence().items.size())) return {};
  std::vector<Value> items = a.sequence().items;
  items.insert(items.end(), b.sequence().items.begin(), b.sequence().items.end());
  return machine.list(std::move(items), a.sequence().type);
}

}  // namespace

Value calculate(Machine& machine, Operator op, const Value& a, const Value& b) {
  if (machine.failed()) return {};
  for (const Value* side : {&a, &b})
    if (side->is_undefined() && !(op == Operator::modulo && a.is_string())) return machine.fail(side->hint());
  const auto left = a.as_integer(), right = b.as_integer();
  if (left && right) return integers(machine, op, *left, *right);
  if (a.is_number() && b.is_number()) return floats(machine, op, *a.as_real(), *b.as_real());
  if (op == Operator::add && a.is_string() && b.is_string()) return join_texts(machine, a, b);
  if (op == Operator::add && repeats(a) && repeats(b) && !a.is_string() && !b.is_string() &&
      a.sequence().type == b.sequence().type)
    return join_lists(machine, a, b);
  if (op == Operator::multiply && repeats(a) && right) return repeat(machine, a, *right);
  if (op == Operator::multiply && left && repeats(b)) return repeat(machine, b, *left);
  if (op == Operator::modulo && a.is_string()) return format_percent(machine, a.string(), b);
  if (op == Operator::add && a.is_string())
    return machine.fail("can only concatenate str (not \"", b.type_name(), "\") to str; `~` joins anything");
  return machine.fail("unsupported operand types for ", symbol(op), ": '", a.type_name(), "' and '", b.type_name(),
                      "'");
}

Value negate(Machine& machine, const Value& value) {
  if (machine.failed()) return {};
  if (value.is_undefined()) return machine.fail(value.hint());
  if (value.is_float()) return Value::of(-value.real());
  if (auto integer = value.as_integer()) return integers(machine, Operator::subtract, 0, *integer);
  return machine.fail("bad operand type for unary -: '", value.type_name(), "'");
}

Value plus(Machine& machine, const Value& value) {
  if (machine.failed()) return {};
  if (value.is_undefined()) return machine.fail(value.hint());
  if (value.is_float()) return value;
  if (auto integer = value.as_integer()) return Value::of(*integer);
  return machine.fail("bad operand type for unary +: '", value.type_name(), "'");
}

bool equal(Machine& machine, const Value& a, const Value& b) {
  if (!machine.spend(1)) return false;
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
  const auto left = a.as_integer(), right = b.as_integer();
  if (left && right) return *left == *right;
  if (a.is_number() && b.is_number()) return *a.as_real() == *b.as_real();
  if (a.is_string() && b.is_string()) {
    machine.spend_bytes(std::min(a.string().bytes.size(), b.string().bytes.size()));
    return a.string().bytes == b.string().bytes;
  }
  if (a.same(b)) return true;
  if (a.is_sequence() && b.is_sequence()) {
    const Sequence &x = a.sequence(), &y = b.sequence();
    if (x.type != y.type || !x.has_length() || x.type == SequenceType::values) return false;
    return std::equal(x.items.begin(), x.items.end(), y.items.begin(), y.items.end(),
                      [&](const Value& p, const Value& q) { return p.same(q) || equal(machine, p, q); });
  }
  if (a.is_dict() && b.is_dict()) {
    if (a.dict().entries.size() != b.dict().entries.size()) return false;
    for (const auto& [key, value] : a.dict().entries) {
      const Value* other = b.dict().find(key);
      if (!other || !(value.same(*other) || equal(machine, value, *other))) return false;
    }
    return true;
  }
  return false;
}

std::partial_ordering order(Machine& machine, const Value& a, const Value& b) {
  if (!machine.spend(1)) return std::partial_ordering::unordered;
  for (const Value* side : {&a, &b})
    if (side->is_undefined()) {
      machine.fail(side->hint());
      return std::partial_ordering::unordered;
    }
  const auto left = a.as_integer(), right = b.as_integer();
  if (left && right) return *left <=> *right;
  if (a.is_number() && b.is_number()) return *a.as_real() <=> *b.as_real();
  if (a.is_string() && b.is_string()) {
    machine.spend_bytes(std::min(a.string().bytes.size(), b.string().bytes.size()));
    // The order of UTF-8 bytes is the order of code points; char_traits compares bytes as unsigned.
    return a.string().bytes.compare(b.string().bytes) <=> 0;
  }
  if (repeats(a) && repeats(b) && !a.is_string() && !b.is_string() && a.sequence().type == b.sequence().type) {
    const auto &x = a.sequence().items, &y = b.sequence().items;
    for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i)
      if (!x[i].same(y[i]) && !equal(machine, x[i], y[i])) return order(machine, x[i], y[i]);
    return x.size() <=> y.size();
  }
  machine.fail("'", a.type_name(), "' and '", b.type_name(), "' cannot be ordered");
  return std::partial_ordering::unordered;
}

bool contains(Machine& machine, const Value& container, const Value& item) {
  if (machine.failed()) return false;
  if (container.is_undefined()) return false;
  if (container.is_string()) {
    if (!item.is_string()) {
      machine.fail("'in <string>' requires string as left operand, not ", item.type_name());
      return false;
    }
    machine.spend_bytes(container.string().bytes.size() + item.string().bytes.size());
    return find_text(container.string().bytes, item.string().bytes, 0) != std::string::npos;
  }
  if (container.is_dict()) {
    if (!hash_key(item)) machine.fail("unhashable type: '", item.type_name(), "'");
    return container.dict().find(item) != nullptr;
  }
  if (container.is_sequence()) {
    Sequence& sequence = container.sequence();
    const bool used_up =
        sequence.type == SequenceType::iterator;  // looking into an iterator uses it up as far as it goes
    for (std::size_t i = used_up ? sequence.next : 0; i < sequence.items.size(); ++i) {
      if (used_up) sequence.next = i + 1;
      if (sequence.items[i].same(item) || equal(machine, sequence.items[i], item)) return true;
      if (machine.failed()) return false;
    }
    return false;
  }
  machine.fail("argument of type '", container.type_name(), "' is not iterable");
  return false;
}

bool holds(Machine& machine, Comparator comparator, const Value& a, const Value& b) {
  if (machine.failed()) return false;
  switch (comparator) {
    case Comparator::equal: return equal(machine, a, b);
    case Comparator::not_equal: return !equal(machine, a, b);
    case Comparator::less: return std::is_lt(order(machine, a, b));
    case Comparator::less_equal: return std::is_lteq(order(machine, a, b));
    case Comparator::greater: return std::is_gt(order(machine, a, b));
    case Comparator::greater_equal: return std::is_gteq(order(machine, a, b));
    case Comparator::in: return contains(machine, b, a);
    case Comparator::not_in: return !contains(machine, b, a);
  }
  return false;
}

namespace {

/// What a slice selects: `count` elements from `first` on, each `step` further.
struct Selection {
  std::int64_t first = 0, step = 1, count = 0;
};

/// One bound of a slice, as Python clamps it. `low` and `high` are the places before and behind all elements.
bool clamp(Machine& machine, const Value& bound, std::int64_t size, std::int64_t low, std::int64_t high,
           std::int64_t& out) {
  if (bound.is_none()) return true;
  auto index = bound.as_integer();
  if (!index) {
    machine.fail("slice indices must be integers, not ", bound.type_name());
    return false;
  }
  out = std::clamp(*index < 0 ? *index + size : *index, low, high);
  return true;
}

Selection select(Machine& machine, std::int64_t size, const Value& start, const Value& stop, const Value& step) {
  Selection out;
  if (!step.is_none()) {
    auto given = step.as_integer();
    if (!given) return machine.fail("slice step must be an integer, not ", step.type_name()), out;
    if (*given == 0) return machine.fail("slice step cannot be zero"), out;
    out.step = std::clamp<std::int64_t>(*given, -std::numeric_limits<std::int64_t>::max(),
                                        std::numeric_limits<std::int64_t>::max());
  }
  const bool up = out.step > 0;
  const std::int64_t low = up ? 0 : -1, high = up ? size : size - 1;
  std::int64_t first = up ? low : high, last = up ? high : low;
  if (!clamp(machine, start, size, low, high, first) || !clamp(machine, stop, size, low, high, last)) return out;
  out.first = first;
  if (up && first < last) out.count = (last - first - 1) / out.step + 1;
  if (!up && first > last) out.count = (first - last - 1) / -out.step + 1;
  return out;
}

Value slice_text(Machine& machine, const String& text, const Selection& s) {
  machine.spend_bytes(text.bytes.size());
  if (s.count == 0) return machine.text("");
  if (s.step == 1)
    return substring(machine, text, byte_offset(text, static_cast<std::size_t>(s.first)),
                     byte_offset(text, static_cast<std::size_t>(s.first + s.count)));
  std::vector<std::size_t> begins;  // of every character, and the text's end
  if (!machine.reserve((text.length + 1) * sizeof(std::size_t))) return {};
  Charge given_back = machine.charge((text.length + 1) * sizeof(std::size_t));
  begins.reserve(text.length + 1);
  for (std::size_t at = 0; at < text.bytes.size(); at += character_bytes(text.bytes[at])) begins.push_back(at);
  begins.push_back(text.bytes.size());
  TextBuilder out(machine);
  for (std::int64_t i = 0; i < s.count && !machine.failed(); ++i) {
    const auto at = static_cast<std::size_t>(s.first + i * s.step);
    out.append(text, begins[at], begins[at + 1]);
  }
  return out.finish(text.markup);
}

}  // namespace

Value slice(Machine& machine, const Value& object, const Value& start, const Value& stop, const Value& step) {
  if (machine.failed()) return {};
  if (object.is_undefined()) return machine.fail(object.hint());
  auto size = machine.length(object);
  if (!size || !(object.is_string() || (object.is_sequence() && object.sequence().subscriptable())))
    return machine.fail("'", object.type_name(), "' object cannot be sliced");
  Selection s = select(machine, *size, start, stop, step);
  if (machine.failed()) return {};
  if (object.is_string()) return slice_text(machine, object.string(), s);
  if (!machine.spend(static_cast<std::uint64_t>(s.count) / 4 + 1)) return {};
  std::vector<Value> items;
  items.reserve(static_cast<std::size_t>(s.count));
  for (std::int64_t i = 0; i < s.count; ++i)
    items.push_back(object.sequence().items[static_cast<std::size_t>(s.first + i * s.step)]);
  if (object.sequence().type == SequenceType::range && s.count > 0) {
    // Unsigned, for the step of a range with one number may be anything.
    const auto wide = [](std::int64_t x) { return static_cast<std::uint64_t>(x); };
    const auto stride = static_cast<std::int64_t>(wide(object.sequence().step) * wide(s.step));
    const auto behind = static_cast<std::int64_t>(wide(items.back().integer()) + wide(stride > 0 ? 1 : -1));
    return machine.range(items.front().integer(), behind, stride);
  }
  return machine.list(std::move(items), object.sequence().type);
}

Value escape(Machine& machine, const Value& value) {
  Value printed = print(machine, value);
  if (machine.failed() || printed.string().markup) return printed;
  Value out = map_characters(machine, printed.string(), [&](char32_t c, auto write) {
    std::string bytes;
    switch (c) {
      case '&': return write("&amp;");
      case '<': return write("&lt;");
      case '>': return write("&gt;");
      case '\'': return write("&#39;");
      case '"': return write("&#34;");
      default: append_utf8(bytes, c), write(bytes);
    }
  });
  if (machine.failed()) return {};
  TextBuilder marked(machine);
  marked.append(out.string());
  return marked.finish(true);
}

}  // namespace strata::text::jinja
