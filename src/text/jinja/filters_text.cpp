// Owns: the filters that make text or numbers. Source: the Jinja documentation, "List of Builtin Filters"; `tojson` as
// Hugging Face's transformers defines it.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/builtins.h"
#include "text/jinja/format.h"
#include "text/jinja/json.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace strata::text::jinja {

namespace {

/// The input as a string, in which a filter of text sees every value.
class Text {
 public:
  Text(Machine& machine, const Value& value) : value_(print(machine, value)) {
    if (!value_.is_string()) value_ = constant_text("");  // after an error
  }
  const String& operator*() const { return value_.string(); }
  const String* operator->() const { return &value_.string(); }
  const Value& value() const { return value_; }

 private:
  Value value_;
};

Value filter_upper(Machine& machine, const Value& input, const Bound&) {
  return to_upper(machine, *Text(machine, input));
}
Value filter_lower(Machine& machine, const Value& input, const Bound&) {
  return to_lower(machine, *Text(machine, input));
}
Value filter_capitalize(Machine& machine, const Value& input, const Bound&) {
  return capitalize(machine, *Text(machine, input));
}

/// Unlike str.title, words begin at spaces, hyphens and opening brackets alone.
Value filter_title(Machine& machine, const Value& input, const Bound&) {
  const Text text(machine, input);
  const Value small = to_lower(machine, *text);
  if (machine.failed() || small.string().length != text->length) return small;
  bool inside = false;
  std::size_t other = 0;  // in the lower-case text
  return map_characters(machine, *text, [&](char32_t c, auto out) {
    const bool between = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    std::string bytes;
    if (between || !inside)
      for (char32_t first : between ? std::u32string(1, c) : upper_case(c)) append_utf8(bytes, first);
    const std::size_t size = character_bytes(small.string().bytes[other]);
    out(between || !inside ? std::string_view(bytes) : std::string_view(small.string().bytes).substr(other, size));
    other += size;
    inside = !between;
  });
}

Value filter_trim(Machine& machine, const Value& input, const Bound& arguments) {
  const String* set = arguments.has(0) ? text_argument(machine, arguments, 0, "trim") : nullptr;
  return strip(machine, *Text(machine, input), set, Side::both);
}

Value filter_replace(Machine& machine, const Value& input, const Bound& arguments) {
  return replace(machine, *Text(machine, input), *Text(machine, arguments[0]), *Text(machine, arguments[1]),
                 arguments.has(2) ? integer_argument(machine, arguments, 2, -1, "replace") : -1);
}

Value filter_string(Machine& machine, const Value& input, const Bound&) { return print(machine, input); }
Value filter_safe(Machine& machine, const Value& input, const Bound&) {
  TextBuilder out(machine);
  print(machine, input, out);
  return out.finish(true);
}
Value filter_escape(Machine& machine, const Value& input, const Bound&) { return escape(machine, input); }
Value filter_forceescape(Machine& machine, const Value& input, const Bound&) {
  TextBuilder out(machine);
  print(machine, input, out);
  return escape(machine, out.finish());
}

Value filter_center(Machine& machine, const Value& input, const Bound& arguments) {
  return center(machine, *Text(machine, input), integer_argument(machine, arguments, 0, 80, "center"), nullptr);
}

Value filter_indent(Machine& machine, const Value& input, const Bound& arguments) {
  if (!input.is_string()) return machine.fail("indent: a string is required, not ", input.type_name());
  std::string spaces;
  if (!arguments.values[0] || !arguments[0].is_string()) {
    const std::int64_t width = integer_argument(machine, arguments, 0, 4, "indent");
    if (width > 10'000) return machine.fail("indent: a width over 10000");
    spaces.assign(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' ');
  }
  const Value indent = arguments.values[0] && arguments[0].is_string() ? arguments[0] : constant_text(spaces);
  const bool first = arguments.truthy(1), blank = arguments.truthy(2);
  // A line end is added so that a last empty line counts as a line.
  Value ended = calculate(machine, Operator::add, input, constant_text("\n"));
  if (machine.failed()) return {};
  TextBuilder out(machine);
  bool begins = true;
  for (const Value& line : split_lines(machine, ended.string(), false)) {
    if (!begins) out.append("\n", false);
    if (begins ? first : blank || !line.string().bytes.empty()) out.append(indent.string());
    out.append(line.string());
    begins = false;
  }
  return out.finish(input.string().markup);
}

Value filter_truncate(Machine& machine, const Value& input, const Bound& arguments) {
  if (!input.is_string()) return machine.fail("truncate: a string is required, not ", input.type_name());
  const Value end = arguments.values[2] ? arguments[2] : constant_text("...");
  if (!end.is_string()) return machine.fail("truncate: the end is not a string");
  const auto tail = static_cast<std::int64_t>(end.string().length);
  const std::int64_t length = integer_argument(machine, arguments, 0, 255, "truncate");
  const std::int64_t leeway = arguments.has(3) ? integer_argument(machine, arguments, 3, 5, "truncate") : 5;
  if (length < tail || leeway < 0)
    return machine.fail("truncate: the length ", length, " is below that of the end, or the leeway below 0");
  if (length >= std::int64_t{1} << 40 ||
      static_cast<std::int64_t>(input.string().length) <= length + std::min(leeway, std::int64_t{1} << 40))
    return input;
  const String& text = input.string();
  std::size_t cut = byte_offset(text, static_cast<std::size_t>(length - tail));
  if (!arguments.truthy(1))
    if (const std::size_t space = text.bytes.substr(0, cut).rfind(' '); space != std::string::npos) cut = space;
  TextBuilder out(machine);
  out.append(text, 0, cut);
  out.append(end.string());
  return out.finish(text.markup);
}

Value filter_format(Machine& machine, const Value& input, const Bound& arguments) {
  const Arguments& all = *arguments.all;
  if (!all.positional.empty() && !all.named.empty())
    return machine.fail("format: positional or named arguments, not both");
  if (all.named.empty()) return format_percent(machine, *Text(machine, input), machine.tuple(all.positional));
  Dict named;
  for (const auto& [name, value] : all.named) machine.set(named, machine.text(name), value);
  return format_percent(machine, *Text(machine, input), machine.dict(std::move(named)));
}

Value filter_wordcount(Machine& machine, const Value& input, const Bound&) {
  std::int64_t count = 0;
  bool inside = false;
  map_characters(machine, *Text(machine, input), [&](char32_t c, auto) {
    const bool word = is_letter(c) || is_numeric(c) || c == '_';
    count += word && !inside;
    inside = word;
  });
  return Value::of(count);
}

/// Percent-encodes; in a query's pairs a space is '+' and '/' is not spared.
void quote(const String& text, bool query, TextBuilder& out) {
  constexpr char digits[] = "0123456789ABCDEF";
  for (std::size_t at = 0; at < text.bytes.size(); ++at) {
    const char c = text.bytes[at];
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view("_.-~").find(c) != std::string_view::npos || (c == '/' && !query);
    const auto byte = static_cast<unsigned char>(c);
    const char escaped[] = {'%', digits[byte >> 4], digits[byte & 15]};
    if (plain) out.append(text, at, at + 1);
    else if (query && c == ' ') out.append("+", has_content(text, at, at + 1));
    else out.append(std::string_view(escaped, 3), has_content(text, at, at + 1));
  }
}

Value filter_urlencode(Machine& machine, const Value& input, const Bound&) {
  TextBuilder out(machine);
  if (input.is_string() || !machine.iterable(input)) {
    quote(*Text(machine, input), false, out);
    return out.finish();
  }
  std::vector<Value> pairs;
  if (input.is_dict())
    for (const auto& [key, value] : input.dict().entries) pairs.push_back(machine.tuple({key, value}));
  else pairs = machine.elements(input);
  bool first = true;
  for (const Value& pair : pairs) {
    const std::vector<Value> parts = machine.elements(pair);
    if (machine.failed() || parts.size() != 2) return machine.fail("urlencode: pairs are required");
    if (!std::exchange(first, false)) out.append("&", false);
    quote(*Text(machine, parts[0]), true, out);
    out.append("=", false);
    quote(*Text(machine, parts[1]), true, out);
  }
  return out.finish();
}

Value filter_tojson(Machine& machine, const Value& input, const Bound& arguments) {
  JsonLayout layout;
  layout.ensure_ascii = arguments.truthy(0);
  layout.lines = arguments.has(1);
  layout.sort_keys = arguments.truthy(3);
  if (arguments.has(1) && arguments[1].is_string()) {
    layout.indent = arguments[1];
  } else {
    const std::int64_t width = arguments.has(1) ? integer_argument(machine, arguments, 1, 0, "tojson: indent") : 0;
    if (width > 1000) return machine.fail("tojson: an indent over 1000");
    layout.indent = constant_text(std::string(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' '));
  }
  layout.item_separator = constant_text(layout.lines ? "," : ", ");
  layout.key_separator = constant_text(": ");
  if (arguments.has(2)) {
    const std::vector<Value> separators = machine.elements(arguments[2]);
    if (separators.size() != 2 || !separators[0].is_string() || !separators[1].is_string())
      return machine.fail("tojson: separators are two strings");
    layout.item_separator = separators[0], layout.key_separator = separators[1];
  }
  if (machine.failed()) return {};
  return dump_json(machine, input, layout);
}

// --- numbers ---------------------------------------------------------------------------------------------------------

/// As Python's int(text, base) and float(text) read: spaces around, underscores between digits.
std::string number_text(std::string_view text) {
  constexpr std::string_view space = " \t\n\r\f\v";
  const std::size_t first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  text = text.substr(first, text.find_last_not_of(space) - first + 1);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool between = i > 0 && i + 1 < text.size() && text[i - 1] != '_' && text[i + 1] != '_';
    if (text[i] != '_' || !between) out += text[i];
  }
  return out;
}

std::optional<std::int64_t> parse_integer(std::string text, std::int64_t base) {
  text = number_text(text);
  bool negative = false;
  std::string_view rest = text;
  if (rest.starts_with('-') || rest.starts_with('+')) negative = rest[0] == '-', rest.remove_prefix(1);
  for (auto [prefix, of] : {std::pair{"0x", 16}, std::pair{"0o", 8}, std::pair{"0b", 2}})
    if ((base == of || base == 0) && rest.size() > 2 && rest[0] == '0' && (rest[1] | 0x20) == prefix[1]) {
      rest.remove_prefix(2);
      base = of;
      break;
    }
  if (base == 0) base = 10;
  if (base < 2 || base > 36 || rest.empty() || rest[0] == '-' || rest[0] == '+') return std::nullopt;
  const std::string signed_text = (negative ? "-" : "") + std::string(rest);
  std::int64_t out = 0;
  const char* end = signed_text.data() + signed_text.size();
  auto [stop, error] = std::from_chars(signed_text.data(), end, out, static_cast<int>(base));
  if (stop != end || error != std::errc()) return std::nullopt;
  return out;
}

std::optional<double> parse_real(std::string_view given) {
  std::string text = number_text(given);
  if (text.starts_with('+')) text.erase(0, 1);
  double out = 0;
  auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || stop != text.data() + text.size() || error != std::errc()) return std::nullopt;
  return out;
}

