// Owns: the words in which a format tells the vector kernels how it is multiplied. The skeletons that they name are
// written in cpu/skeleton, which reads the formats; a format reads no skeleton.
#pragma once

namespace strata::kernels {

/// Specialised by formats/*/simd.h for a vocabulary V of vectors and a format F: `using Tile`, one of the skeletons
/// below, and the functions that this skeleton asks of an unpacker.
template <class V, class F>
struct Simd;

/// What the codes u of 32 weights are.
enum class Code : unsigned char {
  plain,    ///< w = d * u with u any signed byte
  centred,  ///< w = d * (u - zero_point) with u in [0, 32)
  affine,   ///< w = d * u + m with u in [0, 32)
};

/// What Tile32 takes for granted of an unpacker that does not say otherwise.
struct Blocks32 {
  static constexpr int parts = 1;              ///< 32-element parts of a block
  static constexpr bool scales_of_16 = false;  ///< whether a part has two scales
  static constexpr int most = 128;             ///< the largest code
};

/// Integer dot products over blocks of a few times 32 weights with floating-point scales.
template <class V, class Block, class Unpack>
struct Tile32;

/// Integer dot products over blocks of 256 weights with sub-scales and, for some formats, minima.
template <class V, class Block, class Unpack>
struct Tile256;

/// Floating-point dot products.
template <class V, class Element>
struct FloatTile;

}  // namespace strata::kernels
