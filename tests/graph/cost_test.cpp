// Owns: the counts of bytes and operations, held against figures worked out by hand.
#include "graph/cost.h"

#include <array>
#include <stdexcept>
#include <string>

#include "support/catch.h"

namespace {

using namespace strata;
using namespace strata::graph;

Weight weight(Graph& g, std::string name, TensorType type, std::array<std::uint64_t, 4> ne) { return g.weight({std::move(name), type, ne}); }

const Node& node_of(const Graph& g, Op op) {
  for (const Node& node : g.nodes)
    if (node.op == op) return node;
  throw std::runtime_error("no such node");
}

TEST_CASE("a product reads its weights once a step, whatever the tokens") {
  Graph h;
  Tensor y = h.embed(weight(h, "token_embd.weight", TensorType::q8_0, {256, 100, 1, 1}));
  h.linear(y, weight(h, "w.weight", TensorType::q4_k, {256, 8, 1, 1}));
  REQUIRE_FALSE(h.error());
  for (std::size_t tokens : {1, 7}) {
    const Span span{0, static_cast<int>(tokens)};
    const StepShape step{tokens, 1, {&span, 1}, TensorType::f16};
    const auto n = static_cast<double>(tokens);
    const Cost linear = cost(h, node_of(h, Op::linear), step);
    CHECK(linear.memory_bytes == 8 * 144);             // blocks of 256 in 144 bytes
    CHECK(linear.activation_bytes == n * 4 * (256 + 8));
    CHECK(linear.operations == n * 2 * 256 * 8);
    const Cost embed = cost(h, node_of(h, Op::embed), step);
    CHECK(embed.memory_bytes == n * 8 * 34);           // eight blocks of 32 in 34 bytes: one row
    CHECK(embed.operations == 0);
  }
}

TEST_CASE("what only outputs need is not counted for other tokens") {
  Graph g;
  Tensor x = g.gather(g.embed(weight(g, "token_embd.weight", TensorType::f32, {8, 100, 1, 1})));
  g.linear(x, weight(g, "output.weight", TensorType::f32, {8, 100, 1, 1}));
  REQUIRE_FALSE(g.error());
  const Span span{0, 5};
  CHECK(cost(g, node_of(g, Op::linear), {5, 2, {&span, 1}}).operations == 2 * 2 * 8 * 100);
  const Cost none = cost(g, node_of(g, Op::linear), {5, 0, {&span, 1}});
  CHECK(none.memory_bytes == 0);
  CHECK(none.operations == 0);
}

TEST_CASE("attention reads what its queries see") {
  // Two heads of 4 over one key and value head of 4: a position takes 16 bytes in f16.
  auto record = [](Graph& g, AttentionParams params) {
    Tensor x = g.embed(weight(g, "token_embd.weight", TensorType::f32, {8, 100, 1, 1}));
    Tensor q = g.heads(x, 2, 4);
    Tensor kv = g.heads(g.linear(x, weight(g, "kv.weight", TensorType::f32, {8, 4, 1, 1})), 1, 4);
    g.attention(q, kv, kv, params);
    REQUIRE_FALSE(g.error());
  };
  const Span spans[] = {{10, 1}, {0, 3}};
  const StepShape step{4, 2, spans, TensorType::f16};
  Graph whole;
  record(whole, {.scale = 0.5f});
  const Cost all = cost(whole, node_of(whole, Op::attention), step);
  // One query sees 11 positions, the others 1, 2 and 3; 11 and 3 positions are held, 4 are appended.
  CHECK(all.operations == (11 + 1 + 2 + 3) * (2 * (8 + 8) + 4 * 2));
  CHECK(all.memory_bytes == 16 * (11 + 3 + 4));
  Graph near;
  record(near, {.scale = 0.5f, .window = 2});
  const Cost window = cost(near, node_of(near, Op::attention), step);
  CHECK(window.operations == (2 + 1 + 2 + 2) * (2 * (8 + 8) + 4 * 2));
  CHECK(window.memory_bytes == 16 * (2 + 3 + 4));
  const Cost small = cost(whole, node_of(whole, Op::attention), {4, 2, spans, TensorType::f32});
  CHECK(small.memory_bytes == 2 * all.memory_bytes);
}

TEST_CASE("of experts the chosen ones are counted") {
  Graph g;
  Tensor x = g.embed(weight(g, "token_embd.weight", TensorType::f32, {8, 100, 1, 1}));
  const Graph::Routing routing = g.route(g.linear(x, weight(g, "gate.weight", TensorType::f32, {8, 4, 1, 1})), {2, Gating::softmax, true, 0});
  g.expert_linear(x, weight(g, "up_exps.weight", TensorType::f32, {8, 16, 4, 1}), routing);
  REQUIRE_FALSE(g.error());
  const Span one{0, 1}, many{0, 1000};
  const double expert = 8 * 16;
  const Cost decode = cost(g, node_of(g, Op::expert_linear), {1, 1, {&one, 1}});
  CHECK(decode.memory_bytes == Approx(2 * 4 * expert));
  CHECK(decode.operations == Approx(2 * 2 * expert));
  const Cost prefill = cost(g, node_of(g, Op::expert_linear), {1000, 1, {&many, 1}});
  CHECK(prefill.memory_bytes == Approx(4 * 4 * expert));  // all of them
  CHECK(prefill.operations == Approx(1000 * 2 * 2 * expert));
}

}  // namespace
