// Owns: the tests of which tensor gets which type: against the lists of llama-quantize, and rule by rule. Knows no bytes.
#include <deque>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "rewrite/mixture.h"
#include "support/catch.h"
#include "support/shared.h"

using namespace strata;
using namespace strata::rewrite;
using T = TensorType;

namespace {

/// The tensors of a made-up model; F16 matrices, F32 vectors.
struct Directory {
  std::deque<std::string> names;
  std::vector<TensorShape> shapes;
  ModelFacts facts;

  void add(const std::string& name, std::initializer_list<std::uint64_t> ne, T type = T::f16) {
    TensorShape shape{names.emplace_back(name), ne.size() > 1 ? type : T::f32, {1, 1, 1, 1}, static_cast<int>(ne.size())};
    std::copy(ne.begin(), ne.end(), shape.ne);
    shapes.push_back(shape);
  }
  Assignment operator()(const std::string& name, const std::string& mixture, bool importance = false,
                        const std::vector<Override>& overrides = {}) const {
    const Mixture* found = find_mixture(mixture);
    REQUIRE(found != nullptr);
    const auto all = assign(*found, facts, shapes, overrides, importance);
    REQUIRE(all.size() == shapes.size());
    for (std::size_t i = 0; i < shapes.size(); ++i)
      if (shapes[i].name == name) return all[i];
    FAIL("no tensor " << name);
    return {};
  }
  T type(const std::string& name, const std::string& mixture, bool importance = false) const {
    return (*this)(name, mixture, importance).type;
  }
};

struct Plan {
  int layers = 32, experts = 0, gqa = 2;
  std::uint64_t width = 256, inner = 512;
  bool tied = false;
};

Directory model(const Plan& p) {
  Directory d;
  d.facts = {"llama", p.layers, p.experts, p.gqa, false};
  d.add("token_embd.weight", {p.width, 64});
  d.add("output_norm.weight", {p.width});
  for (int i = 0; i < p.layers; ++i) {
    const std::string b = "blk." + std::to_string(i) + ".";
    d.add(b + "attn_norm.weight", {p.width});
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"}) d.add(b + name + ".weight", {p.width, p.width});
    d.add(b + "ffn_norm.weight", {p.width});
    const auto n = static_cast<std::uint64_t>(p.experts);
    if (n == 0) {
      d.add(b + "ffn_down.weight", {p.inner, p.width});
      d.add(b + "ffn_gate.weight", {p.width, p.inner});
      d.add(b + "ffn_up.weight", {p.width, p.inner});
    } else {
      d.add(b + "ffn_gate_inp.weight", {p.width, n}, T::f32);
      d.add(b + "ffn_down_exps.weight", {p.inner, p.width, n});
      d.add(b + "ffn_gate_exps.weight", {p.width, p.inner, n});
      d.add(b + "ffn_up_exps.weight", {p.width, p.inner, n});
    }
  }
  if (!p.tied) d.add("output.weight", {p.width, 64});
  return d;
}

/// Compares with a list "tensor type" of the tensors that llama-quantize quantised.
void check_list(const std::string& file, const Directory& directory) {
  const auto path = test::shared("conformance/quant-types/" + file);
  if (!path) return;
  std::istringstream list(test::read_text(*path));
  std::map<std::string, std::string> expected;
  for (std::string name, type; list >> name >> type;) {
    for (char& c : type) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    expected[name] = type;
  }
  REQUIRE(expected.size() > 200);
  const auto assigned = assign(*find_mixture("Q4_K_M"), directory.facts, directory.shapes, {}, false);
  std::size_t converted = 0;
  for (std::size_t i = 0; i < assigned.size(); ++i) {
    const std::string name(directory.shapes[i].name);
    INFO(file << ": " << name);
    CHECK(assigned[i].converted == (expected.count(name) == 1));
    if (!assigned[i].converted) continue;
    ++converted;
    CHECK(expected[name] == type_name(assigned[i].type));
    CHECK(!assigned[i].fallback);
  }
  CHECK(converted == expected.size());
}

}  // namespace

TEST_CASE("Q4_K_M gives each tensor the type that llama-quantize gives", "[rewrite]") {
  check_list("qt-llama32.Q4_K_M.txt", model({}));
  check_list("qt-llama32-tied.Q4_K_M.txt", model({.tied = true}));
  check_list("qt-qwen3moe48.Q4_K_M.txt", model({.layers = 48, .experts = 16}));
}

TEST_CASE("the order of tensors in the file does not matter", "[rewrite]") {
  Directory a = model({}), b = model({});
  std::reverse(b.shapes.begin(), b.shapes.end());
  for (const TensorShape& shape : a.shapes)
    for (const char* mixture : {"Q4_K_M", "Q3_K_M", "IQ4_XS"}) CHECK(a.type(std::string(shape.name), mixture) == b.type(std::string(shape.name), mixture));
}

