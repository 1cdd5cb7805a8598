// Owns: placement and liveness: what crosses between devices, and that no two live activations share bytes.
#include "graph/plan.h"

#include <random>
#include <set>

#include "support/catch.h"

namespace {

using namespace strata;
using namespace strata::graph;

/// A residual network of `layers` blocks with branches that live for different times.
Graph network(int layers) {
  Graph g;
  g.layers = layers;
  auto weight = [&](std::uint64_t in, std::uint64_t out) { return g.weight({"w", TensorType::f32, {in, out, 1, 1}}); };
  Tensor x = g.embed(weight(16, 32));
  for (int layer = 0; layer < layers; ++layer) {
    g.enter_layer(layer);
    Tensor h = g.rms_norm(x, {}, 1e-5f);
    Tensor a = g.linear(h, weight(16, 48)), b = g.linear(h, weight(16, 48));
    x = g.add(x, g.linear(g.swiglu(g.heads(a, 3, 16), b), weight(48, 16)));
  }
  g.enter_layer(layers);
  g.hidden = g.gather(x);
  g.logits = g.linear(g.hidden, weight(16, 32));
  REQUIRE_FALSE(g.error());
  return g;
}

/// Replays the stage and checks that a tensor's bytes stay untouched until its last reader.
void check_arena(const Graph& g, const Stage& stage, const Capacity& capacity) {
  Arena arena = plan_arena(g, stage, capacity);
  struct Life { std::size_t begin, end; int born, dies; };
  std::vector<Life> lives;
  auto storage = [&](int t) { return g.tensors[std::size_t(t)].storage; };
  auto last_reader = [&](int tensor) {
    int last = -1;
    for (int i = 0; i < int(stage.nodes.size()); ++i)
      for (int in : g.nodes[std::size_t(stage.nodes[std::size_t(i)])].in)
        if (in >= 0 && storage(in) == tensor) last = i;
    for (int e : stage.exports)
      if (e == tensor) last = int(stage.nodes.size());
    return last;
  };
  auto add = [&](int tensor, int born) {
    const TensorInfo& info = g.tensors[std::size_t(tensor)];
    std::size_t at = arena.offset[std::size_t(tensor)];
    REQUIRE(at != Arena::npos);
    REQUIRE(at % Arena::kAlignment == 0);
    std::size_t bytes = capacity.rows(info.rows) * info.width() * 4;
    REQUIRE(at + bytes <= arena.bytes);
    lives.push_back({at, at + bytes, born, std::max(born, last_reader(tensor))});
  };
  for (int t : stage.imports) add(t, -1);
  for (int i = 0; i < int(stage.nodes.size()); ++i)
    for (int out : g.nodes[std::size_t(stage.nodes[std::size_t(i)])].out)
      if (out >= 0) add(out, i);
  for (std::size_t a = 0; a < lives.size(); ++a)
    for (std::size_t b = a + 1; b < lives.size(); ++b) {
      bool together = lives[a].born <= lives[b].dies && lives[b].born <= lives[a].dies;
      bool overlap = lives[a].begin < lives[b].end && lives[b].begin < lives[a].end;
      CHECK_FALSE((together && overlap));
    }
}

TEST_CASE("activations that live together never share memory, others do") {
  Graph g = network(6);
  for (Capacity capacity : {Capacity{1, 1}, Capacity{512, 64}, Capacity{7, 3}})
    for (const Stage& stage : plan_stages(g, {})) check_arena(g, stage, capacity);
  Capacity capacity{64, 64};
  std::size_t sum = 0;
  for (const TensorInfo& t : g.tensors) sum += 64 * t.width() * 4;
  CHECK(plan_arena(g, plan_stages(g, {}).front(), capacity).bytes < sum / 3);
}

TEST_CASE("a graph is cut after any layer, and only the residual crosses") {
  Graph g = network(4);
  for (int after = 1; after < 4; ++after) {
    std::vector<int> devices(4, 1);
    std::fill(devices.begin(), devices.begin() + after, 0);
    auto stages = plan_stages(g, devices);
    REQUIRE(stages.size() == 2);
    CHECK(stages[0].device == 0);
    CHECK(stages[0].nodes.size() + stages[1].nodes.size() == g.nodes.size());
    CHECK(stages[0].imports.empty());
    REQUIRE(stages[1].imports.size() == 1);
    CHECK(stages[0].exports == stages[1].imports);
    CHECK(stages[1].exports.size() == 2);  // logits and hidden
    for (const Stage& stage : stages) check_arena(g, stage, {32, 4});
  }
  std::vector<int> zigzag = {0, 1, 0, 1};
  auto stages = plan_stages(g, zigzag);
  CHECK(stages.size() == 4);
  for (const Stage& stage : stages) check_arena(g, stage, {32, 4});
}

}  // namespace
