// Owns: the stand-in for regular expressions in a build without PCRE2.
#include "base/text.h"
#include "text/regex.h"

namespace strata::text {

Result<std::unique_ptr<Regex>> Regex::compile(std::string_view) {
  return fail(ErrorCode::unsupported, "this pre-tokenizer needs regular expressions, and strata was built without PCRE2; "
                                      "rebuild with -DSTRATA_TEXT=ON");
}

}  // namespace strata::text
