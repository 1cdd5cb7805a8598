// Owns: `%` and str.format. Source: The Python Standard Library, "printf-style String Formatting", "Format String Syntax".
#include "text/jinja/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/print.h"
#include "text/jinja/strings.h"
#include "text/utf8.h"

namespace strata::text::jinja {

namespace {

/// Widths and precisions; more would only fill memory.
constexpr int max_width = 10'000;

/// How one value is laid out.
struct Layout {
  char32_t fill = U' ';
  char align = 0;  ///< '<', '>', '^', '=' (between sign and digits), or 0: as the type likes it
  char sign = '-';
  bool alternate = false;
  bool comma = false;
  int width = 0;
  int precision = -1;
  char type = 0;
};

void pad(TextBuilder& out, const Layout& layout, std::size_t count) {
  std::string fill;
  append_utf8(fill, layout.fill);
  for (std::size_t i = 0; i < count; ++i) out.append(fill, false);
}

/// `text` with fill characters around it; '=' fills behind a sign or a prefix of `prefix` bytes.
void lay_out(const Layout& layout, const String& text, std::size_t prefix, char usual, TextBuilder& out) {
  const auto width = static_cast<std::size_t>(layout.width);
  const std::size_t missing = width > text.length ? width - text.length : 0;
  const char align = layout.align ? layout.align : usual;
  const std::size_t before = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  pad(out, layout, before);
  if (align == '=') {
    out.append(text, 0, prefix);
    pad(out, layout, missing);
    out.append(text, prefix, text.bytes.size());
    return;
  }
  out.append(text);
  pad(out, layout, missing - before);
}

void lay_out_number(Machine& machine, const Layout& layout, std::string sign, std::string prefix, std::string digits,
                    TextBuilder& out) {
  if (layout.comma) {
    const std::size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
    for (std::size_t at = whole; at > 3; at -= 3) digits.insert(at - 3, ",");
  }
  if (sign.empty() && layout.sign != '-') sign = layout.sign;
  Value text = machine.text(sign + prefix + digits);
  if (!machine.failed()) lay_out(layout, text.string(), sign.size() + prefix.size(), '>', out);
}

void lay_out_integer(Machine& machine, const Layout& layout, std::int64_t value, TextBuilder& out) {
  const int base = layout.type == 'x' || layout.type == 'X' ? 16 : layout.type == 'o' ? 8 : layout.type == 'b' ? 2 : 10;
  const bool negative = value < 0;
  const std::uint64_t magnitude = negative ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  char buffer[72];
  std::string digits(buffer, std::to_chars(buffer, buffer + sizeof buffer, magnitude, base).ptr);
  if (static_cast<int>(digits.size()) < layout.precision)
    digits.insert(0, static_cast<std::size_t>(layout.precision) - digits.size(), '0');
  std::string prefix = !layout.alternate || base == 10 ? "" : base == 16 ? "0x" : base == 8 ? "0o" : "0b";
  if (layout.type == 'X') {
    for (std::string* part : {&digits, &prefix})
      for (char& c : *part) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  }
  lay_out_number(machine, layout, negative ? "-" : "", prefix, digits, out);
}

void lay_out_float(Machine& machine, const Layout& layout, double value, TextBuilder& out) {
  const bool negative = std::signbit(value) && !std::isnan(value);
  const double magnitude = std::fabs(value);
  std::string digits;
  if (layout.type == 0 && layout.precision < 0) {
    digits = float_text(magnitude);
  } else {
    const bool capital = layout.type == 'E' || layout.type == 'F' || layout.type == 'G';
    char kind = layout.type == 0 || layout.type == '%' ? (layout.type == '%' ? 'f' : 'g') : layout.type;
    if (capital) kind = static_cast<char>(kind + 32);
    digits =
        float_text(layout.type == '%' ? magnitude * 100 : magnitude, kind, layout.precision < 0 ? 6 : layout.precision);
    if (layout.type == '%') digits += '%';
    if (capital)
      for (char& c : digits) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  }
  lay_out_number(machine, layout, negative ? "-" : "", "", digits, out);
}

/// The text, cut to the precision.
void lay_out_text(Machine& machine, const Layout& layout, const Value& value, TextBuilder& out) {
  Value text = value;
  if (layout.precision >= 0 && static_cast<std::size_t>(layout.precision) < text.string().length)
    text = substring(machine, text.string(), 0, byte_offset(text.string(), static_cast<std::size_t>(layout.precision)));
  if (!machine.failed()) lay_out(layout, text.string(), 0, '<', out);
}

/// Reads a number of the pattern; false when it is too large.
bool read_number(Machine& machine, std::string_view text, std::size_t& at, int& out) {
  int value = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    value = value * 10 + (text[at] - '0');
    if (value > max_width) {
      machine.fail("a width or precision is over ", max_width);
      return false;
    }
  }
  out = value;
  return true;
}

// --- pattern % argument ----------------------------------------------------------------------------------------------

class Percent {
 public:
  Percent(Machine& machine, const String& pattern, const Value& argument)
      : machine_(machine), pattern_(pattern), argument_(argument), out_(machine) {
    several_ = argument.is_sequence() && argument.sequence().type == SequenceType::tuple;
  }

