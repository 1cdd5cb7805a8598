// Owns: a page of the cache on the host, whatever devices its layers lie on. Knows state stores; no step, no file.
#pragma once

#include <cstddef>
#include <vector>

#include "runtime/engine.h"

namespace strata::runtime {

/// `read` and `write` need the engine's mutex.
class HostPage {
 public:
  /// `kind`: page or near_page. Its layers are those of Graph::kv_layers that such pages hold, in that order.
  HostPage(Engine& engine, backend::Piece kind);

  Result<void> read(int page);
  Result<void> write(int page);

  int layers() const { return static_cast<int>(layers_.size()); }
  int cache(int layer) const { return at(layer).cache; }  ///< its index in Graph::kv_layers
  int heads(int layer) const { return at(layer).heads; }
  std::size_t key_bytes(int layer) const { return at(layer).key_bytes; }      ///< of one head at one position
  std::size_t value_bytes(int layer) const { return at(layer).value_bytes; }  ///< likewise
  std::byte* key(int layer, int head, int position) { return row(layer, at(layer).keys, at(layer).key_bytes, head, position); }
  std::byte* value(int layer, int head, int position) {
    return row(layer, at(layer).values, at(layer).value_bytes, head, position);
  }
  /// Calls visit(first byte, bytes) for the keys, then the values, of each head of each layer at the first `count` positions.
  template <class Visit>
  Result<void> for_rows(int count, Visit visit) {
    const auto n = static_cast<std::size_t>(count);
    for (int layer = 0; layer < layers(); ++layer)
      for (bool keys : {true, false})
        for (int head = 0; head < heads(layer); ++head)
          if (auto done = keys ? visit(key(layer, head, 0), n * key_bytes(layer)) : visit(value(layer, head, 0), n * value_bytes(layer));
              !done)
            return done;
    return {};
  }
  /// Bytes of the cache for one position.
  std::size_t position_bytes() const;

 private:
  struct Layer {
    int cache;
    std::size_t store;        ///< whose page holds it
    int heads;
    std::size_t keys, values;  ///< where they begin in that page
    std::size_t key_bytes, value_bytes;
  };
  const Layer& at(int layer) const { return layers_[static_cast<std::size_t>(layer)]; }
  std::byte* row(int layer, std::size_t begin, std::size_t bytes, int head, int position) {
    const auto i = static_cast<std::size_t>(head) * static_cast<std::size_t>(page_tokens_) + static_cast<std::size_t>(position);
    return stores_[at(layer).store].data() + begin + i * bytes;
  }

  Engine& engine_;
  backend::Piece kind_;
  int page_tokens_;
  std::vector<Layer> layers_;
  std::vector<std::vector<std::byte>> stores_;  ///< by place
};

}  // namespace strata::runtime
