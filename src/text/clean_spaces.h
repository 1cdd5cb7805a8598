// Owns: the clean-up of a decoded text that some vocabularies ask for. Knows nothing of tokens.
#pragma once

#include <string>
#include <string_view>

namespace strata::text {

/// Three passes: a space before one of ? ! . , goes; an apostrophe between spaces loses both; the space before
/// 's 'm 're 've goes. (`clean_up_tokenization_spaces` of Hugging Face, as llama.cpp does it.)
std::string clean_spaces(std::string_view text);

}  // namespace strata::text
