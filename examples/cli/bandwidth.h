// Owns: measuring how fast this machine reads memory, the roofline of decoding. Knows nothing of models.
#pragma once

namespace cli {

struct Bandwidth {
  double small_pages = 0;  ///< bytes per second read from pages of the default size (4 KiB on x86)
  double huge_pages = 0;   ///< with huge pages asked for; 0 where the system has no such request
};

/// The best of several passes of `threads` threads over a buffer several times as large as the last cache. About a second.
Bandwidth measure_bandwidth(int threads);

}  // namespace cli
