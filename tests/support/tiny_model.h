// Owns: small random models of every architecture, so that tests of invariances need no files from outside.
#pragma once

#include <string>
#include <vector>

#include "kernels/formats/types.h"

namespace strata::test {

/// The architectures that `write_tiny_model` knows.
std::vector<std::string> tiny_architectures();

/// Writes a model of about 2 million random parameters: width 256, 4 layers, vocabulary 512, no tokenizer, context 1024.
/// Of gemma3, layers 0 and 2 see a window of 100 positions.
/// Matrices have the given type ("Q4_K_M" mixes Q4_K and Q6_K), norms and the like are float32. Returns the path, which
/// is in the temporary folder and the same for the same arguments; the file is removed when the process ends.
std::string write_tiny_model(const std::string& architecture, const std::string& type);

}  // namespace strata::test
