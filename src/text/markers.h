// Owns: telling by their texts which tokens end a generation, and mending the types that converters got wrong.
#pragma once

#include <cstdint>
#include <vector>

#include "text/token_table.h"

namespace strata::text {

/// The ids that end a generation, ascending: those the vocabulary names (EOS, EOT, EOM and fill-in-the-middle padding,
/// repository and file separators), those recognised by their text, less the known exceptions. Sets the types of tokens
/// that are markers by their text.
std::vector<std::int32_t> end_markers(const Vocabulary& vocabulary, TokenTable& table);

}  // namespace strata::text
