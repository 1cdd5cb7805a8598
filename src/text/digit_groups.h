// Owns: cutting runs of digits into groups of three that count from the right, which no regular expression does in linear
// time. Knows nothing of tokenizers.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace strata::text {

enum class DigitGroups : std::uint8_t {
  none,
  behind,  ///< a cut behind each group; what stands before the first one stays with it. Digits are \p{N} (AFMoE)
  before,  ///< a cut before each group of three; a shorter one at the front stays with what is before. ASCII (SuperBPE)
  around,  ///< cuts at both ends of each group, unless the run goes on as an ASCII word. ASCII (tiny_aya)
};

/// Appends the ends of the pieces of `text`, not empty, which is valid UTF-8 but for surrogates; the last is its size.
void split_digits(std::string_view text, DigitGroups groups, std::vector<std::uint32_t>& ends);

}  // namespace strata::text
