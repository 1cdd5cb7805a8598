// Owns: the public API for how fast a machine could be: what its memory and arithmetic reach at best, and what a session
// used of them. Terms are those of the roofline model (Williams, Waterman, Patterson, CACM 52(4), 2009).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "strata/export.h"
#include "strata/result.h"

namespace strata {

/// What a device reaches with some number of threads, measured: each figure is the best of several runs.
struct Roofline {
  /// Bytes per second read from memory beyond all caches, from pages of the default size (4 KiB on x86) and from huge ones
  /// (where the system grants none, about the same).
  double read_small_pages = 0, read_huge_pages = 0;
  /// Operations per second in registers alone, a product and its addition being two: of 8-bit integers by the dot products
  /// of the instruction set in use, and of 32-bit floats.
  double int8_operations = 0, f32_operations = 0;
};

/// Measures a device of `devices()`; `threads` and `isa` as in ModelOptions. Takes a second or two and, for that time, up to
/// 1 GiB of memory; run nothing else meanwhile. Errors: not_found, invalid_argument, unsupported (a device without such a
/// measurement), out_of_memory, device. Thread-safe.
STRATA_API Result<Roofline> measure_roofline(const std::string& device, int threads = 0, const std::string& isa = "");

/// What operations of one kind took.
struct StageProfile {
  std::string operation;  ///< e.g. "linear", "attention", "delta_net"
  std::string format;     ///< of its weights, e.g. "Q4_K", or of the cache; "" where there are none
  std::uint64_t calls = 0;
  double seconds = 0;  ///< of all threads, over their number
  /// Bytes of weights, cache and recurrent states that were read or written, each counted once for a step: what has to come
  /// from memory. Of experts, those that are chosen in the mean where routing is even.
  double memory_bytes = 0;
  double activation_bytes = 0;  ///< of inputs and outputs; these mostly stay in caches
  double operations = 0;        ///< additions, products and functions of one element each count as one
  bool integer = false;         ///< whether they are products of 8-bit integers, so that Roofline::int8_operations bounds them
};

/// Steps that a session took part in. Where several sessions were evaluated together, the whole of these steps.
struct Profile {
  std::uint64_t steps = 0, tokens = 0;
  double seconds = 0;                ///< of the steps; more than the sum of the stages by the threads' waiting for one another
  std::vector<StageProfile> stages;  ///< those that took longest first
};

}  // namespace strata
