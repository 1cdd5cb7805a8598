// Owns: the proof of what the cpu device promises besides its results: errors, borrowed weights, transfers, state.
#include <algorithm>
#include <cstring>
#include <limits>
#include <thread>

#include "cpu/block.h"

using namespace strata;
using namespace strata::test;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// x [4] -> 2 x, on a device of its own.
struct Doubler {
  graph::Graph graph;
  std::unique_ptr<backend::Device> device = open_cpu(2);
  std::unique_ptr<backend::Program> program;
  std::unique_ptr<backend::StateStore> state;
  int x = 0, y = 0;

  explicit Doubler(int capacity) {
    graph.tensors.push_back({graph::Rows::tokens, graph::Element::f32, 1, 4, 0, -1});
    graph.hidden = graph.scale({0}, 2.0f);
    y = graph.hidden.id;
    graph::Stage stage{0, {0}, {x}, {y}};
    program = device->compile(graph, stage, {}, {capacity, capacity}).value_or_throw();
    state = device->make_state({}).value_or_throw();
  }
  Result<void> run(std::size_t rows) {
    std::vector<std::int32_t> tokens(rows, 0), positions(rows);
    std::iota(positions.begin(), positions.end(), 0);
    backend::SequenceStep sequence{0, static_cast<int>(rows), 0, {}, {}, 0};
    return program->run({tokens, positions, {}, {&sequence, 1}}, *state);
  }
};

}  // namespace

TEST_CASE("options of the device are checked") {
  backend::DeviceOptions options;
  options.isa = "pdp11";
  auto device = backend::open_cpu(options);
  REQUIRE(!device);
  CHECK(device.error().code == ErrorCode::not_found);
  CHECK(contains(device.error().message, "pdp11"));
  CHECK(contains(device.error().message, "scalar"));
  for (int threads : {-1, 1000000}) {
    options = {};
    options.threads = threads;
    CHECK(!backend::open_cpu(options));
  }
  CHECK(contains(open_cpu(3)->info().description, "3 threads"));
  CHECK(contains(open_cpu(1, "scalar")->info().description, "scalar, 1 thread"));
  CHECK(open_cpu(0)->info().id == "cpu");
}

TEST_CASE("a weight type without a kernel is refused by name") {
  graph::Graph g;
  g.tensors.push_back({graph::Rows::tokens, graph::Element::f32, 1, 256, 0, -1});
  g.linear({0}, g.weight({"blk.3.ffn_up.weight", TensorType::q8_k, {256, 8, 1, 1}}));
  auto fine = open_cpu(1)->supports(g, g.nodes[0]);
  REQUIRE(!fine);
  CHECK(fine.error().code == ErrorCode::unsupported);
  CHECK(fine.error().message ==
        "blk.3.ffn_up.weight: type Q8_K has no CPU kernel; requantise it or run with a device that has one");
}

TEST_CASE("weights are borrowed where they are mapped, else read") {
  auto device = open_cpu(1);
  CHECK(device->borrows_weights());
  const graph::WeightInfo info{"w", TensorType::f32, {4, 2, 1, 1}};
  alignas(64) std::byte bytes[40] = {};
  auto owner = std::make_shared<int>(1);
  int reads = 0;
  backend::WeightSource source;
  source.bytes = 32;
  source.owner = owner;
  source.read = [&](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
    ++reads;
    std::memcpy(out.data(), bytes + offset, out.size());
    return {};
  };

  source.mapped = std::span<const std::byte>(bytes, 32);
  auto borrowed = device->load(info, source).value_or_throw();
  CHECK(borrowed->bytes() == 0);
  CHECK(reads == 0);
  CHECK(owner.use_count() == 3);  // here, in the source, in the weight
  borrowed.reset();
  CHECK(owner.use_count() == 2);

  source.mapped = std::span<const std::byte>(bytes + 1, 32);  // no place for floats
  CHECK(device->load(info, source).value_or_throw()->bytes() == 32);
  source.mapped = {};
  CHECK(device->load(info, source).value_or_throw()->bytes() == 32);
  CHECK(reads == 2);

  source.bytes = 31;
  auto shorter = device->load(info, source);
  REQUIRE(!shorter);
  CHECK(contains(shorter.error().message, "w: 31 bytes where its shape needs 32"));
  source.bytes = std::numeric_limits<std::uint64_t>::max();
  CHECK(!device->load({"w", TensorType::f32, {std::uint64_t{1} << 40, std::uint64_t{1} << 40, 1, 1}}, source));
  CHECK(!device->load({"w", TensorType::q4_k, {128, 1, 1, 1}}, source));
  source.read = [](std::uint64_t, std::span<std::byte>) -> Result<void> { return Error{ErrorCode::io, "gone"}; };
  source.bytes = 32;
  auto failed = device->load(info, source);
  REQUIRE(!failed);
  CHECK(failed.error().message == "gone");
}

