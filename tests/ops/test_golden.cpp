// Owns: the reference against numbers worked out by hand (or with a pocket calculator) from each operation's formula.
// Values are chosen so that the arithmetic is short; 1e-6 leaves room for the one rounding to float.
#include <cmath>
#include <cstring>
#include <map>

#include "ops/bench.h"

using namespace strata;
using namespace strata::backend;
using graph::Graph;
using graph::Tensor;
using tests::Bench;
using tests::Values;

namespace {

void require_close(const Values& got, const std::vector<double>& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); i++) {
    INFO("element " << i << ": " << got[i] << " where " << expected[i] << " is expected");
    CHECK(std::fabs(got[i] - expected[i]) <= 1e-6 * std::max(1.0, std::fabs(expected[i])));
  }
}

}  // namespace

TEST_CASE("golden: embed and gather", "[ops]") {
  Bench b;
  Tensor x = b.g.embed(b.weight({2, 3, 1, 1}, {1, 2, 3, 4, 5, 6}));
  b.watch(x);
  b.watch(b.g.gather(x));
  b.start();
  require_close(b.step({}, {0, 1, 2}, {0, 2}, {2, 0, 1}), {5, 6, 1, 2, 3, 4, 5, 6, 3, 4});
}

TEST_CASE("golden: rms_norm is over each head", "[ops]") {
  Bench b;
  // Heads (3, 4) and (0, 2): mean squares 12.5 and 2, plus eps 3.5 and so on: 16 and 5.5.
  Tensor x = b.input(2, 2);
  b.watch(b.g.rms_norm(x, b.weight({2, 1, 1, 1}, {1, 10}), 3.5f));
  b.start();
  require_close(b.step({{3, 4, 0, 2}}, {0}), {0.75, 10, 0, 20 / std::sqrt(5.5)});
}

TEST_CASE("golden: l2_norm divides by the norm, but by no less than eps", "[ops]") {
  Bench b;
  b.watch(b.g.l2_norm(b.input(2, 2), 2.0f));
  b.start();
  require_close(b.step({{3, 4, 0.6f, 0.8f}}, {0}), {0.6, 0.8, 0.3, 0.4});
}

TEST_CASE("golden: linear", "[ops]") {
  Bench b;
  Tensor x = b.input(1, 3);
  graph::Weight w = b.weight({3, 2, 1, 1}, {1, 2, 3, -1, 0, 0.5f});
  b.watch(b.g.linear(x, w));
  b.watch(b.g.linear(x, w, b.weight({2, 1, 1, 1}, {100, -100})));
  b.start();
  require_close(b.step({{1, 1, 2, 0, 10, 0}}, {0, 1}), {9, 0, 20, 0, 109, -100, 120, -100});
}

TEST_CASE("golden: linear with quantised weights and exact activations", "[ops]") {
  // 127 * 2^-7 in steps of 2^-7: Q8_0 holds every weight exactly; x is not representable in 8 bits.
  Values w(32), x(32, 0.0f);
  for (int i = 0; i < 32; i++) w[i] = static_cast<float>(i == 0 ? 127 : i) / 128.0f;
  x[0] = 1000.0f;
  x[3] = 0.125f;
  Bench b;
  Tensor in = b.input(1, 32);
  b.watch(b.g.linear(in, b.weight({32, 1, 1, 1}, w, TensorType::q8_0)));
  b.start();
  require_close(b.step({x}, {0}), {1000.0 * 127 / 128 + 0.125 * 3 / 128});
}