TEST_CASE("the other mixtures", "[rewrite]") {
  const Directory d = model({}), gqa = model({.gqa = 4}), tied = model({.tied = true});
  const auto v = [](int layer) { return "blk." + std::to_string(layer) + ".attn_v.weight"; };
  const auto down = [](int layer) { return "blk." + std::to_string(layer) + ".ffn_down.weight"; };
  const std::string out = "blk.5.attn_output.weight", up = "blk.5.ffn_up.weight", q = "blk.5.attn_q.weight";

  CHECK(d.type(v(3), "Q4_K_S") == T::q5_k);
  CHECK(d.type(v(4), "Q4_K_S") == T::q4_k);
  CHECK(d.type(down(3), "Q4_K_S") == T::q5_k);
  CHECK(d.type(down(4), "Q4_K_S") == T::q4_k);
  CHECK(d.type(up, "Q5_K_S") == T::q5_k);
  CHECK(d.type(v(0), "Q5_K_S") == T::q5_k);
  CHECK(d.type(v(0), "Q5_K_M") == T::q6_k);
  CHECK(d.type(v(5), "Q5_K_M") == T::q5_k);
  CHECK(d.type(v(6), "Q5_K_M") == T::q6_k);   // (6 - 32 / 8) % 3 == 2
  CHECK(d.type(down(28), "Q5_K_M") == T::q6_k);
  CHECK(d.type(up, "Q5_K_M") == T::q5_k);

  CHECK(d.type(v(1), "Q3_K_M") == T::q5_k);
  CHECK(d.type(v(2), "Q3_K_M") == T::q4_k);
  CHECK(d.type(down(1), "Q3_K_M") == T::q5_k);
  CHECK(d.type(down(2), "Q3_K_M") == T::q4_k);
  CHECK(d.type(out, "Q3_K_M") == T::q4_k);
  CHECK(d.type(up, "Q3_K_M") == T::q3_k);
  CHECK(d.type("token_embd.weight", "Q3_K_M") == T::q3_k);
  CHECK(d.type(out, "Q3_K_L") == T::q5_k);
  CHECK(d.type(down(9), "Q3_K_L") == T::q5_k);
  CHECK(d.type(down(9), "Q3_K_S") == T::q3_k);
  CHECK(d.type(v(9), "Q2_K") == T::q3_k);
  CHECK(gqa.type(v(9), "Q2_K") == T::q4_k);
  CHECK(d.type(down(9), "Q2_K") == T::q3_k);
  CHECK(d.type(out, "Q2_K") == T::q3_k);
  CHECK(d.type(q, "Q2_K") == T::q2_k);

  CHECK(d.type(v(9), "IQ4_XS") == T::iq4_xs);
  CHECK(gqa.type(v(9), "IQ4_XS") == T::q5_k);
  CHECK(d.type(down(3), "IQ4_XS") == T::q5_k);
  CHECK(d.type(down(3), "IQ4_XS", true) == T::iq4_xs);
  CHECK(d.type(down(4), "IQ4_NL") == T::iq4_nl);
  CHECK(d.type(down(3), "Q4_0") == T::q4_0);
  CHECK(d.type(down(3), "Q4_0", true) == T::q4_1);
  CHECK(d.type(down(4), "Q4_0", true) == T::q4_0);
  CHECK(d.type(down(3), "Q5_0", true) == T::q5_1);

  for (const char* mixture : {"Q6_K", "Q5_K_M", "Q4_0", "Q4_K_S", "Q3_K_M", "Q2_K", "IQ4_XS", "Q5_1"}) {
    CHECK(d.type("output.weight", mixture) == T::q6_k);
    CHECK(tied.type("token_embd.weight", mixture) == T::q6_k);
  }
  CHECK(d.type("output.weight", "Q8_0") == T::q8_0);
  CHECK(d.type("output.weight", "F16") == T::f16);
  CHECK(d.type(v(0), "BF16") == T::bf16);
  CHECK(d.type("blk.0.attn_norm.weight", "F16") == T::f32);

  const Directory experts = model({.layers = 4, .experts = 4});
  CHECK(experts.type("blk.1.ffn_up_exps.weight", "MXFP4_MOE") == T::mxfp4);
  CHECK(experts.type("blk.1.ffn_down_exps.weight", "MXFP4_MOE") == T::mxfp4);
  CHECK(experts.type("blk.1.attn_q.weight", "MXFP4_MOE") == T::q8_0);
  CHECK(experts.type("token_embd.weight", "MXFP4_MOE") == T::q8_0);
  CHECK(experts.type("output.weight", "MXFP4_MOE") == T::q8_0);

  const Directory eight = model({.layers = 16, .experts = 8});
  CHECK(eight.type("blk.1.attn_v.weight", "Q2_K") == T::q8_0);
  CHECK(eight.type("blk.1.attn_k.weight", "Q5_K_S") == T::q8_0);
  CHECK(eight.type("blk.1.attn_output.weight", "Q2_K") == T::q5_k);
  CHECK(eight.type("blk.1.attn_output.weight", "Q5_K_M") == T::q5_k);

  Directory large = model({.layers = 80, .gqa = 8});
  large.facts.seventy_billion = true;
  CHECK(large.type(v(40), "Q4_K_S") == T::q5_k);
  CHECK(large.type(v(40), "Q3_K_S") == T::q5_k);
  CHECK(large.type(v(0), "Q4_K_M") == T::q6_k);
}

