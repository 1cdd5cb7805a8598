// Owns: what sequences remember on the host: cache pages and recurrent slots. The runtime counts references.
// Knows no operation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "base/platform.h"

namespace strata::cpu {

/// Pages and slots live in slabs that never move, one for each `reserve` that had to grow.
///
/// A page holds for each of its attention layers K [kv_heads][page_tokens][k_dim], then V [kv_heads][page_tokens][v_dim],
/// so that the positions of a head are contiguous. A slot holds each recurrent state in turn. Every one starts at a
/// multiple of 64 bytes.
class State final : public backend::StateStore {
 public:
  static Result<std::unique_ptr<State>> make(const backend::StateLayout& layout);

  Result<void> reserve(backend::Piece kind, int count) override;
  Result<void> copy(backend::Piece kind, int from, int to) override;
  Result<void> clear_slot(int slot) override;
  Result<void> read(backend::Piece kind, int index, std::span<std::byte> bytes) override;
  Result<void> write(backend::Piece kind, int index, std::span<const std::byte> bytes) override;
  std::uint64_t bytes() const override;

  backend::KvType kv_type() const { return type_; }
  int page_tokens() const { return page_tokens_; }

  /// Keys of one head in a page from a position on: [page_tokens - position][k_dim] of the cache's type. `kv` is an index
  /// of StateLayout::kv.
  std::byte* keys(int page, int kv, int head, int position) const {
    const Layer& layer = layers_[static_cast<std::size_t>(kv)];
    return of(layer.kind).at[static_cast<std::size_t>(page)] + layer.keys + row(head, position) * layer.key_row;
  }
  /// Values likewise: [page_tokens - position][v_dim].
  std::byte* values(int page, int kv, int head, int position) const {
    const Layer& layer = layers_[static_cast<std::size_t>(kv)];
    return of(layer.kind).at[static_cast<std::size_t>(page)] + layer.values + row(head, position) * layer.value_row;
  }
  /// A recurrent state of a slot; `state` is an index of StateLayout::recurrent.
  float* recurrent(int slot, int state) const {
    return reinterpret_cast<float*>(of(backend::Piece::slot).at[static_cast<std::size_t>(slot)] +
                                    recurrent_[static_cast<std::size_t>(state)]);
  }

 private:
  /// Offsets in a page and bytes per position and head, of one attention layer.
  struct Layer {
    backend::Piece kind;
    std::size_t keys, key_row, values, value_row;
  };
  std::size_t row(int head, int position) const {
    return static_cast<std::size_t>(head) * static_cast<std::size_t>(page_tokens_) + static_cast<std::size_t>(position);
  }
  /// A run of bytes of a piece, without the padding behind it.
  struct Part {
    std::size_t offset, bytes;
  };
  /// Equal pieces of memory, numbered from 0.
  struct Pool {
    const char* what;       ///< for messages
    std::size_t bytes = 0;  ///< of a piece
    std::vector<Part> parts;
    std::vector<std::byte*> at;
    std::vector<platform::Pages> slabs;
    Result<void> check(int i) const;
    Result<void> grow(int count);
    /// Calls copy(place in the piece, place in the packed bytes, count) for each part of a piece.
    template <class Copy>
    Result<void> for_parts(int index, std::size_t given, Copy copy) const;
  };

  State() = default;
  Pool& of(backend::Piece kind) { return pools_[static_cast<std::size_t>(kind)]; }
  const Pool& of(backend::Piece kind) const { return pools_[static_cast<std::size_t>(kind)]; }

  backend::KvType type_ = backend::KvType::f16;
  int page_tokens_ = 0;
  std::vector<Layer> layers_;
  std::vector<std::size_t> recurrent_;  ///< offset in a slot
  std::array<Pool, 3> pools_{{{"page", 0, {}, {}, {}}, {"near page", 0, {}, {}, {}}, {"slot", 0, {}, {}, {}}}};  ///< by Piece
};

}  // namespace strata::cpu
