// Owns: the names of every instruction set's table and the questions to the processor. Knows no kernel.
// The tables are data, initialised at compile time: code in an instruction set's translation units may contain its
// instructions anywhere, so none of it may run before the processor was asked. Only some builds define each table; see
// isa_list_*.cpp.
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/formats/all.h"

namespace strata::kernels {

/// The weight formats' part of a table.
struct FormatRows {
  FormatKernels row[formats::AllFormats::size];
};

extern const IsaKernels scalar_table, avx2_table, avx_vnni_table, avx512_table, neon_table;            // isa/<name>/table.cpp
extern const FormatRows scalar_formats, avx2_formats, avx_vnni_formats, avx512_formats, neon_formats;  // isa/<name>/matmul.cpp

// isa/detect_*.cpp, compiled for the baseline processor.
bool always();       ///< for the scalar table
bool has_avx2();     ///< AVX2, FMA, F16C and an operating system that saves ymm registers
bool has_avx_vnni();  ///< has_avx2 and AVX-VNNI
bool has_avx512();   ///< has_avx2 and AVX-512 F, BW, DQ, VL, VNNI with zmm and mask registers saved
bool has_dotprod();  ///< Arm Advanced SIMD with the dot product instructions

}  // namespace strata::kernels
