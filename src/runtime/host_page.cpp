// Owns: where the layers of a page lie among the devices' pages. Knows state stores; no step, no file.
#include "runtime/host_page.h"

namespace strata::runtime {

HostPage::HostPage(Engine& engine, backend::Piece kind) : engine_(engine), kind_(kind), page_tokens_(engine.pool().page_tokens()) {
  const TensorType type = backend::cache_type(engine.kv_type());
  stores_.resize(engine.pool().stores());
  for (int cache = -1; const graph::KvLayer& kv : engine.blueprint().graph.kv_layers) {
    ++cache;
    if (backend::pages_of(kv) != kind) continue;
    const auto store = static_cast<std::size_t>(engine.place_of(kv.layer));
    Layer layer{cache, store, kv.kv_heads, 0, 0, row_bytes(type, static_cast<std::size_t>(kv.k_dim)),
                row_bytes(type, static_cast<std::size_t>(kv.v_dim))};
    const auto rows = static_cast<std::size_t>(kv.kv_heads) * static_cast<std::size_t>(page_tokens_);
    std::vector<std::byte>& bytes = stores_[store];
    layer.keys = bytes.size();
    layer.values = layer.keys + rows * layer.key_bytes;
    bytes.resize(layer.values + rows * layer.value_bytes);
    layers_.push_back(layer);
  }
}

Result<void> HostPage::read(int page) {
  for (std::size_t s = 0; s < stores_.size(); ++s)
    if (auto done = engine_.pool().store(s).read(kind_, page, stores_[s]); !done) return done;
  return {};
}

Result<void> HostPage::write(int page) {
  for (std::size_t s = 0; s < stores_.size(); ++s)
    if (auto done = engine_.pool().store(s).write(kind_, page, stores_[s]); !done) return done;
  return {};
}

std::size_t HostPage::position_bytes() const {
  std::size_t sum = 0;
  for (const Layer& layer : layers_) sum += static_cast<std::size_t>(layer.heads) * (layer.key_bytes + layer.value_bytes);
  return sum;
}

}  // namespace strata::runtime