  Value run() {
    const std::string_view text = pattern_.bytes;
    std::size_t at = 0;
    while (at < text.size() && !machine_.failed()) {
      const std::size_t percent = std::min(text.find('%', at), text.size());
      out_.append(pattern_, at, percent);
      at = percent;
      if (at < text.size()) directive(++at);
    }
    const std::size_t given = several_ ? argument_.sequence().items.size() : 1;
    if (!machine_.failed() && used_ < given && !argument_.is_dict() && !(argument_.is_sequence() && !several_))
      return machine_.fail("not all arguments converted during string formatting");
    return out_.finish(pattern_.markup);
  }

 private:
  /// `at` stands behind the '%'.
  void directive(std::size_t& at) {
    const std::string_view text = pattern_.bytes;
    Layout layout;
    layout.align = '>';
    Value named;
    const bool by_name = at < text.size() && text[at] == '(';
    if (by_name) {
      const std::size_t end = text.find(')', at);
      if (end == std::string_view::npos) return void(machine_.fail("incomplete format key"));
      if (!argument_.is_dict()) return void(machine_.fail("format requires a mapping"));
      const Value* found = argument_.dict().find(text.substr(at + 1, end - at - 1));
      if (!found)
        return void(machine_.fail("the format names '", text.substr(at + 1, end - at - 1), "', which is not given"));
      named = *found;
      at = end + 1;
    }
    for (bool flag = true; flag && at < text.size(); at += flag) switch (text[at]) {
        case '-': layout.align = '<'; break;
        case '+': layout.sign = '+'; break;
        case ' ': layout.sign = layout.sign == '+' ? '+' : ' '; break;
        case '#': layout.alternate = true; break;
        case '0':
          if (layout.align == '>') layout.fill = U'0', layout.align = '=';
          break;
        default: flag = false;
      }
    if (!size(at, layout.width)) return;
    if (layout.width < 0) layout.align = '<', layout.width = -layout.width;
    if (at < text.size() && text[at] == '.' && !size(++at, layout.precision)) return;
    while (at < text.size() && (text[at] == 'l' || text[at] == 'h' || text[at] == 'L')) ++at;
    if (at == text.size()) return void(machine_.fail("incomplete format"));
    layout.type = text[at++];
    if (layout.type == '%') return out_.append("%", false);
    convert(layout, by_name ? named : next());
  }

  /// A number, or '*' for the next value.
  bool size(std::size_t& at, int& out) {
    if (at >= pattern_.bytes.size() || pattern_.bytes[at] != '*') return read_number(machine_, pattern_.bytes, at, out);
    ++at;
    auto given = next().as_integer();
    if (!given || *given > max_width || *given < -max_width)
      return machine_.fail("'*' needs an integer up to ", max_width), false;
    out = static_cast<int>(*given);
    return true;
  }

  Value next() {
    const std::size_t index = used_++;
    if (several_ ? index < argument_.sequence().items.size() : index == 0)
      return several_ ? argument_.sequence().items[index] : argument_;
    return machine_.fail("not enough arguments for format string");
  }