TEST_CASE("golden: element-wise operations", "[ops]") {
  Bench b;
  Tensor x = b.input(1, 3), y = b.input(1, 3), one = b.input(1, 1);
  b.watch(b.g.add(x, y));
  b.watch(b.g.scale(x, -0.5f));
  b.watch(b.g.swiglu(x, y));
  b.watch(b.g.geglu(x, y));
  b.watch(b.g.sigmoid(x));
  b.watch(b.g.sigmoid_gate(y, x));
  b.watch(b.g.sigmoid_gate(y, one));
  b.start();
  const double s1 = 0.7310585786300049, s2 = 0.11920292202211755;  // sigmoid(1), sigmoid(-2)
  require_close(b.step({{0, 1, -2}, {3, 5, 7}, {1}}, {0}), {3,
                                                            6,
                                                            5,  //
                                                            0,
                                                            -0.5,
                                                            1,  //
                                                            0,
                                                            5 * s1,
                                                            -14 * s2,  //
                                                            0,
                                                            5 * 0.8411919906,
                                                            7 * -0.0454023059,  //
                                                            0.5,
                                                            s1,
                                                            s2,  //
                                                            1.5,
                                                            5 * s1,
                                                            7 * s2,  //
                                                            3 * s1,
                                                            5 * s1,
                                                            7 * s1});
}

TEST_CASE("golden: mul by an element, or by one number for each head", "[ops]") {
  Bench b;
  Tensor x = b.input(2, 2), y = b.input(2, 2), per_head = b.input(1, 2);
  b.watch(b.g.mul(x, y));
  b.watch(b.g.mul(x, per_head));
  b.start();
  require_close(b.step({{1, 2, 3, 4}, {5, 6, 7, 0.5f}, {10, -1}}, {0}), {5, 12, 21, 2, 10, 20, -3, -4});
}

TEST_CASE("golden: head_linear and scales", "[ops]") {
  Bench b;
  Tensor x = b.input(2, 2);
  graph::Weight plain = b.weight({2, 1, 2, 1}, {1, 2, 3, 4}), each = b.weight({2, 1, 2, 1}, {1, 2, 3, 4});
  graph::Weight w = b.weight({4, 1, 1, 1}, {1, 1, 1, 1});
  b.g.weights[each.id].scale = b.weight({2, 1, 1, 1}, {10, 100}).id;
  b.g.weights[w.id].scale = b.weight({1, 1, 1, 1}, {2}).id;
  b.watch(b.g.head_linear(x, plain));
  b.watch(b.g.head_linear(x, each));
  b.watch(b.g.linear(x, w, b.weight({1, 1, 1, 1}, {0.5f})));  // the bias is not scaled
  b.start();
  require_close(b.step({{1, 1, 2, -1}}, {0}), {3, 2, 30, 200, 6.5});
}

TEST_CASE("golden: concat repeats a single head", "[ops]") {
  Bench b;
  Tensor two = b.input(2, 1), one = b.input(1, 2);
  b.watch(b.g.concat(two, one));
  b.watch(b.g.concat(one, two));
  b.start();
  require_close(b.step({{1, 2}, {8, 9}}, {0}), {1, 8, 9, 2, 8, 9, 8, 9, 1, 8, 9, 2});
}

TEST_CASE("golden: attention to values within keys", "[ops]") {
  // Scores 0 and ln 3 of the second element: weights 1/4 and 3/4 of the first.
  Bench b;
  Tensor q = b.input(1, 2), k = b.input(1, 2);
  b.watch(b.g.attention_within_keys(q, k, 1, {1.0986122887f}));
  b.start();
  require_close(b.step({{0, 1, 0, 1}, {4, 0, 8, 1}}, {0, 1}), {4, 7});
}

TEST_CASE("golden: decay", "[ops]") {
  Bench b;
  graph::Weight bias = b.weight({3, 1, 1, 1}, {0, 1, 100});
  b.watch(b.g.decay(b.input(1, 3), bias, b.weight({3, 1, 1, 1}, {-1, -2, -0.5f})));
  b.start();
  require_close(b.step({{0, -1, 900}}, {0}), {-0.6931471806, -2 * 0.6931471806, -500});
}

TEST_CASE("golden: slice of each head", "[ops]") {
  Bench b;
  b.watch(b.g.slice(b.input(2, 4), 1, 2));
  b.start();
  require_close(b.step({{0, 1, 2, 3, 4, 5, 6, 7}}, {0}), {1, 2, 5, 6});
}

