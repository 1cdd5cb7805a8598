// Owns: the interface of the loops that measure what a processor's arithmetic reaches at best, beside which kernels are
// held. Knows no kernel and no clock.
#pragma once

#include <cstdint>

#include "kernels/cpu/kernels.h"

namespace strata::kernels {

/// Arithmetic in registers alone: `rounds` times the same independent chains. Returns how many operations that were, a
/// product and its addition being two. `seed` holds `kPeakSeedBytes`, at a multiple of 64; `sink` gets a result that depends
/// on all chains.
inline constexpr int kPeakSeedBytes = 16 * 64;
using PeakLoop = std::int64_t (*)(const void* seed, std::int64_t rounds, float* sink);

struct PeakLoops {
  PeakLoop int8;  ///< products of 8-bit integers summed in 32 bits, as the instruction set's dot products make them
  PeakLoop f32;   ///< multiply-adds of floats
};

/// Those of an instruction set's table. `scalar` is plain C++ as the compiler makes it.
const PeakLoops& peak_loops(const IsaKernels& isa);

}  // namespace strata::kernels
