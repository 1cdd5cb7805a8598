// Owns: what the remote device promises: late work, failures that surface at the next read, split bindings, no leaks.
#include <cmath>

#include "backend/selftest_cases.h"
#include "base/text.h"
#include "support/catch.h"
#include "support/remote_device.h"

using namespace strata;
using namespace strata::backend;

namespace {

/// y = scale * (x W^T), with x a row of the table.
struct Model {
  graph::Graph g;
  graph::Tensor y;
  std::vector<float> table = {1, 2, 3, 4}, w = {1, 0, 0, 1};
  std::vector<std::unique_ptr<Weight>> weights;
  std::unique_ptr<StateStore> state;
  std::unique_ptr<Program> program;

  explicit Model(Device& device) {
    graph::Tensor x = g.embed(g.weight({"table", TensorType::f32, {2, 2, 1, 1}}));
    y = g.scale(g.linear(x, g.weight({"w", TensorType::f32, {2, 2, 1, 1}})), 10.0f);
    std::vector<const Weight*> pointers;
    for (const std::vector<float>* values : {&table, &w}) {
      WeightSource source;
      source.mapped = std::as_bytes(std::span(*values));
      source.bytes = source.mapped.size();
      weights.push_back(device.load(g.weights[weights.size()], source).value_or_throw());
      pointers.push_back(weights.back().get());
    }
    state = device.make_state({}).value_or_throw();
    program = device.compile(g, {0, {0, 1, 2}, {}, {y.id}}, pointers, {4, 4}).value_or_throw();
  }

  Result<void> run(std::vector<std::int32_t> tokens) {
    std::vector<std::int32_t> positions(tokens.size(), 0);
    const SequenceStep sequence{0, static_cast<int>(tokens.size()), 0, {}, {}, 0};
    auto ok = program->run({tokens, positions, {}, {&sequence, 1}}, *state);
    std::fill(tokens.begin(), tokens.end(), -1);  // a step is the device's own once run has returned
    return ok;
  }
};

}  // namespace

TEST_CASE("remote: a step may run after its arguments are gone", "[ops]") {
  auto device = test::RemoteDevice::make();
  Model m(*device);
  std::fill(m.table.begin(), m.table.end(), NAN);  // weights are the device's own, too
  REQUIRE(m.run({1, 0}));
  std::vector<float> y(4);
  REQUIRE(m.program->read(m.y.id, y));
  CHECK(y == std::vector<float>{30, 40, 10, 20});
  CHECK(device->stats().steps == 1);
}

TEST_CASE("remote: a failure surfaces at the next read, once", "[ops]") {
  auto device = test::RemoteDevice::make();
  Model m(*device);
  std::vector<float> y(2, -1.0f);
  device->break_next_step(*m.program, "the cable came out");
  CHECK(m.run({1}));
  CHECK(m.run({0}));  // skipped: it is behind the failure
  auto failed = m.program->read(m.y.id, y);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::device);
  CHECK(failed.error().message == "the cable came out");
  CHECK(y == std::vector<float>{-1, -1});
  CHECK(device->stats().steps == 0);
  CHECK(m.run({7}));  // outside the table: found out there, reported here
  CHECK_FALSE(m.program->read(m.y.id, y));
  CHECK(m.run({1}));
  REQUIRE(m.program->read(m.y.id, y));
  CHECK(y == std::vector<float>{30, 40});
}

TEST_CASE("remote: bindings of any size compute the same, and nothing leaks", "[ops]") {
  const auto s = selftest_detail::block_scenario(true, KvType::f16);
  std::vector<std::vector<float>> results;
  for (std::size_t limit : {std::size_t{320}, std::size_t{1000}, std::size_t{64 * 1024}}) {
    test::RemoteOptions options;
    options.binding_limit = limit;
    auto device = test::RemoteDevice::make(options);
    REQUIRE(selftest_detail::supported(*device, s));
    auto outcome = selftest_detail::execute(*device, s).value_or_throw();
    results.emplace_back();
    for (const auto& o : outcome.outputs) results.back().insert(results.back().end(), o.values.begin(), o.values.end());
    CHECK(device->stats().allocations == 0);
    CHECK(results.back() == results.front());
  }
  CHECK(results.front().size() > 1000);
}

TEST_CASE("remote: a row larger than a binding is refused by name", "[ops]") {
  test::RemoteOptions options;
  options.binding_limit = 4096;
  auto device = test::RemoteDevice::make(options);
  graph::Graph g;
  g.embed(g.weight({"wide", TensorType::f32, {1025, 2, 1, 1}}));
  g.embed(g.weight({"narrow", TensorType::f32, {1024, 2, 1, 1}}));
  auto refused = device->supports(g, g.nodes[0]);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("wide: a row of 4100 bytes") == 0);
  CHECK(device->supports(g, g.nodes[1]));
  const std::vector<std::byte> bytes(2 * 4100);
  WeightSource source;
  source.mapped = bytes;
  source.bytes = bytes.size();
  CHECK_FALSE(device->load(g.weights[0], source));
  CHECK(device->load(g.weights[1], source));
}

TEST_CASE("remote: two devices do not share memory", "[ops]") {
  auto one = test::RemoteDevice::make(), two = test::RemoteDevice::make();
  Model m(*one);
  std::vector<const Weight*> weights = {m.weights[0].get(), m.weights[1].get()};
  auto foreign = two->make_state({}).value_or_throw();
  const std::int32_t zero[] = {0};
  const SequenceStep sequence{0, 1, 0, {}, {}, 0};
  CHECK(m.program->run({zero, zero, {}, {&sequence, 1}}, *m.state));
  CHECK(one->stats().steps == 1);
  CHECK(two->stats().steps == 0);
  CHECK(two->stats().allocations == 0);
  CHECK(one->stats().allocations > 0);
}
