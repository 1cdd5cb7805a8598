// Owns: the getters of every instruction set's table and the questions to the processor. Knows no kernel.
// A getter is defined by its instruction set's translation units, which only some builds have; see isa_list_*.cpp.
#pragma once

#include <span>

#include "kernels/cpu/kernels.h"

namespace strata::kernels {

// isa/<name>/table.cpp; the weight formats' part is isa/<name>/matmul.cpp.
const IsaKernels& scalar_table();
const IsaKernels& avx2_table();
const IsaKernels& avx512_table();
const IsaKernels& neon_table();
std::span<const FormatKernels> scalar_formats();
std::span<const FormatKernels> avx2_formats();
std::span<const FormatKernels> avx512_formats();
std::span<const FormatKernels> neon_formats();

// isa/detect_*.cpp, compiled for the baseline processor.
bool always();       ///< for the scalar table
bool has_avx2();     ///< AVX2, FMA, F16C and an operating system that saves ymm registers
bool has_avx512();   ///< has_avx2 and AVX-512 F, BW, DQ, VL, VNNI with zmm and mask registers saved
bool has_dotprod();  ///< Arm Advanced SIMD with the dot product instructions

}  // namespace strata::kernels
