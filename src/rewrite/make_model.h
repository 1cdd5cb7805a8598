// Owns: a made model that is ready to be written. Knows GGUF and recipes.
#pragma once

#include "gguf/writer.h"
#include "strata/file.h"

namespace strata::rewrite {

struct MadeModel {
  gguf::Writer writer;  ///< its sources encode their blocks when they are first asked
  MakeModelReport report;
};
Result<MadeModel> plan_model(const MakeModelOptions& options);

}  // namespace strata::rewrite
