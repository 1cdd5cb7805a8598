// Owns: the methods of strings. Source: The Python Standard Library, "String Methods".
#include <algorithm>
#include <limits>
#include <set>

#include "text/jinja/builtins.h"
#include "text/jinja/format.h"
#include "text/jinja/operators.h"
#include "text/jinja/strings.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace strata::text::jinja {

namespace {

std::string utf8(std::u32string_view characters) {
  std::string out;
  for (char32_t c : characters) append_utf8(out, c);
  return out;
}

bool is_cased(char32_t c) { return is_upper(c) || is_lower(c); }

/// Where the character before byte `at` begins.
std::size_t previous(std::string_view text, std::size_t at) {
  do --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80u);
  return at;
}

/// Between letters these do not end a word (Case_Ignorable of the Unicode Standard, its commonest members).
bool is_ignored_by_case(char32_t c) {
  return c == '\'' || c == '.' || c == ':' || c == '^' || c == '`' || c == 0xAD || c == 0xB7 || c == 0x2019 ||
         (c >= 0x300 && c <= 0x36F);
}

/// The lower case of the character at a place: a capital sigma at a word's end is written differently.
std::u32string lower_at(std::string_view text, std::size_t at) {
  constexpr char32_t sigma = 0x3A3, final_sigma = 0x3C2;
  const char32_t c = character_at(text, at);
  if (c != sigma) return lower_case(c);
  std::size_t before = at, after = at + character_bytes(text[at]);
  while (before > 0 && is_ignored_by_case(character_at(text, previous(text, before)))) before = previous(text, before);
  while (after < text.size() && is_ignored_by_case(character_at(text, after))) after += character_bytes(text[after]);
  const bool follows = before > 0 && is_cased(character_at(text, previous(text, before)));
  const bool leads = after < text.size() && is_cased(character_at(text, after));
  return follows && !leads ? std::u32string(1, final_sigma) : lower_case(c);
}

}  // namespace

// --- case and padding ------------------------------------------------------------------------------------------------

Value to_upper(Machine& machine, const String& text) {
  return map_characters(machine, text, [](char32_t c, auto out) { out(utf8(upper_case(c))); });
}
Value to_lower(Machine& machine, const String& text) {
  return map_characters(machine, text,
                        [&text](char32_t, auto out, std::size_t at) { out(utf8(lower_at(text.bytes, at))); });
}
Value capitalize(Machine& machine, const String& text) {
  return map_characters(machine, text, [&text](char32_t c, auto out, std::size_t at) {
    out(utf8(at == 0 ? title_case(c) : lower_at(text.bytes, at)));
  });
}

Value center(Machine& machine, const String& text, std::int64_t width, const String* fill) {
  const auto length = static_cast<std::int64_t>(text.length);
  const std::int64_t missing = std::max<std::int64_t>(std::max<std::int64_t>(width, 0) - length, 0);
  const std::int64_t left = missing / 2 + (missing & width & 1);  // CPython's choice of the longer side
  TextBuilder out(machine);
  if (!fits(machine, missing, fill ? fill->bytes.size() : 1)) return {};
  const auto pad = [&](std::int64_t count) {
    for (; count > 0 && !machine.failed(); --count) fill ? out.append(*fill) : out.append(" ", false);
  };
  pad(left);
  out.append(text);
  pad(missing - left);
  return out.finish(text.markup);
}

Value strip(Machine& machine, const String& text, const String* set, Side side) {
  machine.spend_bytes(text.bytes.size());
  std::set<char32_t> characters;
  if (set)
    for (std::size_t at = 0; at < set->bytes.size(); at += character_bytes(set->bytes[at]))
      characters.insert(character_at(set->bytes, at));
  const auto goes = [&](char32_t c) { return set ? characters.contains(c) : is_space(c); };
  std::size_t begin = 0, end = text.bytes.size();
  if (side != Side::right)
    while (begin < end && goes(character_at(text.bytes, begin))) begin += character_bytes(text.bytes[begin]);
  if (side != Side::left)
    while (end > begin && goes(character_at(text.bytes, previous(text.bytes, end)))) end = previous(text.bytes, end);
  return substring(machine, text, begin, end);
}