TEST_CASE("golden: rope", "[ops]") {
  const double quarter = std::acos(0.0);  // position 1 turns the first pair by 90 degrees, the second by 180
  for (bool adjacent : {false, true}) {
    Bench b;
    b.watch(b.g.rope(b.input(1, 5), b.g.rope_table({{quarter, 2 * quarter}, 2.0f, adjacent})));
    b.start();
    const Values x = {1, 2, 3, 4, 5};
    const Values y = b.step({{1, 2, 3, 4, 5, 1, 2, 3, 4, 5}}, {0, 1});
    if (adjacent)  // (1, 2) -> (-2, 1); (3, 4) -> (-3, -4); all doubled but the last
      require_close(y, {2, 4, 6, 8, 5, -4, 2, -6, -8, 5});
    else  // (1, 3) -> (-3, 1); (2, 4) -> (-2, -4)
      require_close(y, {2, 4, 6, 8, 5, -6, -4, 2, -8, 5});
  }
}

TEST_CASE("golden: attention is causal, grouped and remembers", "[ops]") {
  for (KvType type : {KvType::f32, KvType::f16}) {
    Bench b;
    const float ln2 = 0.6931471806f;  // so that a score of 1 weighs twice a score of 0
    Tensor q = b.input(2, 1), k = b.input(1, 1), v = b.input(1, 2);
    b.watch(b.g.attention(q, k, v, {ln2}));
    b.start(type);
    // Heads q = 0 and 1 share keys 0, 1 | 2; weights of the second: 1, 2 | 4.
    require_close(b.step({{0, 1, 0, 1}, {0, 1}, {6, 12, 0, 3}}, {0, 1}), {6, 12, 6, 12, 3, 7.5, 2, 6});
    require_close(b.step({{0, 1}, {2}, {1, 0}}, {2}), {7.0 / 3, 5, 10.0 / 7, 18.0 / 7});
  }
}

TEST_CASE("golden: the f16 cache rounds keys and values", "[ops]") {
  Bench b;
  Tensor q = b.input(1, 1), k = b.input(1, 1), v = b.input(1, 2);
  b.watch(b.g.attention(q, k, v, {1.0f}));
  b.start(KvType::f16);
  const Values y = b.step({{0}, {0}, {1.0f + 1.0f / 4096, 2049}}, {0});
  CHECK(y[0] == 1.0f);     // 11 bits of precision
  CHECK(y[1] == 2048.0f);  // ties go to even
}

TEST_CASE("golden: short_conv", "[ops]") {
  Bench b;
  auto silu = [](double x) { return x / (1 + std::exp(-x)); };
  // Channel 0 takes 1, 10, 100 of the inputs two ago, one ago and now; channel 1 the input two ago.
  b.watch(b.g.short_conv(b.input(1, 2), b.weight({3, 2, 1, 1}, {1, 10, 100, 1, 0, 0}), /*silu=*/true));
  b.start();
  require_close(b.step({{1, 5, 2, 6}}, {0, 1}), {silu(100), 0, silu(210), 0});
  require_close(b.step({{3, 7}}, {2}), {silu(321), silu(5)});
  require_close(b.step({{4, -8, 0, 0}}, {3, 4}), {silu(432), silu(6), silu(43), silu(7)});
}

TEST_CASE("golden: delta_net", "[ops]") {
  // One key head of 2, two value heads of 1; the state of a head is a row of two numbers.
  Bench b;
  Tensor q = b.input(1, 2), k = b.input(1, 2), v = b.input(2, 1), g = b.input(1, 2), beta = b.input(1, 2);
  b.watch(b.g.delta_net(q, k, v, g, beta, graph::KeyHeads::tiled));
  b.start();
  // t0: S = 0, so d = beta v: S = beta v k = (3, 0) and (2, 0); o = S q.
  require_close(b.step({{1, 1}, {1, 0}, {3, 4}, {0, 0}, {1, 0.5f}}, {0}), {3, 2});
  // t1, head 0: no decay; k = (1, 0), v = 5, beta 1: d = 5 - 3, S = (5, 0): the old value is replaced.
  // head 1: halved to (1, 0); d = 0.5 (3 - 1) = 1, S = (2, 0).
  const float halve = -0.6931471806f;
  require_close(b.step({{1, 2}, {1, 0}, {5, 3}, {0, halve}, {1, 0.5f}}, {1}), {5, 2});
  // t2: k = (0, 1) is orthogonal: head 0 writes 7 beside it, S = (5, 7); head 1 has beta 0, S = (2, 0).
  require_close(b.step({{1, 2}, {0, 1}, {7, 9}, {0, 0}, {1, 0}}, {2}), {19, 2});
}

