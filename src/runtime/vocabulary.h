// Owns: reading a model file's `tokenizer.*` keys into the plain vocabulary of the text layer. Knows no tensor.
#pragma once

#include "gguf/file.h"
#include "strata/result.h"
#include "text/tokenizer.h"

namespace strata {

/// The vocabulary of a model file; its views live as long as `file`. Integers and numbers are taken in any width that
/// holds them; ids of -1 or 2^32 - 1 mean "none". Errors name the key.
Result<text::Vocabulary> read_vocabulary(const gguf::File& file);

}  // namespace strata