  void convert(Layout layout, const Value& value) {
    if (machine_.failed()) return;
    switch (layout.type) {
      case 's':
      case 'r':
      case 'a': {
        TextBuilder written(machine_);
        if (layout.type == 's') print(machine_, value, written);
        else represent(machine_, value, written);
        if (layout.align == '=') layout.align = '>', layout.fill = U' ';
        return lay_out_text(machine_, layout, written.finish(), out_);
      }
      case 'c': {
        if (value.is_string() && value.string().length == 1) return lay_out(layout, value.string(), 0, '>', out_);
        std::string bytes;
        auto code = value.as_integer();
        if (!code || *code < 0 || *code > 0x10FFFF || (*code >= 0xD800 && *code < 0xE000))
          return void(machine_.fail("%c requires a character"));
        append_utf8(bytes, static_cast<char32_t>(*code));
        Value text = machine_.text(bytes);
        return machine_.failed() ? void() : lay_out(layout, text.string(), 0, '>', out_);
      }
      case 'd':
      case 'i':
      case 'u': {
        auto integer = value.as_integer();
        if (!integer && value.is_float() && std::fabs(value.real()) < 9e18)
          integer = static_cast<std::int64_t>(value.real());
        if (!integer)
          return void(machine_.fail("%", layout.type, " format: a number is required, not ", value.type_name()));
        return lay_out_integer(machine_, layout, *integer, out_);
      }
      case 'x':
      case 'X':
      case 'o':
        if (!value.as_integer())
          return void(machine_.fail("%", layout.type, " format: an integer is required, not ", value.type_name()));
        return lay_out_integer(machine_, layout, *value.as_integer(), out_);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        if (!value.as_real()) return void(machine_.fail("must be real number, not ", value.type_name()));
        return lay_out_float(machine_, layout, *value.as_real(), out_);
      default: machine_.fail("unsupported format character '", layout.type, "'");
    }
  }

  Machine& machine_;
  const String& pattern_;
  const Value& argument_;
  TextBuilder out_;
  bool several_ = false;
  std::size_t used_ = 0;
};

// --- pattern.format(...) ---------------------------------------------------------------------------------------------

class Braces {
 public:
  Braces(Machine& machine, const String& pattern, const Arguments& arguments)
      : machine_(machine), pattern_(pattern), arguments_(arguments), out_(machine) {}

  Value run() {
    const std::string_view text = pattern_.bytes;
    std::size_t at = 0;
    while (at < text.size() && !machine_.failed()) {
      const std::size_t brace = std::min(text.find_first_of("{}", at), text.size());
      out_.append(pattern_, at, brace);
      at = brace;
      if (at == text.size()) break;
      if (at + 1 < text.size() && text[at + 1] == text[at]) {
        out_.append(pattern_, at, at + 1);
        at += 2;
      } else if (text[at] == '}') {
        return machine_.fail("Single '}' encountered in format string");
      } else {
        const std::size_t end = closing(++at);
        if (end == std::string_view::npos) return machine_.fail("expected '}' before end of string");
        field(text.substr(at, end - at));
        at = end + 1;
      }
    }
    return out_.finish(pattern_.markup);
  }

 private:
  /// Where the field that begins at `at` ends; fields inside a format specification count.
  std::size_t closing(std::size_t at) const {
    int open = 1;
    for (; at < pattern_.bytes.size(); ++at) {
      open += pattern_.bytes[at] == '{' ? 1 : pattern_.bytes[at] == '}' ? -1 : 0;
      if (open == 0) return at;
    }
    return std::string_view::npos;
  }

  void field(std::string_view text) {
    const std::size_t end = std::min(text.find_first_of("!:"), text.size());
    Value value = lookup(text.substr(0, end));
    if (machine_.failed()) return;
    std::string_view rest = text.substr(end);
    if (rest.starts_with('!')) {
      if (rest.size() < 2 || (rest[1] != 's' && rest[1] != 'r'))
        return void(machine_.fail("unknown conversion in a format field; known are !s and !r"));
      TextBuilder written(machine_);
      if (rest[1] == 's') print(machine_, value, written);
      else represent(machine_, value, written);
      value = written.finish();
      rest.remove_prefix(2);
    }
    std::string specification;
    if (rest.starts_with(':')) specification = nested(rest.substr(1));
    if (!machine_.failed()) write(value, specification);
  }

  /// A format specification, with the fields in it replaced.
  std::string nested(std::string_view text) {
    std::string out;
    while (!text.empty() && !machine_.failed()) {
      const std::size_t open = std::min(text.find('{'), text.size());
      out += text.substr(0, open);
      text.remove_prefix(open);
      if (text.empty()) break;
      const std::size_t close = text.find('}');
      if (close == std::string_view::npos) return machine_.fail("expected '}' before end of string"), out;
      Value written = print(machine_, lookup(text.substr(1, close - 1)));
      if (!machine_.failed()) out += written.string().bytes;
      text.remove_prefix(close + 1);
    }
    return out;
  }

