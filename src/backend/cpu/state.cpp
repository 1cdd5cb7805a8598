// Owns: the layout of pages and slots, and their memory. Knows no operation.
#include "backend/cpu/state.h"

#include <cstring>
#include <new>
#include <optional>

#include "base/checked.h"
#include "base/text.h"

namespace strata::cpu {

namespace {

constexpr std::uint64_t kAlignment = 64;
/// Slabs of at least this size are worth huge pages.
constexpr std::size_t kHuge = std::size_t{2} << 20;

/// Lays pieces one behind the other, each aligned; nothing once the sum does not fit.
class Offsets {
 public:
  /// Where a piece of a * b * c * d bytes goes.
  std::size_t place(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
    std::uint64_t at = end_.value_or(0);
    std::optional<std::uint64_t> bytes = a;
    for (std::uint64_t factor : {b, c, d})
      if (bytes) bytes = checked_multiply(*bytes, factor);
    if (bytes) bytes = checked_align(*bytes, kAlignment);
    end_ = bytes && end_ ? checked_add(at, *bytes) : std::nullopt;
    return static_cast<std::size_t>(at);
  }
  std::optional<std::uint64_t> end() const { return end_; }

 private:
  std::optional<std::uint64_t> end_ = 0;
};

}  // namespace

Result<std::unique_ptr<State>> State::make(const backend::StateLayout& layout) {
  if (layout.page_tokens < 1)
    return fail(ErrorCode::invalid_argument, "cpu: pages of ", layout.page_tokens, " tokens; give at least one");
  std::unique_ptr<State> state(new State);
  state->type_ = layout.type;
  state->page_tokens_ = layout.page_tokens;
  const std::uint64_t tokens = static_cast<std::uint64_t>(layout.page_tokens);
  const TypeInfo& type = *type_info(backend::cache_type(layout.type));
  std::array<Offsets, 3> ends;  // by Piece
  for (const graph::KvLayer& kv : layout.kv) {
    if (kv.kv_heads < 0 || kv.k_dim < 0 || kv.v_dim < 0)
      return fail(ErrorCode::invalid_argument, "cpu: the cache of layer ", kv.layer, " has a negative size");
    auto heads = static_cast<std::uint64_t>(kv.kv_heads), k = static_cast<std::uint64_t>(kv.k_dim),
         v = static_cast<std::uint64_t>(kv.v_dim);
    if (k % type.block != 0 || v % type.block != 0)
      return fail(ErrorCode::unsupported, "cpu: keys of ", k, " and values of ", v, " elements in layer ", kv.layer,
                  " are no whole blocks of ", type.block, " for a ", type.name, " cache; use f16");
    Layer layer;
    layer.kind = backend::pages_of(kv);
    Offsets& page = ends[static_cast<std::size_t>(layer.kind)];
    layer.keys = page.place(heads, tokens, k / type.block, type.bytes);
    layer.values = page.place(heads, tokens, v / type.block, type.bytes);
    layer.key_row = k / type.block * type.bytes;
    layer.value_row = v / type.block * type.bytes;
    state->layers_.push_back(layer);
    state->of(layer.kind).parts.push_back({layer.keys, heads * tokens * layer.key_row});
    state->of(layer.kind).parts.push_back({layer.values, heads * tokens * layer.value_row});
  }
  for (const graph::RecurrentState& recurrent : layout.recurrent) {
    Offsets& slot = ends[static_cast<std::size_t>(backend::Piece::slot)];
    state->recurrent_.push_back(slot.place(recurrent.floats, sizeof(float), 1, 1));
    state->of(backend::Piece::slot).parts.push_back({state->recurrent_.back(), recurrent.floats * sizeof(float)});
  }
  for (backend::Piece kind : backend::kPieces) {
    const auto end = ends[static_cast<std::size_t>(kind)].end();
    if (!end) return fail(ErrorCode::out_of_memory, "cpu: a page of ", layout.page_tokens, " tokens does not fit in memory");
    state->of(kind).bytes = static_cast<std::size_t>(*end);
  }
  return state;
}

Result<void> State::Pool::check(int i) const {
  if (i >= 0 && i < static_cast<int>(at.size())) return {};
  return fail(ErrorCode::invalid_argument, "cpu: ", what, " ", i, " of ", at.size());
}

Result<void> State::Pool::grow(int count) {
  if (count <= static_cast<int>(at.size())) return {};
  const std::size_t more = static_cast<std::size_t>(count) - at.size();
  const auto total = checked_multiply(more, bytes);
  if (!total) return fail(ErrorCode::out_of_memory, "cpu: ", count, " ", what, "s of ", bytes, " bytes do not fit");
  auto slab = platform::Pages::allocate(static_cast<std::size_t>(*total), *total >= kHuge);
  if (!slab) return fail(slab.error().code, "cpu: ", count, " ", what, "s: ", slab.error().message);
  try {
    slabs.reserve(slabs.size() + 1);
    at.reserve(static_cast<std::size_t>(count));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "cpu: no memory to number ", count, " ", what, "s");
  }
  for (std::size_t i = 0; i < more; ++i) at.push_back(slab->data() + i * bytes);
  slabs.push_back(*std::move(slab));
  return {};
}

template <class Copy>
Result<void> State::Pool::for_parts(int index, std::size_t given, Copy copy) const {
  if (auto inside = check(index); !inside) return inside;
  std::size_t needed = 0;
  for (const Part& part : parts) needed += part.bytes;
  if (given != needed) return fail(ErrorCode::invalid_argument, "cpu: a ", what, " has ", needed, " bytes, not ", given);
  std::size_t done = 0;
  for (const Part& part : parts) {
    if (part.bytes > 0) copy(at[static_cast<std::size_t>(index)] + part.offset, done, part.bytes);
    done += part.bytes;
  }
  return {};
}

Result<void> State::reserve(backend::Piece kind, int count) { return of(kind).grow(count); }

Result<void> State::copy(backend::Piece kind, int from, int to) {
  const Pool& pool = of(kind);
  for (int i : {from, to})
    if (auto inside = pool.check(i); !inside) return inside;
  if (from != to && pool.bytes > 0)
    std::memcpy(pool.at[static_cast<std::size_t>(to)], pool.at[static_cast<std::size_t>(from)], pool.bytes);
  return {};
}

Result<void> State::clear_slot(int slot) {
  const Pool& slots = of(backend::Piece::slot);
  if (auto inside = slots.check(slot); !inside) return inside;
  if (slots.bytes > 0) std::memset(slots.at[static_cast<std::size_t>(slot)], 0, slots.bytes);
  return {};
}

Result<void> State::read(backend::Piece kind, int index, std::span<std::byte> bytes) {
  return of(kind).for_parts(index, bytes.size(), [bytes](const std::byte* piece, std::size_t at, std::size_t count) {
    std::memcpy(bytes.data() + at, piece, count);
  });
}

Result<void> State::write(backend::Piece kind, int index, std::span<const std::byte> bytes) {
  return of(kind).for_parts(index, bytes.size(), [bytes](std::byte* piece, std::size_t at, std::size_t count) {
    std::memcpy(piece, bytes.data() + at, count);
  });
}

std::uint64_t State::bytes() const {
  std::uint64_t sum = 0;
  for (const Pool& pool : pools_) sum += pool.at.size() * static_cast<std::uint64_t>(pool.bytes);
  return sum;
}

}  // namespace strata::cpu