Value replace(Machine& machine, const String& text, const String& from, const String& to, std::int64_t count) {
  TextBuilder out(machine);
  std::size_t done = 0;
  if (count < 0) count = std::numeric_limits<std::int64_t>::max();
  if (from.bytes.empty()) {  // `to` goes before every character and behind the last
    for (; count > 0 && !machine.failed(); --count) {
      out.append(to);
      if (done == text.bytes.size()) break;
      const std::size_t next = done + character_bytes(text.bytes[done]);
      out.append(text, done, next);
      done = next;
    }
  }
  for (; count > 0 && !from.bytes.empty() && !machine.failed(); --count) {
    const std::size_t at = find_text(text.bytes, from.bytes, done);
    if (at == std::string::npos) break;
    machine.spend_bytes(at - done + from.bytes.size());
    out.append(text, done, at);
    out.append(to);
    done = at + from.bytes.size();
  }
  if (done < text.bytes.size()) out.append(text, done, text.bytes.size());
  return out.finish(text.markup);
}

std::vector<Value> split_lines(Machine& machine, const String& text, bool keep_ends) {
  std::vector<Value> out;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.bytes.size() && !machine.failed();) {
    const char32_t c = character_at(text.bytes, at);
    std::size_t next = at + character_bytes(text.bytes[at]);
    const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (c == '\r' && next < text.bytes.size() && text.bytes[next] == '\n') ++next;
    if (ends) {
      out.push_back(substring(machine, text, begin, keep_ends ? next : at));
      begin = next;
    }
    at = next;
  }
  if (begin < text.bytes.size()) out.push_back(substring(machine, text, begin, text.bytes.size()));
  return out;
}