  Value lookup(std::string_view name) {
    const std::size_t end = std::min(name.find_first_of(".["), name.size());
    const std::string_view first = name.substr(0, end);
    Value value;
    std::size_t index = 0;
    const bool number = !first.empty() && first.find_first_not_of("0123456789") == std::string_view::npos;
    if (first.empty() || number) {
      if (number) std::from_chars(first.data(), first.data() + first.size(), index);
      else index = next_++;
      if (index >= arguments_.positional.size())
        return machine_.fail("Replacement index ", index, " out of range for positional args");
      value = arguments_.positional[index];
    } else {
      auto named = std::find_if(arguments_.named.begin(), arguments_.named.end(),
                                [&](const auto& n) { return n.first == first; });
      if (named == arguments_.named.end()) return machine_.fail("the format names '", first, "', which is not given");
      value = named->second;
    }
    name.remove_prefix(end);
    while (!name.empty() && !machine_.failed()) {
      const bool item = name[0] == '[';
      const std::size_t stop = item ? name.find(']') : std::min(name.find_first_of(".[", 1), name.size());
      if (stop == std::string_view::npos || stop == 1) return machine_.fail("a format field is malformed");
      const std::string_view key = name.substr(1, stop - 1);
      std::int64_t position = 0;
      const bool numeric =
          std::from_chars(key.data(), key.data() + key.size(), position).ptr == key.data() + key.size();
      value = !item ? machine_.attribute(value, key)
                    : machine_.item(value, numeric ? Value::of(position) : machine_.text(key));
      if (value.is_undefined() && !machine_.failed()) return machine_.fail(value.hint());
      name.remove_prefix(stop + (item ? 1 : 0));
    }
    return value;
  }

  bool read_layout(const std::string& text, Layout& out) {
    std::size_t at = 0;
    const auto is_align = [&](std::size_t i) {
      return i < text.size() && std::string_view("<>=^").find(text[i]) != std::string_view::npos;
    };
    if (!text.empty()) {
      const std::size_t behind = character_bytes(text[0]);
      if (behind < text.size() && is_align(behind))
        out.fill = character_at(text, 0), out.align = text[behind], at = behind + 1;
      else if (is_align(0)) out.align = text[0], at = 1;
    }
    const auto take = [&](std::string_view known) {
      return at < text.size() && known.find(text[at]) != std::string_view::npos ? text[at++] : '\0';
    };
    if (char sign = take("+- ")) out.sign = sign;
    out.alternate = take("#") != 0;
    if (take("0") && !out.align) out.fill = U'0', out.align = '=';
    if (!read_number(machine_, text, at, out.width)) return false;
    out.comma = take(",") != 0;
    if (take(".") && !read_number(machine_, text, at, out.precision)) return false;
    out.type = take("bcdeEfFgGosxX%");
    if (at < text.size()) machine_.fail("Invalid format specifier '", text, "'");
    return at == text.size();
  }

  void write(const Value& value, const std::string& specification) {
    if (specification.empty()) return print(machine_, value, out_);
    Layout layout;
    if (!read_layout(specification, layout)) return;
    const bool integral = layout.type == 0 || std::string_view("bdoxX").find(layout.type) != std::string_view::npos;
    const bool real = layout.type != 0 && std::string_view("eEfFgG%").find(layout.type) != std::string_view::npos;
    if (value.is_string() && (layout.type == 0 || layout.type == 's'))
      return lay_out_text(machine_, layout, value, out_);
    if (value.as_integer() && integral) return lay_out_integer(machine_, layout, *value.as_integer(), out_);
    if (value.as_real() && (real || (value.is_float() && layout.type == 0)))
      return lay_out_float(machine_, layout, *value.as_real(), out_);
    machine_.fail("unsupported format string '", specification, "' for a ", value.type_name());
  }

  Machine& machine_;
  const String& pattern_;
  const Arguments& arguments_;
  TextBuilder out_;
  std::size_t next_ = 0;
};

}  // namespace

Value format_percent(Machine& machine, const String& pattern, const Value& argument) {
  return Percent(machine, pattern, argument).run();
}
Value format_braces(Machine& machine, const String& pattern, const Arguments& arguments) {
  return Braces(machine, pattern, arguments).run();
}

}  // namespace strata::text::jinja
