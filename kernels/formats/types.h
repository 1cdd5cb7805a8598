// Owns: the closed table of ggml's tensor types: number, name and block geometry. Also those that no kernel here can
// multiply, so that any file can be listed. Knows no decoder (see list.h) and nothing of files, graphs or devices.
#pragma once

#include <cstddef>
#include <cstdint>

namespace strata {

/// Numbers are those of the GGUF file format (ggml.h `ggml_type`); 4, 5, 31-33 and 36-38 were withdrawn.
enum class TensorType : std::uint32_t {
  f32 = 0, f16 = 1, q4_0 = 2, q4_1 = 3, q5_0 = 6, q5_1 = 7, q8_0 = 8, q8_1 = 9,
  q2_k = 10, q3_k = 11, q4_k = 12, q5_k = 13, q6_k = 14, q8_k = 15,
  iq2_xxs = 16, iq2_xs = 17, iq3_xxs = 18, iq1_s = 19, iq4_nl = 20, iq3_s = 21, iq2_s = 22, iq4_xs = 23,
  i8 = 24, i16 = 25, i32 = 26, i64 = 27, f64 = 28, iq1_m = 29, bf16 = 30,
  tq1_0 = 34, tq2_0 = 35, mxfp4 = 39, nvfp4 = 40, q1_0 = 41, q2_0 = 42,
};

/// Geometry of a type: a row of n elements (n a multiple of `block`) takes n / block * bytes bytes.
struct TypeInfo {
  TensorType type;
  const char* name;    ///< as quantisation tools spell it, e.g. "Q4_K"
  std::uint32_t block;  ///< elements in a block
  std::uint32_t bytes;  ///< bytes of a block
};

inline constexpr TypeInfo kTensorTypes[] = {
    {TensorType::f32, "F32", 1, 4},          {TensorType::f16, "F16", 1, 2},
    {TensorType::q4_0, "Q4_0", 32, 18},      {TensorType::q4_1, "Q4_1", 32, 20},
    {TensorType::q5_0, "Q5_0", 32, 22},      {TensorType::q5_1, "Q5_1", 32, 24},
    {TensorType::q8_0, "Q8_0", 32, 34},      {TensorType::q8_1, "Q8_1", 32, 36},
    {TensorType::q2_k, "Q2_K", 256, 84},     {TensorType::q3_k, "Q3_K", 256, 110},
    {TensorType::q4_k, "Q4_K", 256, 144},    {TensorType::q5_k, "Q5_K", 256, 176},
    {TensorType::q6_k, "Q6_K", 256, 210},    {TensorType::q8_k, "Q8_K", 256, 292},
    {TensorType::iq2_xxs, "IQ2_XXS", 256, 66}, {TensorType::iq2_xs, "IQ2_XS", 256, 74},
    {TensorType::iq3_xxs, "IQ3_XXS", 256, 98}, {TensorType::iq1_s, "IQ1_S", 256, 50},
    {TensorType::iq4_nl, "IQ4_NL", 32, 18},  {TensorType::iq3_s, "IQ3_S", 256, 110},
    {TensorType::iq2_s, "IQ2_S", 256, 82},   {TensorType::iq4_xs, "IQ4_XS", 256, 136},
    {TensorType::i8, "I8", 1, 1},            {TensorType::i16, "I16", 1, 2},
    {TensorType::i32, "I32", 1, 4},          {TensorType::i64, "I64", 1, 8},
    {TensorType::f64, "F64", 1, 8},          {TensorType::iq1_m, "IQ1_M", 256, 56},
    {TensorType::bf16, "BF16", 1, 2},        {TensorType::tq1_0, "TQ1_0", 256, 54},
    {TensorType::tq2_0, "TQ2_0", 256, 66},   {TensorType::mxfp4, "MXFP4", 32, 17},
    {TensorType::nvfp4, "NVFP4", 64, 36},    {TensorType::q1_0, "Q1_0", 128, 18},
    {TensorType::q2_0, "Q2_0", 64, 18},
};

/// Null for a number that names no type.
constexpr const TypeInfo* type_info(TensorType type) {
  for (const TypeInfo& info : kTensorTypes)
    if (info.type == type) return &info;
  return nullptr;
}

/// Precondition: `type` is known. "?" otherwise, so that messages can always be built.
constexpr const char* type_name(TensorType type) {
  const TypeInfo* info = type_info(type);
  return info ? info->name : "?";
}

/// Bytes of a row of `elements`. Precondition: `type` is known and `elements` is a multiple of its block.
constexpr std::size_t row_bytes(TensorType type, std::size_t elements) {
  const TypeInfo* info = type_info(type);
  return elements / info->block * info->bytes;
}

}  // namespace strata
