// Owns: regular expressions by PCRE2. Knows nothing of tokenizers.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <limits>
#include <string>

#include "base/text.h"
#include "text/regex.h"

namespace strata::text {

namespace {

// PCRE2's own \s also holds U+180E, which Unicode took out of White_Space in 6.3.
constexpr std::string_view white_space =
    R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

std::string with_white_space(std::string_view pattern) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '\\' || i + 1 == pattern.size()) {
      out += pattern[i];
    } else if (pattern[++i] == 's') {
      out += white_space;
    } else {
      out += '\\', out += pattern[i];
    }
  }
  return out;
}

std::string pcre2_message(int code) {
  char buffer[256] = {};
  pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR*>(buffer), sizeof buffer);
  return buffer;
}

struct Free {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
};

class Pcre2Regex final : public Regex {
 public:
  explicit Pcre2Regex(std::unique_ptr<pcre2_code, Free> code) : code_(std::move(code)) {}

  Result<void> split(std::string_view text, std::vector<std::uint32_t>& ends) const override {
    if (text.empty()) return {};
    std::unique_ptr<pcre2_match_data, Free> data(pcre2_match_data_create(1, nullptr));
    std::unique_ptr<pcre2_match_context, Free> context(pcre2_match_context_create(nullptr));
    if (!data || !context) return fail(ErrorCode::out_of_memory, "text: no memory for a regular expression's match");
    // The patterns need a few steps per character. The limits only stop a pattern that would explode.
    std::size_t steps = std::min<std::size_t>(1'000'000 + 64 * text.size(), std::numeric_limits<std::uint32_t>::max());
    pcre2_set_match_limit(context.get(), static_cast<std::uint32_t>(steps));
    pcre2_set_heap_limit(context.get(), 256 * 1024);  // KiB

    const PCRE2_SIZE* span = pcre2_get_ovector_pointer(data.get());
    std::size_t done = 0, at = 0;
    std::uint32_t options = 0;  // the first call checks that the text is UTF-8
    while (at < text.size()) {
      int rc = match(text, at, options, data.get(), context.get());
      options = PCRE2_NO_UTF_CHECK;
      if (rc == PCRE2_ERROR_NOMATCH) break;
      if (rc < 0) return fail(ErrorCode::invalid_argument, "text: the pre-tokenizer failed near byte ", at, ": ", pcre2_message(rc));
      if (span[0] == span[1]) {  // an empty match cuts nothing; go on behind the next character
        at = span[1] + 1;
        while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80u) ++at;
        continue;
      }
      if (span[0] > done) ends.push_back(static_cast<std::uint32_t>(span[0]));
      ends.push_back(static_cast<std::uint32_t>(span[1]));
      at = done = span[1];
    }
    if (done < text.size()) ends.push_back(static_cast<std::uint32_t>(text.size()));
    return {};
  }

 private:
  int match(std::string_view text, std::size_t at, std::uint32_t options, pcre2_match_data* data,
            pcre2_match_context* context) const {
    auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int rc = pcre2_match(code_.get(), subject, text.size(), at, options, data, context);
    // Compiled code runs on 32 KiB of the machine stack; what needs more is interpreted, with its frames on the heap.
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
      rc = pcre2_match(code_.get(), subject, text.size(), at, options | PCRE2_NO_JIT, data, context);
    return rc;
  }

  std::unique_ptr<pcre2_code, Free> code_;
};

}  // namespace

Result<std::unique_ptr<Regex>> Regex::compile(std::string_view pattern) {
  std::string source = with_white_space(pattern);
  int error = 0;
  PCRE2_SIZE at = 0;
  std::unique_ptr<pcre2_code, Free> code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(),
                                                       PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr));
  if (!code)
    return fail(ErrorCode::invalid_argument, "regular expression: ", pcre2_message(error), " at character ", at, " of ", source);
  // Where the processor or the system allows no compiled code, matches are interpreted: slower, with equal results.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return std::unique_ptr<Regex>(std::make_unique<Pcre2Regex>(std::move(code)));
}

}  // namespace strata::text
