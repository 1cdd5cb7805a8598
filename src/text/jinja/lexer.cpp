// Owns: the lexer. Source: the Jinja documentation, "Template Designer Documentation", sections on white space control,
// comments, escaping and literals.
#include "text/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "text/jinja/strings.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace strata::text::jinja {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// "\r\n" and "\r" become "\n"; the last one goes.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') out += source[i];
    else if (i + 1 == source.size() || source[i + 1] != '\n') out += '\n';
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

// Longer symbols first.
constexpr std::array<std::string_view, 26> symbols = {"==", "!=", ">=", "<=", "//", "**", "+", "-", "/",
                                                      "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                      ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)), view_(source_) {}

  Result<std::vector<Token>> run() {
    while (at_ < view_.size() && !error_) text();
    if (error_) return *error_;
    add(TokenKind::end, "");
    return std::move(tokens_);
  }

 private:
  void fail(std::string_view message) {
    if (!error_) error_ = syntax_error(line_, message);
  }
  void add(TokenKind kind, std::string_view text) { tokens_.push_back({kind, line_, std::string(text)}); }
  bool looking_at(std::string_view part) const { return view_.substr(at_).starts_with(part); }
  /// Moves on, counting lines.
  void pass(std::size_t count) {
    line_ += static_cast<int>(std::count(view_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         view_.begin() + static_cast<std::ptrdiff_t>(at_ + count), '\n'));
    at_ += count;
  }
  void pass_spaces() {
    while (at_ < view_.size() && is_space(character_at(view_, at_))) pass(character_bytes(view_[at_]));
  }

  /// Text up to the next tag, then that tag.
  void text() {
    std::size_t open = at_;
    for (;; ++open) {
      open = view_.find('{', open);
      if (open == std::string_view::npos || open + 1 == view_.size()) open = view_.size();
      if (open == view_.size() || view_[open + 1] == '{' || view_[open + 1] == '%' || view_[open + 1] == '#') break;
    }
    std::string_view data = view_.substr(at_, open - at_);
    const char kind = open < view_.size() ? view_[open + 1] : '\0';
    if (kind) data = trimmed(data, open + 2 < view_.size() ? view_[open + 2] : '\0', kind != '{');
    if (!data.empty()) add(TokenKind::text, data);
    pass(open - at_);
    if (!kind) return;
    pass(2);
    const bool sign = at_ < view_.size() && (view_[at_] == '-' || view_[at_] == '+');
    if (kind == '#') return comment(sign);
    if (kind == '%' && raw(sign)) return;
    pass(sign ? 1 : 0);
    add(kind == '%' ? TokenKind::block_begin : TokenKind::variable_begin, "");
    tag(kind == '%');
  }

  /// `data` stands before a tag with this sign. '-' strips all white space; a block or comment without a sign loses the
  /// spaces between the line's begin and itself (lstrip_blocks).
  std::string_view trimmed(std::string_view data, char sign, bool lstrip) const {
    const auto last_start = [](std::string_view s) {
      std::size_t at = s.size() - 1;
      while ((static_cast<unsigned char>(s[at]) & 0xC0u) == 0x80u) --at;
      return at;
    };
    const auto without_spaces = [&](std::string_view s) {
      while (!s.empty() && is_space(character_at(s, last_start(s)))) s = s.substr(0, last_start(s));
      return s;
    };
    if (sign == '-') return without_spaces(data);
    if (sign == '+' || !lstrip) return data;
    const std::size_t line = data.rfind('\n') + 1;  // 0 where there is none
    if ((line > 0 || line_starts_) && without_spaces(data.substr(line)).empty()) return data.substr(0, line);
    return data;
  }

  /// The end of a tag at the place where we are: `-%}` strips the white space behind, `%}` one line end (trim_blocks).
  bool close(std::string_view mark, bool trims) {
    const bool minus = looking_at(std::string("-").append(mark));
    const bool plus = trims && looking_at(std::string("+").append(mark));
    if (!minus && !plus && !looking_at(mark)) return false;
    add(mark == "%}" ? TokenKind::block_end : TokenKind::variable_end, "");
    const std::size_t begin = at_;
    pass(mark.size() + (minus || plus ? 1 : 0));
    if (minus) pass_spaces();
    else if (trims && !plus && looking_at("\n")) pass(1);
    line_starts_ = at_ > begin && view_[at_ - 1] == '\n';
    return true;
  }

  void comment(bool sign) {
    pass(sign ? 1 : 0);
    const std::size_t end = view_.find("#}", at_);
    if (end == std::string_view::npos) return fail("a comment {# has no end #}");
    const char before = end > at_ ? view_[end - 1] : '\0';
    pass(end + 2 - at_);
    if (before == '-') pass_spaces();
    else if (before != '+' && looking_at("\n")) pass(1);
    line_starts_ = view_[at_ - 1] == '\n';
  }

  /// {% raw %} ... {% endraw %}: text that is not looked into. False, and nothing passed, for another tag.
  bool raw(bool sign) {
    std::size_t at = at_ + (sign ? 1 : 0);
    const auto skip_spaces = [&] {
      while (at < view_.size() && is_space(character_at(view_, at))) at += character_bytes(view_[at]);
    };
    const auto word = [&](std::string_view name) {
      skip_spaces();
      if (!view_.substr(at).starts_with(name)) return false;
      at += name.size();
      skip_spaces();
      return true;
    };
    if (!word("raw")) return false;
    bool strips = view_.substr(at).starts_with("-%}");
    if (!strips && !view_.substr(at).starts_with("%}")) return false;
    pass(at + (strips ? 3 : 2) - at_);
    if (strips) pass_spaces();
    line_starts_ = view_[at_ - 1] == '\n';
    for (std::size_t open = view_.find("{%", at_); open != std::string_view::npos; open = view_.find("{%", open + 1)) {
      at = open + 2;
      const char lead = at < view_.size() ? view_[at] : '\0';
      if (lead == '-' || lead == '+') ++at;
      if (!word("endraw")) continue;
      strips = view_.substr(at).starts_with("-%}");
      const bool keeps = view_.substr(at).starts_with("+%}");
      if (!strips && !keeps && !view_.substr(at).starts_with("%}")) continue;
      const std::string_view data = trimmed(view_.substr(at_, open - at_), lead, true);
      if (!data.empty()) add(TokenKind::text, data);
      pass(at + (strips || keeps ? 3 : 2) - at_);
      if (strips) pass_spaces();
      else if (!keeps && looking_at("\n")) pass(1);
      line_starts_ = view_[at_ - 1] == '\n';
      return true;
    }
    fail("{% raw %} has no {% endraw %}");
    return true;
  }

  /// The tokens of a block or variable up to its end.
  void tag(bool block) {
    std::string brackets;  // the closing ones that are waited for; inside them, }} and %} end nothing
    while (!error_) {
      pass_spaces();
      if (at_ == view_.size()) return fail(block ? "a block {% has no end %}" : "an expression {{ has no end }}");
      if (brackets.empty() && close(block ? "%}" : "}}", block)) return;
      const char c = view_[at_];
      if (is_digit(c)) number();
      else if (is_name(c)) name();
      else if (c == '"' || c == '\'') string(c);
      else symbol(brackets);
    }
  }

  void name() {
    std::size_t end = at_;
    while (end < view_.size() && is_name(view_[end])) ++end;
    const std::string_view word = view_.substr(at_, end - at_);
    for (std::size_t i = 0; i < word.size(); i += character_bytes(word[i])) {
      const char32_t c = character_at(word, i);
      if (c >= 0x80 && !is_letter(c) && !is_numeric(c))
        return fail(str("a name holds the character '", word.substr(i, character_bytes(word[i])), "'"));
    }
    add(TokenKind::name, word);
    pass(word.size());
  }

  /// Digits from `end` on, with single underscores between them; false where there are none.
  bool digits(std::size_t& end, int base, std::string& out) const {
    const auto is = [&](std::size_t i) {
      if (i >= view_.size()) return false;
      const char c = view_[i], low = static_cast<char>(c | 0x20);
      return base == 16 ? is_digit(c) || (low >= 'a' && low <= 'f') : c >= '0' && c < '0' + base;
    };
    const std::size_t begin = end;
    while (is(end) || (end > begin && end < view_.size() && view_[end] == '_' && is(end + 1))) {
      if (view_[end] != '_') out += view_[end];
      ++end;
    }
    return end > begin;
  }

  void number() {
    std::size_t end = at_;
    std::string text;
    const char mark = at_ + 1 < view_.size() && view_[at_] == '0' ? static_cast<char>(view_[at_ + 1] | 0x20) : '\0';
    const int base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    if (base != 10) {
      end += 2;
      if (!digits(end, base, text)) return fail("a number has no digits");
      std::int64_t value = 0;
      if (std::from_chars(text.data(), text.data() + text.size(), value, base).ec != std::errc())
        return fail("an integer does not fit 64 bits");
      add(TokenKind::integer, str(value));
      return pass(end - at_);
    }
    digits(end, 10, text);
    bool real = false;
    const bool after_dot = at_ > 0 && view_[at_ - 1] == '.';
    std::string fraction;
    std::size_t behind = end + 1;
    if (!after_dot && end < view_.size() && view_[end] == '.' && digits(behind, 10, fraction)) {
      text += "." + fraction;
      end = behind;
      real = true;
    }
    std::string exponent;
    behind = end + 1;
    if (!after_dot && end < view_.size() && (view_[end] | 0x20) == 'e') {
      std::string sign;
      if (behind < view_.size() && (view_[behind] == '+' || view_[behind] == '-')) sign = view_[behind++];
      if (digits(behind, 10, exponent)) {
        text += "e" + sign + exponent;
        end = behind;
        real = true;
      }
    }
    std::int64_t value = 0;
    if (!real && text.size() > 1 && text[0] == '0' && text.find_first_not_of('0') != std::string::npos)
      return fail("an integer begins with 0");
    if (!real && std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc())
      return fail("an integer does not fit 64 bits");
    add(real ? TokenKind::real : TokenKind::integer, text);
    pass(end - at_);
  }

  void string(char quote) {
    std::size_t end = at_ + 1;
    while (end < view_.size() && view_[end] != quote) end += view_[end] == '\\' ? 2 : 1;
    if (end >= view_.size()) return fail("a string has no end");
    std::string out;
    if (!unescape(view_.substr(at_ + 1, end - at_ - 1), out)) return;
    add(TokenKind::string, out);
    pass(end + 1 - at_);
  }

  /// Python's escapes; an unknown one stays as it is written.
  bool unescape(std::string_view text, std::string& out) {
    constexpr std::string_view names = "\\'\"abfnrtv", bytes = "\\'\"\a\b\f\n\r\t\v";
    for (std::size_t i = 0; i < text.size();) {
      if (text[i] != '\\') {
        out += text[i++];
        continue;
      }
      const char c = text[++i];
      if (const std::size_t known = names.find(c); known != std::string_view::npos) {
        out += bytes[known], ++i;
      } else if (c == '\n') {
        ++i;
      } else if (c >= '0' && c <= '7') {
        char32_t code = 0;
        for (int n = 0; n < 3 && i < text.size() && text[i] >= '0' && text[i] <= '7'; ++n)
          code = code * 8 + static_cast<char32_t>(text[i++] - '0');
        append_utf8(out, code);
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const std::size_t size = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        std::uint32_t code = 0;
        const std::string_view hex = text.substr(i + 1, size);
        if (hex.size() < size || std::from_chars(hex.data(), hex.data() + size, code, 16).ptr != hex.data() + size)
          return fail(str("a string holds a cut-off escape \\", c)), false;
        if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
          return fail("a string's escape is no character"), false;
        append_utf8(out, code);
        i += 1 + size;
      } else if (c == 'N') {
        return fail("a string names a character (\\N{...}); write its number (\\uXXXX)"), false;
      } else {
        out += '\\';
      }
    }
    return true;
  }

  void symbol(std::string& brackets) {
    auto found = std::find_if(symbols.begin(), symbols.end(), [this](std::string_view s) { return looking_at(s); });
    if (found == symbols.end())
      return fail(str("unexpected character '", view_.substr(at_, character_bytes(view_[at_])), "'"));
    const char c = found->front();
    if (c == '(' || c == '[' || c == '{') {
      brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
      if (brackets.empty()) return fail(str("unexpected '", c, "'"));
      if (brackets.back() != c) return fail(str("unexpected '", c, "', expected '", brackets.back(), "'"));
      brackets.pop_back();
    }
    add(TokenKind::symbol, *found);
    pass(found->size());
  }

  std::string source_;
  std::string_view view_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starts_ = true;  ///< the last tag ended with a line end, or there was none
  std::vector<Token> tokens_;
  std::optional<Error> error_;
};

}  // namespace

Error syntax_error(int line, std::string_view message) {
  return fail(ErrorCode::bad_file, "chat template, line ", line, ": ", message);
}

Result<std::vector<Token>> tokenize(std::string_view source) { return Lexer(normalized(source)).run(); }

}  // namespace strata::text::jinja
