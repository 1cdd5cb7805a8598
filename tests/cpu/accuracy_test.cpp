// Owns: the proof that results are near what the reference computes, on every instruction set: each operation by itself,
// from the reference's inputs, and whole models. Knows how many running sums a product of floats has.
#include <algorithm>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "backend/ref/ref.h"
#include "cpu/block.h"

using namespace strata;
using namespace strata::test;

namespace {

constexpr std::size_t kLength = 280;  // two splits of attention

using Activations = std::vector<std::vector<float>>;  ///< by storage; the logits' rows are those of all tokens

/// A model whose operations are programs of their own, so that what passes between them can be changed.
class Nodewise {
 public:
  Nodewise(const Model& model, std::unique_ptr<backend::Device> device)
      : graph_(model.graph), device_(std::move(device)), weights_(model, *device_) {
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      stages_.push_back({0, {static_cast<int>(n)}, storages(graph_.nodes[n].in), storages(graph_.nodes[n].out)});
      programs_.push_back(device_->compile(graph_, stages_[n], weights_.all(), {kLength, kLength}).value_or_throw());
    }
    state_ = device_->make_state({graph_.kv_layers, graph_.recurrent_states, backend::KvType::f32, kLength}).value_or_throw();
    state_->reserve(backend::Piece::page, 1).value_or_throw();
    state_->reserve(backend::Piece::slot, 1).value_or_throw();
  }

  /// Runs every node in turn, then calls done(n), which may change what node n wrote.
  template <class Done>
  void run(std::span<const std::int32_t> tokens, Activations& values, const Done& done) {
    state_->clear_slot(0).value_or_throw();
    values.resize(graph_.tensors.size());
    for (std::size_t n = 0; n < stages_.size(); ++n) {
      run_node(n, tokens, values, values);
      done(n);
    }
  }
  /// Runs node n alone, from `in`; nodes with a state run in order.
  void run_node(std::size_t n, std::span<const std::int32_t> tokens, const Activations& in, Activations& out) {
    std::vector<std::int32_t> positions(kLength);
    std::iota(positions.begin(), positions.end(), 0);
    const int page = 0;
    backend::SequenceStep sequence{0, kLength, 0, {&page, 1}, {}, 0};
    for (int id : stages_[n].imports) programs_[n]->write(id, in[static_cast<std::size_t>(id)]).value_or_throw();
    programs_[n]->run({tokens, positions, positions, {&sequence, 1}}, *state_).value_or_throw();
    for (int id : written(n)) {
      out[static_cast<std::size_t>(id)].resize(kLength * graph_.tensors[static_cast<std::size_t>(id)].width());
      programs_[n]->read(id, out[static_cast<std::size_t>(id)]).value_or_throw();
    }
  }
  std::span<const int> written(std::size_t n) const { return stages_[n].exports; }

 private:
  template <class Ids>
  std::vector<int> storages(const Ids& tensors) const {
    std::set<int> ids;
    for (int id : tensors)
      if (id >= 0) ids.insert(graph_.tensors[static_cast<std::size_t>(id)].storage);
    return {ids.begin(), ids.end()};
  }

  const Graph& graph_;
  std::unique_ptr<backend::Device> device_;
  LoadedWeights weights_;
  std::vector<graph::Stage> stages_;
  std::vector<std::unique_ptr<backend::Program>> programs_;
  std::unique_ptr<backend::StateStore> state_;
};

double nmse(std::span<const float> got, std::span<const float> expected) {
  double error = 0, power = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    error += std::pow(static_cast<double>(got[i]) - expected[i], 2);
    power += std::pow(static_cast<double>(expected[i]), 2);
  }
  return error == 0 ? 0 : error / power;
}

/// Of each position's logits.
std::vector<double> errors(std::span<const float> got, std::span<const float> expected) {
  std::vector<double> out;
  for (std::size_t at = 0; at < got.size(); at += kVocabulary)
    out.push_back(nmse(got.subspan(at, kVocabulary), expected.subspan(at, kVocabulary)));
  return out;
}

/// The mean square of a rounding to 24 bits relative to what is rounded: it is anywhere within half a place, 2^-24 of a
/// number in [1, 2), so u^2 / 3 times the mean of 1 / x^2 over mantissas, 0.54 (they are as many in every octave).
constexpr double kRounding = 0.54 / 3 / (1 << 24) / (1 << 24);

/// Running sums of a product of floats: lanes times chains.
int running_sums(const std::string& isa) {
  const std::map<std::string, int> sums{{"scalar", 8}, {"neon", 16}, {"avx2", 16}, {"avx_vnni", 16}, {"avx512", 32}};
  return sums.at(isa);
}

/// The expected NMSE of what a node computes, in roundings, here and in the reference together.
///
/// A sum of n terms of random signs in s running sums: n / s additions each, of which number j is rounded relative to j
/// terms, so n / (2 s) roundings of the whole; then log2(s) levels of a tree; and one each for products that are not
/// fused, for a bias, and for the reference.
/// Attention: scores are sums of chains of 16 (8 roundings, and 2 for scaling them and for the maximum). A relative
/// error of a score is one of its weight, times the score. Scores that matter are up to 5 here: queries have a length of
/// sqrt(32), keys about as much, the scale is 0.3, which makes 1.7 the usual score, and the greatest of 280 is three times that.
/// DeltaNet: two products with a state, a row of which was rounded twice for each token that it remembers.
/// Others: an exponential (2 places are 4 squared, in the middle one), a division and some products.
double roundings(const Graph& g, const graph::Node& node, int sums) {
  switch (node.op) {
    case graph::Op::linear:
    case graph::Op::head_linear:
    case graph::Op::expert_linear:
      return static_cast<double>(g.weights[static_cast<std::size_t>(node.weight[0])].ne[0]) / (2 * sums) + std::log2(sums) + 3;
    case graph::Op::attention: return 10 * 5 * 5;
    case graph::Op::delta_net: return 24;
    default: return 8;
  }
}

