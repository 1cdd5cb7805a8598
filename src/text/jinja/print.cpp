// Owns: Python's str() and repr(). Source: The Python Standard Library, "Built-in Functions"; CPython's float repr style.
#include "text/jinja/print.h"

#include <charconv>
#include <cmath>

#include "text/utf8.h"

namespace strata::text::jinja {

namespace {

void represent_text(Machine& machine, const String& text, TextBuilder& out) {
  const bool single = text.bytes.find('\'') == std::string::npos || text.bytes.find('"') != std::string::npos;
  const char quote = single ? '\'' : '"';
  if (text.markup) out.append("Markup(", false);
  out.append(std::string_view(&quote, 1), false);
  Value escaped = map_characters(machine, text, [quote](char32_t c, auto write) {
    constexpr char digits[] = "0123456789abcdef";
    if (c == '\\' || c == static_cast<char32_t>(quote)) {
      const char pair[] = {'\\', static_cast<char>(c)};
      return write(std::string_view(pair, 2));
    }
    if (c == '\n') return write("\\n");
    if (c == '\r') return write("\\r");
    if (c == '\t') return write("\\t");
    std::string bytes;
    if (is_printable(c)) {
      append_utf8(bytes, c);
      return write(bytes);
    }
    bytes = c < 0x100 ? "\\x" : c < 0x10000 ? "\\u" : "\\U";
    for (int shift = c < 0x100 ? 4 : c < 0x10000 ? 12 : 28; shift >= 0; shift -= 4) bytes += digits[c >> shift & 15];
    write(bytes);
  });
  if (machine.failed()) return;
  out.append(escaped.string());
  out.append(std::string_view(&quote, 1), false);
  if (text.markup) out.append(")", false);
}

void represent_sequence(Machine& machine, const Sequence& sequence, TextBuilder& out) {
  auto write = [&](std::string_view bytes) { out.append(bytes, false); };
  switch (sequence.type) {
    case SequenceType::range:
      write(str("range(", sequence.start, ", ", sequence.stop));
      if (sequence.step != 1) write(str(", ", sequence.step));
      return write(")");
    case SequenceType::iterator: return write("<generator object>");
    case SequenceType::items: write("dict_items(["); break;
    case SequenceType::keys: write("dict_keys(["); break;
    case SequenceType::values: write("dict_values(["); break;
    case SequenceType::list: write("["); break;
    case SequenceType::tuple:
    case SequenceType::group: write("("); break;
  }
  bool first = true;
  for (const Value& item : sequence.items) {
    if (machine.failed()) return;
    if (!std::exchange(first, false)) write(", ");
    represent(machine, item, out);
  }
  if (sequence.type == SequenceType::list) return write("]");
  if (sequence.type == SequenceType::tuple || sequence.type == SequenceType::group)
    return write(sequence.items.size() == 1 ? ",)" : ")");
  write("])");
}

void represent_dict(Machine& machine, const Dict& dict, TextBuilder& out) {
  out.append("{", false);
  bool first = true;
  for (const auto& [key, value] : dict.entries) {
    if (machine.failed()) return;
    if (!std::exchange(first, false)) out.append(", ", false);
    represent(machine, key, out);
    out.append(": ", false);
    represent(machine, value, out);
  }
  out.append("}", false);
}

}  // namespace

void represent(Machine& machine, const Value& value, TextBuilder& out) {
  if (!machine.spend(1)) return;
  if (value.is_undefined()) return out.append("Undefined", false);
  if (value.is_none()) return out.append("None", false);
  if (value.is_bool()) return out.append(value.boolean() ? "True" : "False", false);
  if (value.is_int()) return out.append(str(value.integer()), false);
  if (value.is_float()) return out.append(float_text(value.real()), false);
  if (value.is_string()) return represent_text(machine, value.string(), out);
  if (value.is_sequence()) return represent_sequence(machine, value.sequence(), out);
  if (value.is_dict()) return represent_dict(machine, value.dict(), out);
  out.append(value.object().representation(), false);
}

void print(Machine& machine, const Value& value, TextBuilder& out) {
  if (value.is_string()) out.append(value.string());
  else if (!value.is_undefined()) represent(machine, value, out);
}

Value print(Machine& machine, const Value& value) {
  if (value.is_string()) return value;
  TextBuilder out(machine);
  print(machine, value, out);
  return out.finish();
}

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<std::size_t>(end - buffer));  // -d.ddde-xx
  const std::size_t e = text.find('e');
  int exponent = 0;
  const char* digits_of_exponent = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(digits_of_exponent, text.data() + text.size(), exponent);
  if (exponent < -4 || exponent >= 16) return std::string(text);
  std::string digits, out = text[0] == '-' ? "-" : "";
  for (char c : text.substr(0, e))
    if (c >= '0' && c <= '9') digits += c;
  if (exponent < 0) return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() < whole) digits.append(whole - digits.size(), '0');
  out += digits.substr(0, whole) + ".";
  return out + (digits.size() > whole ? digits.substr(whole) : "0");
}

std::string float_text(double value, char kind, int precision) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::string out(static_cast<std::size_t>(precision) + 400, '\0');
  const auto format = kind == 'e'   ? std::chars_format::scientific
                      : kind == 'f' ? std::chars_format::fixed
                                    : std::chars_format::general;
  const auto end = std::to_chars(out.data(), out.data() + out.size(), value, format, precision).ptr;
  out.resize(static_cast<std::size_t>(end - out.data()));
  return out;
}

}  // namespace strata::text::jinja
