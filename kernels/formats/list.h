// Owns: the run-time view of the formats with a decoder, made from the type list in all.h.
// Knows only the formats' own folders.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/formats/types.h"

namespace strata::formats {

/// The format's specification: straight-line scalar code, one row of k elements (a multiple of the block) to floats.
using DecodeRow = void (*)(const void* row, float* out, std::int64_t k);
/// Quantises one row of k floats; null where strata cannot write the format. `importance` is null or [k], not negative:
/// weights of the squared errors, which the formats that search for scales then minimise.
using EncodeRow = void (*)(const float* x, const float* importance, void* row, std::int64_t k);

struct Format {
  TensorType type;
  DecodeRow decode;
  EncodeRow encode;
};

std::span<const Format> formats();
/// Null when the type has no decoder here.
const Format* find(TensorType type);

}  // namespace strata::formats