std::optional<std::int64_t> whole(double value) {
  if (!(std::fabs(value) < 9.2e18)) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

Value filter_int(Machine& machine, const Value& input, const Bound& arguments) {
  const Value fallback = arguments.values[0] ? arguments[0] : Value::of(std::int64_t{0});
  if (input.is_undefined()) return machine.fail(input.hint());
  std::optional<std::int64_t> out = input.as_integer();
  if (input.is_float()) out = whole(input.real());
  if (input.is_string()) {
    out = parse_integer(input.string().bytes, integer_argument(machine, arguments, 1, 10, "int"));
    if (!out)
      if (auto real = parse_real(input.string().bytes)) out = whole(*real);
  }
  return out ? Value::of(*out) : fallback;
}

Value filter_float(Machine& machine, const Value& input, const Bound& arguments) {
  if (input.is_undefined()) return machine.fail(input.hint());
  if (auto real = input.as_real()) return Value::of(*real);
  if (input.is_string())
    if (auto real = parse_real(input.string().bytes)) return Value::of(*real);
  return arguments.values[0] ? arguments[0] : Value::of(0.0);
}

Value filter_abs(Machine& machine, const Value& input, const Bound&) {
  if (input.is_float()) return Value::of(std::fabs(input.real()));
  auto integer = input.as_integer();
  if (!integer) return machine.fail("bad operand type for abs(): '", input.type_name(), "'");
  return *integer < 0 ? negate(machine, input) : Value::of(*integer);
}

Value filter_round(Machine& machine, const Value& input, const Bound& arguments) {
  const std::int64_t precision = integer_argument(machine, arguments, 0, 0, "round");
  std::string_view method = "common";
  if (arguments.values[1]) {
    const String* given = text_argument(machine, arguments, 1, "round");
    method = given ? std::string_view(given->bytes) : method;
  }
  if (method != "common" && method != "ceil" && method != "floor")
    return machine.fail("round: the method is common, ceil or floor");
  if (!input.is_number()) return machine.fail("round: a number is required, not ", input.type_name());
  if (precision < -300 || precision > 300) return machine.fail("round: a precision of ", precision);
  const double value = *input.as_real(), scale = std::pow(10.0, static_cast<double>(precision));
  if (method != "common")
    return Value::of((method == "ceil" ? std::ceil(value * scale) : std::floor(value * scale)) / scale);
  if (!input.is_float() && precision >= 0) return Value::of(*input.as_integer());
  if (!std::isfinite(value)) return Value::of(value);
  if (precision < 0) {
    const double rounded = std::nearbyint(value * scale) / scale;
    if (input.is_float()) return Value::of(rounded);
    auto integer = whole(rounded);
    return integer ? Value::of(*integer) : machine.fail("an integer does not fit 64 bits");
  }
  // Correctly rounded: through the exact decimal digits.
  return Value::of(parse_real(float_text(value, 'f', static_cast<int>(precision))).value_or(value));
}

Value filter_filesizeformat(Machine& machine, const Value& input, const Bound& arguments) {
  const Value number = filter_float(machine, input, Bound{});
  if (machine.failed()) return {};
  const double bytes = number.real(), base = arguments.truthy(0) ? 1024 : 1000;
  if (bytes == 1) return machine.text("1 Byte");
  if (!(bytes >= base)) return machine.text(str(whole(bytes).value_or(0), " Bytes"));
  constexpr std::string_view prefixes = "kMGTPEZY";
  double unit = base * base;
  std::size_t i = 0;
  for (; i + 1 < prefixes.size() && bytes >= unit; ++i) unit *= base;
  const char prefix = i == 0 && base == 1024 ? 'K' : prefixes[i];
  return machine.text(str(float_text(base * bytes / unit, 'f', 1), ' ', prefix, base == 1024 ? "iB" : "B"));
}

constexpr Builtin table[] = {
    {"abs", "", 0, filter_abs},
    {"capitalize", "", 0, filter_capitalize},
    {"center", "width", 0, filter_center},
    {"e", "", 0, filter_escape},
    {"escape", "", 0, filter_escape},
    {"filesizeformat", "binary", 0, filter_filesizeformat},
    {"float", "default", 0, filter_float},
    {"forceescape", "", 0, filter_forceescape},
    {"format", "*", 0, filter_format},
    {"indent", "width first blank", 0, filter_indent},
    {"int", "default base", 0, filter_int},
    {"lower", "", 0, filter_lower},
    {"replace", "old new count", 2, filter_replace},
    {"round", "precision method", 0, filter_round},
    {"safe", "", 0, filter_safe},
    {"string", "", 0, filter_string},
    {"title", "", 0, filter_title},
    {"tojson", "ensure_ascii indent separators sort_keys", 0, filter_tojson},
    {"trim", "chars", 0, filter_trim},
    {"truncate", "length killwords end leeway", 0, filter_truncate},
    {"upper", "", 0, filter_upper},
    {"urlencode", "", 0, filter_urlencode},
    {"wordcount", "", 0, filter_wordcount},
};

}  // namespace

std::span<const Builtin> text_filters() { return table; }

}  // namespace strata::text::jinja