/// Adds noise of this NMSE to the rows of a tensor's heads.
void disturb(std::vector<float>& values, std::size_t head, double error, std::mt19937& random) {
  std::normal_distribution<double> normal;
  for (std::size_t at = 0; at < values.size(); at += head) {
    double power = 0;
    for (std::size_t i = at; i < at + head; ++i) power += std::pow(static_cast<double>(values[i]), 2);
    const double deviation = std::sqrt(error * power / static_cast<double>(head));
    for (std::size_t i = at; i < at + head; ++i) values[i] += static_cast<float>(deviation * normal(random));
  }
}

}  // namespace

// Half as much again leaves room for sums whose terms do not have random signs.
TEST_CASE("every operation is as near the reference as its sums of floats can be") {
  const Model model = make_model(TensorType::f32);
  const auto tokens = random_tokens(kLength, 5);
  Nodewise ref(model, backend::open_ref().value_or_throw());
  Activations expected;
  ref.run(tokens, expected, [](std::size_t) {});
  for (const std::string& isa : usable_isas()) {
    Nodewise cpu(model, open_cpu(2, isa));
    Activations got(expected.size());
    for (std::size_t n = 0; n < model.graph.nodes.size(); ++n) {
      const graph::Node& node = model.graph.nodes[n];
      CAPTURE(isa, n, graph::name(node.op));
      cpu.run_node(n, tokens, expected, got);
      for (int id : cpu.written(n)) {
        const std::size_t i = static_cast<std::size_t>(id);
        if (model.graph.tensors[i].element == graph::Element::i32)
          CHECK(same_bits(got[i], expected[i]));
        else
          CHECK(nmse(got[i], expected[i]) < 1.5 * kRounding * roundings(model.graph, node, running_sums(isa)));
      }
    }
  }
}

// A model may turn small differences into large ones: where what DeltaNet reads from its state nearly cancels, the norm behind
// it divides by next to nothing. The reference tells by how much: it runs with noise of the size of an operation's
// roundings behind every operation. An error of one number that five standard deviations of it exceed does not happen
// in ten million positions.
TEST_CASE("models of floats are as near the reference as roundings take them") {
  constexpr int runs = 8;
  const Model model = make_model(TensorType::f32);
  const Graph& g = model.graph;
  const auto tokens = random_tokens(kLength, 5);
  const std::size_t logits = static_cast<std::size_t>(g.info(g.logits).storage);
  Nodewise ref(model, backend::open_ref().value_or_throw());
  Activations expected, noisy;
  ref.run(tokens, expected, [](std::size_t) {});
  for (const std::string& isa : usable_isas()) {
    CAPTURE(isa);
    std::vector<double> noise(kLength, 0.0);
    for (unsigned seed = 0; seed < runs; ++seed) {
      std::mt19937 random(seed);
      ref.run(tokens, noisy, [&](std::size_t n) {
        for (int id : ref.written(n)) {
          const graph::TensorInfo& info = g.tensors[static_cast<std::size_t>(id)];
          if (info.element == graph::Element::f32)
            disturb(noisy[static_cast<std::size_t>(id)], static_cast<std::size_t>(info.dim),
                    kRounding * roundings(g, g.nodes[n], running_sums(isa)), random);
        }
      });
      const auto moved = errors(noisy[logits], expected[logits]);
      for (std::size_t p = 0; p < kLength; ++p) noise[p] += moved[p] / runs;
    }
    Runner cpu(model, open_cpu(2, isa), kLength, 2, backend::KvType::f32);
    Timeline line = cpu.start(0, 2);
    const auto got = errors(cpu.step({{&line, tokens}}), expected[logits]);
    for (std::size_t p = 0; p < kLength; ++p) {
      CAPTURE(p);
      CHECK(got[p] < 25 * noise[p]);
    }
  }
}

TEST_CASE("models with rounded inputs and caches are near the reference") {
  struct Case {
    TensorType type;
    double bound;     ///< of all positions together
    double position;  ///< of each, or of the median one where the choice of an expert may tip
  };
  // A key or value that is a rounding off may round to another half. Products of quantised weights round their inputs to 8 bits:
  // the selftest allows a product 1.7e-4, and those of different products add up. Where that tips the choice of an
  // expert, a position is off by more; the median position is not.
  constexpr double product = 1.7e-4;
  for (auto [type, bound, position] : {Case{TensorType::f32, 1e-8, 1e-8}, Case{TensorType::q4_k, 1e-2, kProducts * product},
                                       Case{TensorType::q8_0, 1e-2, kProducts * product}}) {
    const Model model = make_model(type);
    const auto tokens = random_tokens(kLength, 5);
    const auto logits = [&](std::unique_ptr<backend::Device> device) {
      Runner runner(model, std::move(device), kLength, 1);
      Timeline line = runner.start(0, 1);
      return runner.step({{&line, tokens}});
    };
    const auto expected = logits(backend::open_ref().value_or_throw());
    for (const std::string& isa : usable_isas()) {
      CAPTURE(type_name(type), isa);
      const auto got = logits(open_cpu(2, isa));
      REQUIRE(got.size() == kLength * kVocabulary);
      auto each = errors(got, expected);
      std::sort(each.begin(), each.end());
      CHECK(nmse(got, expected) < bound);
      CHECK((type == TensorType::f32 ? each.back() : each[kLength / 2]) < position);
    }
  }
}
