// Owns: telling by their texts which tokens end a generation, and mending the types that converters got wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "text/special.h"
#include "text/token_table.h"

namespace strata::text {

/// The ids that end a generation, ascending: those the vocabulary names (EOS, EOT, EOM and fill-in-the-middle padding,
/// repository and file separators), those recognised by their text, less the known exceptions. Sets the types of tokens
/// that are markers by their text.
std::vector<std::int32_t> end_markers(const Vocabulary& vocabulary, TokenTable& table);

/// Which special tokens swallow the white space beside them. Files do not say; it goes by the model's name.
struct StripRule {
  bool all_right = false;                  ///< the special tokens, but for those kept, to their right (Phi-3)
  std::optional<std::int32_t> mask_left;   ///< the mask token, to its left

  Strip operator()(std::int32_t id, const TokenTable& table) const;
};
StripRule strip_rule(const Vocabulary& vocabulary, const TokenTable& table);

}  // namespace strata::text
