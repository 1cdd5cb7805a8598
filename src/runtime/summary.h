// Owns: what a model is, derived from its graph and file. Knows no device.
#pragma once

#include "models/architecture.h"
#include "strata/file.h"

namespace strata::runtime {

ModelSummary summarise(const models::Blueprint& blueprint, const gguf::File& file);

}  // namespace strata::runtime