TEST_CASE("golden: delta_net value heads read key heads in either order", "[ops]") {
  for (auto [order, expected] : {std::pair{graph::KeyHeads::tiled, std::vector<double>{1, 20, 3, 40}},
                                 std::pair{graph::KeyHeads::grouped, std::vector<double>{1, 2, 30, 40}}}) {
    Bench b;
    Tensor q = b.input(2, 1), k = b.input(2, 1), v = b.input(4, 1), g = b.input(1, 4), beta = b.input(1, 4);
    b.watch(b.g.delta_net(q, k, v, g, beta, order));
    b.start();
    require_close(b.step({{1, 10}, {1, 1}, {1, 2, 3, 4}, {0, 0, 0, 0}, {1, 1, 1, 1}}, {0}), expected);
  }
}

TEST_CASE("golden: route", "[ops]") {
  auto routed = [](graph::RouteParams params, Values logits, Values bias = {}) {
    Bench b;
    Tensor in = b.input(1, static_cast<int>(logits.size()));
    auto routing = b.g.route(in, params, bias.empty() ? graph::Weight{} : b.weight({bias.size(), 1, 1, 1}, bias));
    b.watch(routing.experts);
    b.watch(routing.weights);
    b.start();
    Values y = b.step({logits}, {0});
    for (int i = 0; i < params.chosen; i++) {  // ids cross as their bits
      std::int32_t id;
      std::memcpy(&id, &y[i], sizeof id);
      y[i] = static_cast<float>(id);
    }
    return y;
  };
  using graph::Gating;
  const float ln2 = 0.6931471806f;
  // Softmax of ln (1, 4, 1, 2): 1/8, 1/2, 1/8, 1/4.
  const Values l = {0, 2 * ln2, 0, ln2};
  require_close(routed({3, Gating::softmax, false, 1.0f}, l), {1, 3, 0, 0.5, 0.25, 0.125});  // of 0 and 2, the lower
  require_close(routed({2, Gating::softmax, true, 3.0f}, l), {1, 3, 2, 1});
  // Biased probabilities 1/8, 1/2, 1/8 + 1/2, 1/4 - 1/4 choose 2 and 1, whose weights are 1/8 and 1/2.
  require_close(routed({2, Gating::softmax, false, 0.0f}, l, {0, 0, 0.5f, -0.25f}), {2, 1, 0.125, 0.5});
  require_close(routed({2, Gating::softmax, false, 0.0f}, l), {1, 3, 0.5, 0.25});  // scale 0 means none
  // Sigmoid of 0 and ln 2: 1/2 and 2/3.
  require_close(routed({2, Gating::sigmoid, false, 1.0f}, {-5, 0, ln2}), {2, 1, 2.0 / 3, 0.5});
  // Probabilities 1/2, 1/2, 1/3, 4/5, 0, 0 in groups of two, worth 1, 17/15 and 0: of the best two groups, 3 and 0; of the
  // best alone, 3 and 2, although 0 is more probable.
  const Values six = {0, 0, -ln2, 2 * ln2, -50, -50};
  require_close(routed({2, Gating::sigmoid, false, 1.0f, 3, 2}, six), {3, 0, 0.8, 0.5});
  require_close(routed({2, Gating::sigmoid, false, 1.0f, 3, 1}, six), {3, 2, 0.8, 1.0 / 3});
  // A bias of 1 for expert 5 makes the last group worth 1 as well: of equals, the first.
  require_close(routed({2, Gating::sigmoid, false, 1.0f, 3, 2}, six, {0, 0, 0, 0, 0, 1}), {3, 0, 0.8, 0.5});
  // Normalising divides by no less than 2^-14.
  const double tiny = std::exp(-20.0);
  require_close(routed({1, Gating::sigmoid, true, 1.0f}, {-20}), {0, tiny / (1 + tiny) * 16384});
}