TEST_CASE("rows that are quantised at once give the bits of rows that are written first") {
  using Activation = Tensor (Graph::*)(Tensor, Tensor);
  for (const TensorType type : {TensorType::q4_k, TensorType::q8_0, TensorType::f32})
    for (const Activation activation : {&Graph::swiglu, &Graph::geglu, &Graph::swiglu_clamped, &Graph::sigmoid_gate}) {
      CAPTURE(type_name(type));
      Model m;
      Graph& g = m.graph;
      g.tensors.push_back({graph::Rows::tokens, graph::Element::f32, 1, kEmbedding, 0, -1});
      constexpr std::uint64_t e = kEmbedding, wide = 2 * e;
      const Tensor h = g.rms_norm({0}, m.add("norm", TensorType::f32, {e, 1, 1, 1}, 1), 1e-6f);
      const Tensor gate = g.linear(h, m.add("gate", type, {e, wide, 1, 1})), up = g.linear(h, m.add("up", type, {e, wide, 1, 1}));
      const Tensor inner = (g.*activation)(gate, up);
      g.hidden = g.linear(inner, m.add("down", type, {wide, e, 1, 1}));
      REQUIRE(!g.error());
      graph::Stage stage{0, std::vector<int>(g.nodes.size()), {0}, {}};
      std::iota(stage.nodes.begin(), stage.nodes.end(), 0);
      const auto device = open_cpu(2);
      const LoadedWeights weights(m, *device);
      const auto state = device->make_state({}).value_or_throw();
      std::mt19937 random(3);
      std::normal_distribution<float> normal;
      std::vector<float> x(5 * e);
      for (float& value : x) value = normal(random);
      const std::vector<std::int32_t> tokens(5, 0), positions{0, 1, 2, 3, 4};
      const backend::SequenceStep sequence{0, 5, 0, {}, {}, 0};
      // What is exported must be written.
      std::vector<std::vector<float>> seen;
      for (const std::vector<int>& also : {std::vector<int>{}, {h.id}, {inner.id}, {h.id, inner.id}}) {
        stage.exports = also;
        stage.exports.push_back(g.hidden.id);
        const auto program = device->compile(g, stage, weights.all(), {5, 5}).value_or_throw();
        REQUIRE(program->write(0, x));
        REQUIRE(program->run({tokens, positions, {}, {&sequence, 1}}, *state));
        seen.emplace_back(5 * e);
        REQUIRE(program->read(g.hidden.id, seen.back()));
        CHECK(seen.back() == seen.front());
        std::vector<float> written(5 * wide);
        for (int tensor : also) CHECK(program->read(tensor, std::span(written).first(5 * g.info({tensor}).width())));
      }
      CHECK(std::any_of(seen[0].begin(), seen[0].end(), [](float value) { return value != 0; }));
    }
}

TEST_CASE("a weight of another device is refused") {
  const Model model = make_model(TensorType::f32);
  const auto stages = graph::plan_stages(model.graph, {});
  std::vector<const backend::Weight*> none(model.graph.weights.size(), nullptr);
  auto program = open_cpu(1)->compile(model.graph, stages[0], none, {1, 1});
  REQUIRE(!program);
  CHECK(contains(program.error().message, "token_embd: not loaded"));
}

TEST_CASE("rows cross the border of a program as they are; others do not") {
  Doubler d(3);
  const std::vector<float> rows{1, 2, 3, 4, 5, 6, 7, 8};
  REQUIRE(d.program->write(d.x, rows));
  REQUIRE(d.run(2));
  std::vector<float> doubled(8);
  REQUIRE(d.program->read(d.y, doubled));
  CHECK(doubled == std::vector<float>{2, 4, 6, 8, 10, 12, 14, 16});

  std::vector<float> ragged(7), many(16);
  CHECK(!d.program->write(d.x, ragged));
  CHECK(!d.program->write(d.x, many));
  CHECK(!d.program->write(d.y, doubled));
  CHECK(!d.program->read(d.x, doubled));
  CHECK(!d.program->read(-1, doubled));
  CHECK(!d.program->read(2, doubled));
  CHECK(d.run(0));
  auto more = d.run(4);
  REQUIRE(!more);
  CHECK(contains(more.error().message, "4 tokens"));
  CHECK(d.program->bytes() > 0);
}

