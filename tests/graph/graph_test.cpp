// Owns: the builder's shape checks: what is recorded, and that errors name the weight that does not fit.
#include "graph/graph.h"

#include <set>

#include "support/catch.h"

namespace {

using namespace strata;
using namespace strata::graph;

Weight matrix(Graph& g, std::string name, std::uint64_t inputs, std::uint64_t outputs, std::uint64_t experts = 1) {
  return g.weight({std::move(name), TensorType::f32, {inputs, outputs, experts, 1}});
}
Weight vector(Graph& g, std::string name, std::uint64_t n) { return g.weight({std::move(name), TensorType::f32, {n, 1, 1, 1}}); }

bool mentions(const Graph& g, const std::string& part) {
  INFO(g.error()->message);
  return g.error()->message.find(part) != std::string::npos;
}

TEST_CASE("a graph records nodes with shapes") {
  Graph g;
  Tensor x = g.embed(matrix(g, "token_embd.weight", 8, 100));
  Tensor h = g.rms_norm(x, vector(g, "norm.weight", 8), 1e-5f);
  Tensor q = g.heads(g.linear(h, matrix(g, "q.weight", 8, 12)), 3, 4);
  Tensor kv = g.heads(g.linear(h, matrix(g, "kv.weight", 8, 4)), 1, 4);
  Tensor o = g.attention(q, kv, kv, {0.5f});
  g.logits = g.linear(g.gather(o), matrix(g, "output.weight", 12, 100));
  REQUIRE_FALSE(g.error());
  CHECK(g.nodes.size() == 7);
  CHECK(g.info(q).heads == 3);
  CHECK(g.info(q).storage == g.nodes[2].out[0]);
  CHECK(g.info(o).width() == 12);
  CHECK(g.info(g.logits).rows == Rows::outputs);
  CHECK(g.kv_layers.size() == 1);
}

TEST_CASE("a weight of the wrong shape is named, and recording goes on harmlessly") {
  SECTION("linear") {
    Graph g;
    Tensor x = g.embed(matrix(g, "token_embd.weight", 8, 100));
    Tensor y = g.linear(x, matrix(g, "blk.0.ffn_up.weight", 9, 4));
    y = g.add(y, g.swiglu(y, x));
    CHECK(y.id == -1);
    REQUIRE(g.error());
    CHECK(g.error()->code == ErrorCode::bad_file);
    CHECK(mentions(g, "blk.0.ffn_up.weight"));
    CHECK(mentions(g, "[9, 4]"));
  }
  SECTION("norm") {
    Graph g;
    g.rms_norm(g.embed(matrix(g, "token_embd.weight", 8, 100)), vector(g, "blk.0.attn_norm.weight", 7), 1e-5f);
    CHECK(mentions(g, "blk.0.attn_norm.weight"));
  }
  SECTION("heads name the projection they came from") {
    Graph g;
    Tensor x = g.embed(matrix(g, "token_embd.weight", 8, 100));
    g.heads(g.linear(x, matrix(g, "blk.0.attn_q.weight", 8, 10)), 3, 4);
    CHECK(mentions(g, "blk.0.attn_q.weight"));
  }
  SECTION("residual of another width") {
    Graph g;
    Tensor x = g.embed(matrix(g, "token_embd.weight", 8, 100));
    g.add(x, g.linear(x, matrix(g, "blk.0.ffn_down.weight", 8, 9)));
    CHECK(mentions(g, "blk.0.ffn_down.weight"));
  }
  SECTION("heads that do not divide, among them none at all") {
    Graph g;
    Tensor x = g.embed(matrix(g, "token_embd.weight", 12, 100));
    Tensor q = g.heads(x, 3, 4), k = g.heads(g.slice(x, 0, 8), 2, 4);
    g.attention(q, k, k, {1.0f});
    CHECK(mentions(g, "3 query heads"));
    Graph empty;
    empty.heads(empty.embed(matrix(empty, "token_embd.weight", 12, 100)), 0, 0);
    CHECK(empty.error());
  }
  SECTION("what follows an error is harmless") {
    Graph g;
    Tensor x = g.slice(g.embed(matrix(g, "token_embd.weight", 8, 100)), 0, 9);
    CHECK(g.error());
    CHECK(g.info(x).width() == 0);
    CHECK(g.info(g.slice(x, 0, g.info(x).dim / 2)).dim == 0);
  }
  SECTION("experts") {
    Graph g;
    Tensor x = g.embed(matrix(g, "token_embd.weight", 8, 100));
    Tensor router = g.linear(x, matrix(g, "router.weight", 8, 4));
    auto routing = g.route(router, {2, Gating::softmax, true, 1.0f});
    CHECK(g.info(routing.experts).element == Element::i32);
    CHECK(g.info(g.expert_linear(x, matrix(g, "up_exps", 8, 6, 4), routing)).heads == 2);
    REQUIRE_FALSE(g.error());
    g.expert_linear(x, matrix(g, "blk.0.ffn_up_exps.weight", 8, 6, 5), routing);
    CHECK(mentions(g, "blk.0.ffn_up_exps.weight"));
    Graph many;
    Tensor y = many.embed(matrix(many, "token_embd.weight", 4, 100));
    many.route(y, {5, Gating::softmax, true, 1.0f});
    CHECK(mentions(many, "expert_used_count"));
  }
  SECTION("a matrix for each head, joined heads, values within keys") {
    Graph g;
    Tensor x = g.heads(g.embed(matrix(g, "token_embd.weight", 12, 100)), 3, 4);
    Tensor y = g.head_linear(x, matrix(g, "k_b", 4, 6, 3));
    CHECK(g.info(y).heads == 3);
    CHECK(g.info(y).dim == 6);
    Tensor one = g.slice(g.heads(x, 1, 12), 0, 5);
    CHECK(g.info(g.concat(y, one)).heads == 3);
    CHECK(g.info(g.concat(one, y)).dim == 11);
    CHECK(g.info(g.attention_within_keys(g.concat(y, one), g.concat(g.slice(one, 0, 1), g.heads(g.slice(x, 0, 4), 1, 12)), 7, {1.0f})).dim == 0);
    CHECK(mentions(g, "query heads of 11"));
    Graph h;
    x = h.heads(h.embed(matrix(h, "token_embd.weight", 12, 100)), 3, 4);
    h.head_linear(x, matrix(h, "blk.0.attn_k_b.weight", 4, 6, 2));
    CHECK(mentions(h, "blk.0.attn_k_b.weight"));
    Graph i;
    x = i.embed(matrix(i, "token_embd.weight", 12, 100));
    i.concat(i.heads(x, 3, 4), i.heads(x, 2, 6));
    CHECK(mentions(i, "cannot be joined"));
  }
  SECTION("groups of experts that cannot hold the chosen") {
    for (auto [chosen, groups, used] : {std::tuple{2, 3, 1}, {3, 4, 1}, {2, 4, 5}, {2, 4, 0}, {2, 0, 1}}) {
      Graph g;
      g.route(g.embed(matrix(g, "token_embd.weight", 8, 100)), {chosen, Gating::sigmoid, true, 1.0f, groups, used});
      CHECK(mentions(g, "expert_group_used_count"));
    }
  }
  SECTION("a scale that nothing applies, or of the wrong size") {
    Graph g;
    Tensor x = g.embed(matrix(g, "token_embd.weight", 8, 100));
    graph::Weight norm = matrix(g, "blk.0.attn_norm.weight", 8, 1);
    g.weights[std::size_t(norm.id)].scale = matrix(g, "scale", 1, 1).id;
    g.rms_norm(x, norm, 1e-6f);
    CHECK(mentions(g, "blk.0.attn_norm.weight"));
    Graph h;
    x = h.embed(matrix(h, "token_embd.weight", 8, 100));
    graph::Weight w = matrix(h, "blk.0.attn_q.weight", 8, 4);
    h.weights[std::size_t(w.id)].scale = matrix(h, "blk.0.attn_q.scale", 3, 1).id;
    h.linear(x, w);
    CHECK(mentions(h, "blk.0.attn_q.scale"));
  }
  SECTION("state needs every token") {
    Graph g;
    Tensor x = g.gather(g.heads(g.embed(matrix(g, "token_embd.weight", 8, 100)), 2, 4));
    g.attention(x, x, x, {1.0f});
    CHECK(mentions(g, "attention"));
    Graph h;
    h.short_conv(h.gather(h.embed(matrix(h, "token_embd.weight", 8, 100))), matrix(h, "conv.weight", 4, 8), true);
    CHECK(mentions(h, "short_conv"));
    Graph mixed;
    Tensor y = mixed.embed(matrix(mixed, "token_embd.weight", 8, 100));
    mixed.add(y, mixed.gather(y));
    CHECK(mixed.error());
  }
  SECTION("sizes whose product would overflow") {
    Graph g;
    Tensor x = g.embed(matrix(g, "token_embd.weight", std::uint64_t{1} << 40, 2));
    CHECK(x.id == -1);
    CHECK(mentions(g, "token_embd.weight"));
    Graph h;
    Tensor y = h.embed(matrix(h, "token_embd.weight", 8, 100));
    h.linear(y, matrix(h, "wide.weight", 8, std::uint64_t{1} << 40));
    CHECK(h.error());
    Graph s;
    s.slice(s.embed(matrix(s, "token_embd.weight", 8, 100)), 4, 5);
    CHECK(s.error());
  }
}

TEST_CASE("every operation has a name of its own") {
  std::set<std::string> names;
  for (int op = 0; op <= static_cast<int>(Op::combine); ++op) CHECK(names.insert(name(static_cast<Op>(op))).second);
}

}  // namespace