TEST_CASE("golden: expert_linear and combine", "[ops]") {
  for (bool own : {false, true}) {
    Bench b;
    Tensor logits = b.input(1, 3), x = b.input(own ? 2 : 1, 2);
    auto routing = b.g.route(logits, {2, graph::Gating::softmax, false, 8.0f});
    Tensor y = b.g.expert_linear(x, b.weight({2, 1, 3, 1}, {1, 0, 0, 1, 100, 100}), routing);
    b.watch(y);
    b.watch(b.g.combine(y, routing));
    b.start();
    // Softmax 1/2, 1/4, 1/4: experts 0 then 1 with weights 4 and 2; then expert 1, then 0.
    const float ln2 = 0.6931471806f;
    const Values l = {ln2, 0, 0, 0, ln2, -100};
    if (own) require_close(b.step({l, {1, 2, 3, 4, 5, 6, 7, 8}}, {0, 1}), {1, 4, 6, 7, 12, 8.0 * (6 * 2 + 7) / 3});
    else require_close(b.step({l, {1, 2, 3, 4}}, {0, 1}), {1, 2, 4, 3, 8, 8.0 * (4 * 2 + 3) / 3});
  }
}

// --- refusals -----------------------------------------------------------------------------------------------------------

TEST_CASE("ref names the weight and the type that it cannot decode", "[ops]") {
  auto device = open_ref().value_or_throw();
  Graph g;
  g.embed(g.weight({"token_embd.weight", TensorType::q8_k, {256, 4, 1, 1}}));
  REQUIRE_FALSE(g.error());
  auto refused = device->supports(g, g.nodes[0]);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unsupported);
  CHECK(refused.error().message.find("token_embd.weight: type Q8_K") == 0);
}

TEST_CASE("ref refuses weights that are short, cut a block or overflow", "[ops]") {
  auto device = open_ref().value_or_throw();
  const std::vector<std::byte> bytes(64);
  WeightSource source;
  source.mapped = bytes;
  source.bytes = bytes.size();
  CHECK(device->load({"fits", TensorType::f32, {16, 1, 1, 1}}, source));
  CHECK_FALSE(device->load({"short", TensorType::f32, {17, 1, 1, 1}}, source));
  CHECK_FALSE(device->load({"cut", TensorType::q8_0, {33, 1, 1, 1}}, source));
  CHECK_FALSE(device->load({"huge", TensorType::f32, {1ull << 62, 4, 1, 1}}, source));
  CHECK_FALSE(device->load({"wraps", TensorType::f32, {1ull << 40, 1ull << 40, 1, 1}}, source));
  CHECK_FALSE(device->load({"empty", TensorType::f32, {0, 1, 1, 1}}, source));
}