namespace {

Value method_upper(Machine& machine, const Value& self, const Bound&) { return to_upper(machine, self.string()); }
Value method_lower(Machine& machine, const Value& self, const Bound&) { return to_lower(machine, self.string()); }
Value method_capitalize(Machine& machine, const Value& self, const Bound&) {
  return capitalize(machine, self.string());
}
Value method_swapcase(Machine& machine, const Value& self, const Bound&) {
  const std::string& bytes = self.string().bytes;
  return map_characters(machine, self.string(), [&bytes](char32_t c, auto out, std::size_t at) {
    out(utf8(is_upper(c) ? lower_at(bytes, at) : upper_case(c)));
  });
}
Value method_title(Machine& machine, const Value& self, const Bound&) {
  bool inside = false;
  const std::string& bytes = self.string().bytes;
  return map_characters(machine, self.string(), [&](char32_t c, auto out, std::size_t at) {
    out(utf8(inside ? lower_at(bytes, at) : title_case(c)));
    inside = is_cased(c);
  });
}

Value method_center(Machine& machine, const Value& self, const Bound& arguments) {
  const String* fill = arguments.values[1] ? text_argument(machine, arguments, 1, "center") : nullptr;
  return center(machine, self.string(), integer_argument(machine, arguments, 0, 0, "center"), fill);
}
Value justify(Machine& machine, const Value& self, const Bound& arguments, bool left) {
  const String* fill = arguments.values[1] ? text_argument(machine, arguments, 1, "just") : nullptr;
  const std::int64_t missing =
      std::max<std::int64_t>(integer_argument(machine, arguments, 0, 0, "just"), 0) -
      static_cast<std::int64_t>(self.string().length);
  if (!fits(machine, missing, fill ? fill->bytes.size() : 1)) return {};
  TextBuilder out(machine);
  if (left) out.append(self.string());
  for (std::int64_t i = 0; i < missing && !machine.failed(); ++i) fill ? out.append(*fill) : out.append(" ", false);
  if (!left) out.append(self.string());
  return out.finish(self.string().markup);
}
Value method_ljust(Machine& machine, const Value& self, const Bound& arguments) {
  return justify(machine, self, arguments, true);
}
Value method_rjust(Machine& machine, const Value& self, const Bound& arguments) {
  return justify(machine, self, arguments, false);
}
Value method_zfill(Machine& machine, const Value& self, const Bound& arguments) {
  const String& text = self.string();
  const std::int64_t missing =
      std::max<std::int64_t>(integer_argument(machine, arguments, 0, 0, "zfill"), 0) - static_cast<std::int64_t>(text.length);
  const std::size_t sign = text.bytes.starts_with('-') || text.bytes.starts_with('+') ? 1 : 0;
  if (!fits(machine, missing, 1)) return {};
  TextBuilder out(machine);
  out.append(text, 0, sign);
  for (std::int64_t i = 0; i < missing && !machine.failed(); ++i) out.append("0", false);
  out.append(text, sign, text.bytes.size());
  return out.finish(text.markup);
}
Value method_expandtabs(Machine& machine, const Value& self, const Bound& arguments) {
  const std::int64_t size = integer_argument(machine, arguments, 0, 8, "expandtabs");
  if (!fits(machine, size, 1)) return {};
  std::int64_t column = 0;
  return map_characters(machine, self.string(), [&](char32_t c, auto out) {
    if (c == '\t') {
      for (std::int64_t i = size > 0 ? size - column % size : 0; i > 0 && !machine.failed(); --i, ++column) out(" ");
      return;
    }
    column = c == '\n' || c == '\r' ? 0 : column + 1;
    out(utf8(std::u32string_view(&c, 1)));
  });
}

Value strip_method(Machine& machine, const Value& self, const Bound& arguments, Side side) {
  const String* set = arguments.has(0) ? text_argument(machine, arguments, 0, "strip") : nullptr;
  return strip(machine, self.string(), set, side);
}
Value method_strip(Machine& machine, const Value& self, const Bound& arguments) {
  return strip_method(machine, self, arguments, Side::both);
}
Value method_lstrip(Machine& machine, const Value& self, const Bound& arguments) {
  return strip_method(machine, self, arguments, Side::left);
}
Value method_rstrip(Machine& machine, const Value& self, const Bound& arguments) {
  return strip_method(machine, self, arguments, Side::right);
}

Value method_removeprefix(Machine& machine, const Value& self, const Bound& arguments) {
  const String* prefix = text_argument(machine, arguments, 0, "removeprefix");
  if (!prefix || !self.string().bytes.starts_with(prefix->bytes)) return self;
  return substring(machine, self.string(), prefix->bytes.size(), self.string().bytes.size());
}
Value method_removesuffix(Machine& machine, const Value& self, const Bound& arguments) {
  const String* suffix = text_argument(machine, arguments, 0, "removesuffix");
  if (!suffix || !self.string().bytes.ends_with(suffix->bytes)) return self;
  return substring(machine, self.string(), 0, self.string().bytes.size() - suffix->bytes.size());
}

// --- searching -------------------------------------------------------------------------------------------------------

/// The bytes of `text[start:end]`, from arguments `index` and `index + 1`. False when start is behind the end.
bool window(Machine& machine, const String& text, const Bound& arguments, std::size_t index, std::size_t& begin,
            std::size_t& end) {
  const auto length = static_cast<std::int64_t>(text.length);
  const auto bound = [&](std::size_t i, std::int64_t fallback) {
    std::int64_t at =
        arguments.has(i) ? integer_argument(machine, arguments, i, fallback, "the bounds of a search") : fallback;
    return at < 0 ? std::max<std::int64_t>(at + length, 0) : at;
  };
  const std::int64_t first = bound(index, 0), last = std::min(bound(index + 1, length), length);
  if (first > last) return false;
  machine.spend_bytes(text.bytes.size());
  begin = byte_offset(text, static_cast<std::size_t>(first));
  end = byte_offset(text, static_cast<std::size_t>(last));
  return !machine.failed();
}

std::int64_t find_index(Machine& machine, const Value& self, const Bound& arguments, bool last) {
  const String& text = self.string();
  const String* part = text_argument(machine, arguments, 0, "find");
  std::size_t begin = 0, end = 0;
  if (!part || !window(machine, text, arguments, 1, begin, end)) return -1;
  const std::string_view view = std::string_view(text.bytes).substr(0, end);
  const std::size_t at = last ? find_last_text(view.substr(begin), part->bytes) : find_text(view, part->bytes, begin);
  if (at == std::string_view::npos) return -1;
  return static_cast<std::int64_t>(count_characters(view.substr(0, last ? at + begin : at)));
}
Value method_find(Machine& machine, const Value& self, const Bound& arguments) {
  return Value::of(find_index(machine, self, arguments, false));
}
Value method_rfind(Machine& machine, const Value& self, const Bound& arguments) {
  return Value::of(find_index(machine, self, arguments, true));
}
Value require_index(Machine& machine, std::int64_t index) {
  return index < 0 ? machine.fail("substring not found") : Value::of(index);
}
Value method_index(Machine& machine, const Value& self, const Bound& arguments) {
  return require_index(machine, find_index(machine, self, arguments, false));
}
Value method_rindex(Machine& machine, const Value& self, const Bound& arguments) {
  return require_index(machine, find_index(machine, self, arguments, true));
}

Value method_count(Machine& machine, const Value& self, const Bound& arguments) {
  const String* part = text_argument(machine, arguments, 0, "count");
  std::size_t begin = 0, end = 0;
  if (!part || !window(machine, self.string(), arguments, 1, begin, end)) return Value::of(std::int64_t{0});
  const std::string_view view = std::string_view(self.string().bytes).substr(0, end);
  if (part->bytes.empty()) return Value::of(static_cast<std::int64_t>(count_characters(view.substr(begin))) + 1);
  std::int64_t count = 0;
  while (machine.spend(1 + part->bytes.size() / 32) &&
         (begin = find_text(view, part->bytes, begin)) != std::string_view::npos)
    ++count, begin += part->bytes.size();
  return Value::of(count);
}

Value affix(Machine& machine, const Value& self, const Bound& arguments, bool front) {
  std::size_t begin = 0, end = 0;
  if (!window(machine, self.string(), arguments, 1, begin, end)) return Value::of(false);
  const std::string_view view = std::string_view(self.string().bytes).substr(begin, end - begin);
  const auto fits = [&](const Value& part) {
    if (!part.is_string())
      return machine.fail("startswith and endswith take a string or a tuple of strings, not ", part.type_name()), false;
    return front ? view.starts_with(part.string().bytes) : view.ends_with(part.string().bytes);
  };
  if (!arguments[0].is_sequence() || arguments[0].sequence().type != SequenceType::tuple)
    return Value::of(fits(arguments[0]));
  const auto& parts = arguments[0].sequence().items;
  return Value::of(std::any_of(parts.begin(), parts.end(), fits));
}
Value method_startswith(Machine& machine, const Value& self, const Bound& arguments) {
  return affix(machine, self, arguments, true);
}
Value method_endswith(Machine& machine, const Value& self, const Bound& arguments) {
  return affix(machine, self, arguments, false);
}

// --- splitting and joining -------------------------------------------------------------------------------------------

/// At runs of white space; empty parts are left out.
std::vector<Value> split_at_spaces(Machine& machine, const String& text, std::int64_t limit) {
  std::vector<Value> out;
  std::size_t at = 0;
  const auto skip = [&](bool space) {
    while (at < text.bytes.size() && is_space(character_at(text.bytes, at)) == space)
      at += character_bytes(text.bytes[at]);
  };
  for (skip(true); at < text.bytes.size() && !machine.failed(); skip(true)) {
    const std::size_t begin = at;
    if (limit-- == 0) at = text.bytes.size();
    else skip(false);
    out.push_back(substring(machine, text, begin, at));
  }
  return out;
}

std::vector<Value> split_at_spaces_from_right(Machine& machine, const String& text, std::int64_t limit) {
  std::vector<Value> out;
  std::size_t at = text.bytes.size();
  const auto skip = [&](bool space) {
    while (at > 0 && is_space(character_at(text.bytes, previous(text.bytes, at))) == space)
      at = previous(text.bytes, at);
  };
  for (skip(true); at > 0 && !machine.failed(); skip(true)) {
    const std::size_t end = at;
    if (limit-- == 0) at = 0;
    else skip(false);
    out.push_back(substring(machine, text, at, end));
  }
  return {out.rbegin(), out.rend()};
}

Value split(Machine& machine, const Value& self, const Bound& arguments, bool right) {
  const String& text = self.string();
  std::int64_t limit = std::max<std::int64_t>(integer_argument(machine, arguments, 1, -1, "split"), -1);
  machine.spend_bytes(text.bytes.size());
  if (!arguments.has(0))
    return machine.list(right ? split_at_spaces_from_right(machine, text, limit)
                              : split_at_spaces(machine, text, limit));
  const String* separator = text_argument(machine, arguments, 0, "split");
  if (!separator) return {};
  if (separator->bytes.empty()) return machine.fail("split(): the separator is empty");
  std::vector<Value> out;
  const std::size_t size = separator->bytes.size();
  if (right) {
    std::size_t end = text.bytes.size();
    for (; limit != 0 && machine.spend(1 + size / 32); --limit) {
      const std::size_t at = find_last_text(std::string_view(text.bytes).substr(0, end), separator->bytes);
      if (at == std::string_view::npos) break;
      out.push_back(substring(machine, text, at + size, end));
      end = at;
    }
    out.push_back(substring(machine, text, 0, end));
    return machine.list({out.rbegin(), out.rend()});
  }
  std::size_t begin = 0;
  for (; limit != 0 && machine.spend(1 + size / 32); --limit) {
    const std::size_t at = find_text(text.bytes, separator->bytes, begin);
    if (at == std::string_view::npos) break;
    out.push_back(substring(machine, text, begin, at));
    begin = at + size;
  }
  out.push_back(substring(machine, text, begin, text.bytes.size()));
  return machine.list(std::move(out));
}
Value method_split(Machine& machine, const Value& self, const Bound& arguments) {
  return split(machine, self, arguments, false);
}
Value method_rsplit(Machine& machine, const Value& self, const Bound& arguments) {
  return split(machine, self, arguments, true);
}
Value method_splitlines(Machine& machine, const Value& self, const Bound& arguments) {
  return machine.list(split_lines(machine, self.string(), arguments.truthy(0)));
}

Value partition(Machine& machine, const Value& self, const Bound& arguments, bool last) {
  const String& text = self.string();
  const String* separator = text_argument(machine, arguments, 0, "partition");
  if (!separator) return {};
  if (separator->bytes.empty()) return machine.fail("partition(): the separator is empty");
  machine.spend_bytes(text.bytes.size() + separator->bytes.size());
  const std::size_t at =
      last ? find_last_text(text.bytes, separator->bytes) : find_text(text.bytes, separator->bytes, 0);
  const Value empty = machine.text("");
  if (at == std::string::npos) return last ? machine.tuple({empty, empty, self}) : machine.tuple({self, empty, empty});
  const std::size_t behind = at + separator->bytes.size();
  return machine.tuple({substring(machine, text, 0, at), substring(machine, text, at, behind),
                        substring(machine, text, behind, text.bytes.size())});
}
Value method_partition(Machine& machine, const Value& self, const Bound& arguments) {
  return partition(machine, self, arguments, false);
}
Value method_rpartition(Machine& machine, const Value& self, const Bound& arguments) {
  return partition(machine, self, arguments, true);
}

Value method_replace(Machine& machine, const Value& self, const Bound& arguments) {
  const String *from = text_argument(machine, arguments, 0, "replace"),
               *to = text_argument(machine, arguments, 1, "replace");
  if (!from || !to) return {};
  return replace(machine, self.string(), *from, *to, integer_argument(machine, arguments, 2, -1, "replace"));
}

Value method_join(Machine& machine, const Value& self, const Bound& arguments) {
  TextBuilder out(machine);
  bool first = true;
  for (const Value& item : machine.elements(arguments[0])) {
    if (!item.is_string()) return machine.fail("join(): expected strings, found ", item.type_name());
    if (!std::exchange(first, false)) out.append(self.string());
    out.append(item.string());
  }
  return out.finish(self.string().markup);
}

Value method_format(Machine& machine, const Value& self, const Bound& arguments) {
  return format_braces(machine, self.string(), *arguments.all);
}

// --- asking ----------------------------------------------------------------------------------------------------------

template <class Is>
Value every(Machine& machine, const Value& self, Is is) {
  const std::string& bytes = self.string().bytes;
  machine.spend_bytes(bytes.size());
  for (std::size_t at = 0; at < bytes.size(); at += character_bytes(bytes[at]))
    if (!is(character_at(bytes, at))) return Value::of(false);
  return Value::of(!bytes.empty());
}
Value method_isalpha(Machine& machine, const Value& self, const Bound&) { return every(machine, self, is_letter); }
Value method_isdigit(Machine& machine, const Value& self, const Bound&) { return every(machine, self, is_digit); }
Value method_isdecimal(Machine& machine, const Value& self, const Bound&) { return every(machine, self, is_decimal); }
Value method_isnumeric(Machine& machine, const Value& self, const Bound&) { return every(machine, self, is_numeric); }
Value method_isspace(Machine& machine, const Value& self, const Bound&) { return every(machine, self, is_space); }
Value method_isalnum(Machine& machine, const Value& self, const Bound&) {
  return every(machine, self, [](char32_t c) { return is_letter(c) || is_numeric(c); });
}
Value method_isascii(Machine&, const Value& self, const Bound&) { return Value::of(self.string().ascii()); }
Value method_isprintable(Machine& machine, const Value& self, const Bound&) {
  return self.string().bytes.empty() ? Value::of(true) : every(machine, self, is_printable);
}
Value method_isidentifier(Machine& machine, const Value& self, const Bound&) {
  bool first = true;
  return every(machine, self, [&first](char32_t c) {
    const bool begins = std::exchange(first, false);
    return is_letter(c) || c == '_' || (!begins && is_decimal(c));
  });
}
/// Has a cased character, and none of the other case.
Value all_cased(Machine& machine, const Value& self, bool (*is)(char32_t)) {
  bool any = false;
  every(machine, self, [&](char32_t c) {
    any = any || is(c);
    return is(c) || !is_cased(c) || (any = false);
  });
  return Value::of(any);
}
Value method_isupper(Machine& machine, const Value& self, const Bound&) { return all_cased(machine, self, is_upper); }
Value method_islower(Machine& machine, const Value& self, const Bound&) { return all_cased(machine, self, is_lower); }
Value method_istitle(Machine& machine, const Value& self, const Bound&) {
  bool inside = false, any = false;
  const Value good = every(machine, self, [&](char32_t c) {
    const bool wrong = (is_upper(c) && inside) || (is_lower(c) && !inside);
    inside = is_cased(c);
    any = any || inside;
    return !wrong;
  });
  return Value::of(any && good.truthy());
}

constexpr Builtin table[] = {
    {"capitalize", "", 0, method_capitalize},
    {"center", "width fillchar", 1, method_center},
    {"count", "sub start end", 1, method_count},
    {"endswith", "suffix start end", 1, method_endswith},
    {"expandtabs", "tabsize", 0, method_expandtabs},
    {"find", "sub start end", 1, method_find},
    {"format", "*", 0, method_format},
    {"index", "sub start end", 1, method_index},
    {"isalnum", "", 0, method_isalnum},
    {"isalpha", "", 0, method_isalpha},
    {"isascii", "", 0, method_isascii},
    {"isdecimal", "", 0, method_isdecimal},
    {"isdigit", "", 0, method_isdigit},
    {"isidentifier", "", 0, method_isidentifier},
    {"islower", "", 0, method_islower},
    {"isnumeric", "", 0, method_isnumeric},
    {"isprintable", "", 0, method_isprintable},
    {"isspace", "", 0, method_isspace},
    {"istitle", "", 0, method_istitle},
    {"isupper", "", 0, method_isupper},
    {"join", "iterable", 1, method_join},
    {"ljust", "width fillchar", 1, method_ljust},
    {"lower", "", 0, method_lower},
    {"lstrip", "chars", 0, method_lstrip},
    {"partition", "sep", 1, method_partition},
    {"removeprefix", "prefix", 1, method_removeprefix},
    {"removesuffix", "suffix", 1, method_removesuffix},
    {"replace", "old new count", 2, method_replace},
    {"rfind", "sub start end", 1, method_rfind},
    {"rindex", "sub start end", 1, method_rindex},
    {"rjust", "width fillchar", 1, method_rjust},
    {"rpartition", "sep", 1, method_rpartition},
    {"rsplit", "sep maxsplit", 0, method_rsplit},
    {"rstrip", "chars", 0, method_rstrip},
    {"split", "sep maxsplit", 0, method_split},
    {"splitlines", "keepends", 0, method_splitlines},
    {"startswith", "prefix start end", 1, method_startswith},
    {"strip", "chars", 0, method_strip},
    {"swapcase", "", 0, method_swapcase},
    {"title", "", 0, method_title},
    {"upper", "", 0, method_upper},
    {"zfill", "width", 1, method_zfill},
};

}  // namespace

std::span<const Builtin> text_methods() { return table; }

}  // namespace strata::text::jinja