TEST_CASE("names of mixtures", "[rewrite]") {
  CHECK(std::string(find_mixture("q4_k_m")->name) == "Q4_K_M");
  CHECK(std::string(find_mixture("q4_k")->name) == "Q4_K_M");
  CHECK(std::string(find_mixture("Q5_k")->name) == "Q5_K_M");
  CHECK(std::string(find_mixture("Q3_K")->name) == "Q3_K_M");
  CHECK(std::string(find_mixture("mxfp4")->name) == "MXFP4_MOE");
  CHECK(find_mixture("Q4") == nullptr);
  CHECK(find_mixture("") == nullptr);
  CHECK(find_mixture("Q4_K_M")->file_type == 15);
}

TEST_CASE("rows that do not fit get smaller blocks", "[rewrite]") {
  const Directory narrow = model({.layers = 2, .width = 96, .inner = 96}), odd = model({.layers = 2, .width = 40, .inner = 40});
  const std::string up = "blk.0.ffn_up.weight", v = "blk.1.attn_v.weight";
  const auto falls = [&](const std::string& name, const char* mixture, T type) {
    INFO(name << " " << mixture);
    const Assignment a = narrow(name, mixture);
    CHECK(a.type == type);
    CHECK(a.fallback);
    CHECK(odd.type(name, mixture) == T::f16);
  };
  falls(up, "Q4_K_M", T::q5_0);
  falls(up, "Q5_K_M", T::q5_1);
  falls(v, "Q4_K_M", T::q8_0);  // Q6_K was meant
  falls(up, "Q6_K", T::q8_0);
  falls(up, "Q3_K_M", T::q4_0);
  falls(up, "Q2_K", T::q4_0);
  falls(up, "IQ4_XS", T::iq4_nl);
  CHECK(narrow.type("output.weight", "Q4_K_M") == T::q8_0);
  CHECK(!narrow(up, "Q8_0").fallback);
  CHECK(odd(up, "Q8_0").fallback);
  CHECK(!odd(up, "BF16").fallback);
}

TEST_CASE("what is never quantised keeps its type", "[rewrite]") {
  Directory d = model({.layers = 1, .experts = 4});
  const std::vector<std::string> kept = {"blk.0.ffn_gate_inp.weight", "blk.0.ssm_conv1d.weight", "blk.0.shortconv.conv.weight",
                                         "blk.0.attn_q_norm.weight", "per_layer_model_proj.weight", "blk.0.laurel_l.weight",
                                         "altup_proj.weight", "token_types.weight", "position_embd.weight", "blk.0.attn_q.bias",
                                         "v.patch_embd.weight", "blk.0.attn_rel_b.weight"};
  for (const std::string& name : kept) d.add(name, {256, 256}, T::f32);
  d.add("blk.0.ids.weight", {256, 256}, T::i32);
  d.add("blk.0.ssm_a.weight", {256});
  for (const std::string& name : kept)
    for (const char* mixture : {"Q4_K_M", "F16", "MXFP4_MOE"}) {
      INFO(name << " " << mixture);
      CHECK(d.type(name, mixture) == T::f32);
      CHECK(!d(name, mixture).converted);
    }
  CHECK(d.type("blk.0.ids.weight", "Q8_0") == T::i32);
  CHECK(d.type("blk.0.ssm_a.weight", "Q8_0") == T::f32);
}

TEST_CASE("overrides", "[rewrite]") {
  const Directory d = model({.layers = 4});
  const std::vector<Override> overrides = {{std::regex("attn_v"), T::q8_0}, {std::regex(R"(^blk\.[12]\.)"), T::q4_0},
                                           {std::regex("norm"), T::q8_0}};
  CHECK(d("blk.0.attn_v.weight", "Q4_K_M", false, overrides).type == T::q8_0);
  CHECK(d("blk.1.attn_v.weight", "Q4_K_M", false, overrides).type == T::q8_0);
  CHECK(d("blk.1.ffn_up.weight", "F16", false, overrides).type == T::q4_0);
  CHECK(d("blk.3.ffn_up.weight", "Q4_K_M", false, overrides).type == T::q4_k);
  CHECK(d("blk.1.attn_norm.weight", "Q4_K_M", false, overrides).type == T::f32);
  const Directory narrow = model({.layers = 1, .width = 96, .inner = 96});
  CHECK(narrow("blk.0.attn_q.weight", "Q8_0", false, {{std::regex("attn_q"), T::q6_k}}).type == T::q8_0);
}