TEST_CASE("ref refuses steps that are inconsistent", "[ops]") {
  auto device = open_ref().value_or_throw();
  Graph g;
  const Values table(12, 1.0f);
  Tensor x = g.embed(g.weight({"table", TensorType::f32, {4, 3, 1, 1}}));
  Tensor y = g.gather(g.attention(x, x, x, {1.0f}));
  graph::Stage stage{0, {0, 1, 2}, {}, {y.id}};
  WeightSource source;
  source.mapped = std::as_bytes(std::span(table));
  source.bytes = source.mapped.size();
  auto weight = device->load(g.weights[0], source).value_or_throw();
  const Weight* weights[] = {weight.get()};
  auto program = device->compile(g, stage, weights, {4, 2}).value_or_throw();
  auto state = device->make_state({g.kv_layers, g.recurrent_states, KvType::f16, 2}).value_or_throw();
  state->reserve(Piece::page, 2).value_or_throw();
  state->reserve(Piece::slot, 1).value_or_throw();

  struct Wrong {
    const char* what;
    std::vector<std::int32_t> tokens, positions, outputs;
    SequenceStep sequence;
  };
  const int good[] = {0, 1}, bad[] = {0, 2}, negative[] = {-1, 0};
  const Wrong cases[] = {
      {"nothing", {0, 1, 2}, {0, 1, 2}, {0, 2}, {0, 3, 0, good, {}, 0}},
      {"too many tokens", {0, 0, 0, 0, 0}, {0, 1, 2, 3, 4}, {}, {0, 5, 0, good, {}, 0}},
      {"too many outputs", {0, 1, 2}, {0, 1, 2}, {0, 1, 2}, {0, 3, 0, good, {}, 0}},
      {"a token outside the vocabulary", {0, 3}, {0, 1}, {}, {0, 2, 0, good, {}, 0}},
      {"a negative token", {0, -1}, {0, 1}, {}, {0, 2, 0, good, {}, 0}},
      {"positions missing", {0, 1}, {0}, {}, {0, 2, 0, good, {}, 0}},
      {"outputs descending", {0, 1}, {0, 1}, {1, 0}, {0, 2, 0, good, {}, 0}},
      {"an output outside", {0, 1}, {0, 1}, {2}, {0, 2, 0, good, {}, 0}},
      {"rows without a sequence", {0, 1}, {0, 1}, {}, {0, 1, 0, good, {}, 0}},
      {"a sequence past the rows", {0, 1}, {0, 1}, {}, {0, 3, 0, good, {}, 0}},
      {"a sequence that starts late", {0, 1}, {0, 1}, {}, {1, 1, 0, good, {}, 0}},
      {"pages missing", {0, 1}, {0, 1}, {}, {0, 2, 3, good, {}, 0}},
      {"a page not reserved", {0, 1, 2}, {0, 1, 2}, {}, {0, 3, 0, bad, {}, 0}},
      {"a negative page", {0, 1}, {0, 1}, {}, {0, 2, 0, negative, {}, 0}},
      {"a position near the end of int", {0, 1}, {0, 1}, {}, {0, 2, INT32_MAX - 1, good, {}, 0}},
      {"a negative position", {0, 1}, {0, 1}, {}, {0, 2, -1, good, {}, 0}},
  };
  for (const Wrong& w : cases) {
    INFO(w.what);
    auto ran = program->run({w.tokens, w.positions, w.outputs, {&w.sequence, 1}}, *state);
    CHECK(static_cast<bool>(ran) == (std::string(w.what) == "nothing"));
  }
  CHECK_FALSE(state->copy(Piece::page, 0, 2));
  CHECK_FALSE(state->copy(Piece::page, -1, 0));
  CHECK_FALSE(state->copy(Piece::near_page, 0, 0));
  CHECK_FALSE(state->copy(Piece::slot, 0, 1));
  CHECK_FALSE(state->clear_slot(1));
  Values out(3 * 4);
  CHECK_FALSE(program->read(y.id, out));                       // above the capacity of outputs
  CHECK_FALSE(program->read(x.id, std::span(out).first(4)));   // no export
  CHECK_FALSE(program->read(y.id, std::span(out).first(3)));   // no whole row
  CHECK_FALSE(program->write(x.id, std::span(out).first(4)));  // no import
  CHECK_FALSE(program->read(-1, {}));
  CHECK(program->read(y.id, std::span(out).first(8)));
}

TEST_CASE("ref shows the use of memory that was never written", "[ops]") {
  Bench b;
  b.watch(b.g.add(b.input(1, 2), b.input(1, 2)));
  b.start();
  const Values y = b.step({{1, 2}}, {0});  // the second input is not written
  CHECK(std::isnan(y[0]));
  CHECK(std::isnan(y[1]));
}