TEST_CASE("token ids outside the vocabulary are an error, and the next step is fine") {
  const Model model = make_model(TensorType::f32);
  Runner runner(model, open_cpu(2), 4, 1);
  Timeline line = runner.start(0, 1);
  for (std::int32_t token : {-1, kVocabulary}) {
    const std::int32_t position = 0;
    backend::SequenceStep sequence{0, 1, 0, line.pages, {}, 0};
    auto run = runner.program().run({{&token, 1}, {&position, 1}, {}, {&sequence, 1}}, runner.state());
    REQUIRE(!run);
    CHECK(contains(run.error().message, "token_embd"));
  }
  const auto tokens = random_tokens(4, 2);
  CHECK(runner.step({{&line, tokens}}).size() == 4 * kVocabulary);
}

TEST_CASE("state: what was there stays, copies are copies, slots are cleared") {
  const Model model = make_model(TensorType::q8_0);
  const auto tokens = random_tokens(60, 4);
  const std::span all(tokens);
  Runner runner(model, open_cpu(2), 60, 2);
  Timeline line = runner.start(0, 2);
  runner.step({{&line, all.first(37)}});

  // A copy of the sequence after 37 tokens, in other pages (the third is part full) and another slot.
  Timeline copy = runner.start(1, 2);
  for (int p = 0; p < 3; ++p)
    REQUIRE(runner.state().copy(backend::Piece::page, line.pages[static_cast<std::size_t>(p)], copy.pages[static_cast<std::size_t>(p)]));
  REQUIRE(runner.state().copy(backend::Piece::slot, line.slot, copy.slot));
  copy.position = line.position;
  const std::uint64_t bytes = runner.state().bytes();
  REQUIRE(runner.state().reserve(backend::Piece::page, Runner::kPages * 2 + 5));
  REQUIRE(runner.state().reserve(backend::Piece::slot, 3));
  CHECK(runner.state().bytes() > bytes);
  REQUIRE(runner.state().reserve(backend::Piece::page, 1));

  const auto expected = runner.step({{&line, all.subspan(37)}});
  CHECK(same_bits(runner.step({{&copy, all.subspan(37)}}), expected));

  // From the start again: stale pages are overwritten, the slot must be cleared.
  line = runner.start(0, 2);
  const auto again = runner.step({{&line, all}});
  CHECK(same_bits(std::span(again).subspan(37 * kVocabulary), expected));

  CHECK(!runner.state().copy(backend::Piece::page, 0, Runner::kPages * 2 + 5));
  CHECK(!runner.state().copy(backend::Piece::page, -1, 0));
  CHECK(!runner.state().copy(backend::Piece::slot, 0, 3));
  CHECK(!runner.state().clear_slot(3));
  backend::StateLayout layout;
  layout.page_tokens = 0;
  CHECK(!runner.device().make_state(layout));
  layout.page_tokens = 1 << 30;
  layout.kv.assign(8, {0, 1 << 30, 1 << 30, 1 << 30});
  CHECK(!runner.device().make_state(layout));
}

TEST_CASE("programs of one device run from several threads") {
  const Model model = make_model(TensorType::q8_0);
  const auto tokens = random_tokens(20, 6);
  auto shared = open_cpu(3);
  Runner alone(model, open_cpu(1), 20, 1);
  Timeline line = alone.start(0, 1);
  const auto expected = alone.step({{&line, tokens}});

  /// Lets runners share a device that they do not own.
  struct Borrowed final : backend::Device {
    backend::Device& to;
    explicit Borrowed(backend::Device& device) : to(device) {}
    backend::DeviceInfo info() const override { return to.info(); }
    Result<void> supports(const graph::Graph& g, const graph::Node& n) const override { return to.supports(g, n); }
    Result<std::unique_ptr<backend::Weight>> load(const graph::WeightInfo& i, const backend::WeightSource& s) override {
      return to.load(i, s);
    }
    Result<std::unique_ptr<backend::StateStore>> make_state(const backend::StateLayout& l) override { return to.make_state(l); }
    Result<std::unique_ptr<backend::Program>> compile(const graph::Graph& g, const graph::Stage& s,
                                                      std::span<const backend::Weight* const> w,
                                                      const graph::Capacity& c) override {
      return to.compile(g, s, w, c);
    }
  };
  std::vector<std::unique_ptr<Runner>> runners;
  for (int i = 0; i < 3; ++i) runners.push_back(std::make_unique<Runner>(model, std::make_unique<Borrowed>(*shared), 20, 1));
  std::vector<int> equal(3, 0);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 3; ++i)
    threads.emplace_back([&, i] {
      for (int n = 0; n < 10; ++n) {
        Timeline mine = runners[i]->start(0, 1);
        equal[i] += same_bits(runners[i]->step({{&mine, tokens}}), expected);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(equal == std::vector<int>{10, 10, 10});
}
