// Owns: the words in which a format tells the vector kernels how it is multiplied. The skeletons that they name are
// written in cpu/skeleton, which reads the formats; a format reads no skeleton.
#pragma once

namespace strata::kernels {

/// Specialised by formats/*/simd.h for a vocabulary V of vectors and a format F: `using Tile`, one of the skeletons
/// below, and the functions that this skeleton asks of an unpacker.
template <class V, class F>
struct Simd;

/// Integer dot products over blocks of 32 weights with one scale.
template <class V, class Block, class Unpack>
struct Tile32;

/// Integer dot products over blocks of 256 weights with sub-scales and, for some formats, minima.
template <class V, class Block, class Unpack>
struct Tile256;

/// Floating-point dot products.
template <class V, class Element>
struct FloatTile;

}  // namespace strata::kernels
