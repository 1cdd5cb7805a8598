// Owns: Session::shift: dropping tokens from the middle of a timeline. Knows the cache's rows and rotary tables.
#include <cmath>

#include "base/text.h"
#include "kernels/formats/list.h"
#include "runtime/host_page.h"
#include "runtime/state.h"

namespace strata {

namespace {

std::size_t size(int n) { return static_cast<std::size_t>(n); }

/// By layer of the cache: the table that its keys are rotated by, in the last operation before they are stored. Then keys
/// of position p become those of p - n by rotating them by -n more.
Result<std::vector<const graph::RopeTable*>> key_rotations(const graph::Graph& graph) {
  if (!graph.recurrent_states.empty())
    return fail(ErrorCode::unsupported, "shift: the model has recurrent states, which cannot forget some of their tokens; start anew");
  std::vector<const graph::RopeTable*> tables(graph.kv_layers.size(), nullptr);
  for (const graph::Node& node : graph.nodes) {
    if (node.op != graph::Op::attention) continue;
    const auto& params = std::get<graph::AttentionParams>(node.params);
    const auto kv = size(params.kv);
    if (params.chunked)
      return fail(ErrorCode::unsupported, "shift: layer ", node.layer, " attends within chunks of ", params.window,
                  " positions, which moved tokens would leave; start anew");
    if (node.in[1] < 0) continue;  // over keys that an earlier layer appended
    const int keys = graph.tensors[size(node.in[1])].storage, producer = graph.tensors[size(keys)].producer;
    const auto* rope = producer >= 0 ? std::get_if<graph::RopeParams>(&graph.nodes[size(producer)].params) : nullptr;
    const graph::RopeTable* table = rope ? &graph.ropes[size(rope->table)] : nullptr;
    if (!table || table->growth != 0)
      return fail(ErrorCode::unsupported, "shift: the keys of layer ", graph.kv_layers[kv].layer,
                  " are not rotated by position in the last step, so that they cannot be moved; start anew");
    tables[kv] = table;
  }
  return tables;
}

/// Rotates keys of one layer by `delta` positions.
class Rotation {
 public:
  /// Of a sequence made for `context` positions.
  Rotation(const graph::RopeTable& table, int context, int dim, int delta, TensorType type)
      : format_(*formats::find(type)), adjacent_(table.adjacent), row_(size(dim)) {
    for (double frequency : table.frequencies(context)) turns_.push_back({std::cos(delta * frequency), std::sin(delta * frequency)});
  }
  void apply(const std::byte* from, std::byte* to) {
    format_.decode(from, row_.data(), static_cast<std::int64_t>(row_.size()));
    for (std::size_t i = 0; i < turns_.size(); ++i) {
      float& a = row_[adjacent_ ? 2 * i : i];
      float& b = row_[adjacent_ ? 2 * i + 1 : i + turns_.size()];
      const double x = a, y = b;
      a = static_cast<float>(x * turns_[i].cosine - y * turns_[i].sine);
      b = static_cast<float>(x * turns_[i].sine + y * turns_[i].cosine);
    }
    format_.encode(row_.data(), nullptr, to, static_cast<std::int64_t>(row_.size()));
  }

 private:
  struct Turn {
    double cosine, sine;
  };
  const formats::Format& format_;
  bool adjacent_;
  std::vector<Turn> turns_;
  std::vector<float> row_;
};

/// Copies positions [first + count, end) of the pages `from` to [first, ...) of the pages `to`.
Result<void> move_rows(runtime::Engine& engine, backend::Piece kind, std::span<const int> from, std::span<const int> to, int first, int count,
                       int end, std::vector<Rotation>& rotations) {
  const int per_page = engine.pool().page_tokens();
  runtime::HostPage source(engine, kind), target(engine, kind);
  int source_page = -1, target_page = -1;
  for (int position = first; position < end - count; ++position) {
    if (position / per_page != target_page) {
      if (target_page >= 0)
        if (auto written = target.write(to[size(target_page)]); !written) return written;
      target_page = position / per_page;
      if (auto read = target.read(to[size(target_page)]); !read) return read;
    }
    const int old = position + count;
    if (old / per_page != source_page) {
      source_page = old / per_page;
      if (auto read = source.read(from[size(source_page)]); !read) return read;
    }
    for (int layer = 0; layer < source.layers(); ++layer)
      for (int head = 0; head < source.heads(layer); ++head) {
        rotations[size(source.cache(layer))].apply(source.key(layer, head, old % per_page), target.key(layer, head, position % per_page));
        std::copy_n(source.value(layer, head, old % per_page), source.value_bytes(layer), target.value(layer, head, position % per_page));
      }
  }
  return target_page >= 0 ? target.write(to[size(target_page)]) : Result<void>();
}

}  // namespace

Result<void> Session::can_shift() const {
  auto tables = key_rotations(state_->engine->blueprint().graph);
  return tables ? Result<void>() : tables.error();
}

Result<void> Session::shift(int keep, int count) {
  State& state = *state_;
  runtime::Engine& engine = *state.engine;
  const int held = static_cast<int>(state.tokens.size());
  if (keep < 0 || count < 1 || keep >= held || count >= held - keep)
    return fail(ErrorCode::invalid_argument, "shift: cannot drop ", count, " tokens after the first ", keep, " of ", held,
                "; at least one must stay behind them");
  const graph::Graph& graph = engine.blueprint().graph;
  auto tables = key_rotations(graph);
  if (!tables) return tables.error();
  std::vector<Rotation> rotations;
  for (std::size_t layer = 0; layer < tables->size(); ++layer)
    rotations.emplace_back(*(*tables)[layer], state.context, graph.kv_layers[layer].k_dim, -count, backend::cache_type(engine.kv_type()));

  std::unique_lock lock(engine.mutex());
  const runtime::Sequence& old = *state.sequence;
  if (!old.can_drop(keep, count)) {
    const std::vector<Token> rest(state.tokens.begin() + keep + count, state.tokens.end());
    lock.unlock();
    if (auto cut = truncate(keep); !cut) return cut;
    return evaluate(rest);
  }
  auto shorter = old.without(keep, count);
  if (!shorter) return shorter.error();
  if (auto done = move_rows(engine, backend::Piece::page, old.pages(), shorter->pages(), keep, count, held, rotations); !done) return done;
  const int near_first = engine.pool().window() > 0 ? std::max(keep, shorter->near_from()) : held;
  if (auto done = move_rows(engine, backend::Piece::near_page, old.near_pages(), shorter->near_pages(), near_first, count, held, rotations); !done)
    return done;
  if (auto advanced = shorter->advance(held - keep - count); !advanced) return advanced;
  state.sequence.emplace(std::move(*shorter));
  state.tokens.erase(state.tokens.begin() + keep, state.tokens.begin() + keep + count);
  state.prompt_end = 0;
  state.prompt_logits.clear();
  return {};
}

}  // namespace strata
