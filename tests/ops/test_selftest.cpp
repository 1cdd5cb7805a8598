// Owns: every device of this machine against the reference, through the library's own self-test; and the self-test
// against devices that are wrong. Knows the scenarios only where a device is asked for equal bits.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "backend/cpu/cpu.h"
#include "backend/ref/ref.h"
#include "backend/selftest.h"
#include "backend/selftest_cases.h"
#include "base/text.h"
#include "kernels/cpu/kernels.h"
#include "kernels/formats/list.h"
#include "support/catch.h"
#include "support/remote_device.h"

using namespace strata;
using namespace strata::backend;

namespace {

std::string describe(const SelftestCase& c) { return str(c.op, " ", c.format, " ", c.shape, ": ", c.message); }

std::vector<SelftestCase> run(Device& device) {
  auto reference = open_ref().value_or_throw();
  return selftest(device, *reference, {}).value_or_throw();
}

void require_all_pass(Device& device) {
  const std::vector<SelftestCase> cases = run(device);
  REQUIRE(cases.size() > 200);
  for (const SelftestCase& c : cases) {
    INFO(describe(c));
    CHECK(c.passed);
    CHECK_FALSE(c.skipped);
  }
}

/// Every output of every step as one list of bits.
std::vector<float> outputs_of(Device& device, const selftest_detail::Scenario& scenario) {
  auto outcome = selftest_detail::execute(device, scenario).value_or_throw();
  std::vector<float> all;
  for (const selftest_detail::Output& o : outcome.outputs) all.insert(all.end(), o.values.begin(), o.values.end());
  return all;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("cpu passes the self-test with every instruction set", "[ops]") {
  int tables = 0;
  for (const kernels::IsaKernels* table : kernels::isa_tables()) {
    if (!table->supported()) continue;
    tables++;
    for (int threads : {1, 3}) {
      INFO(table->name << ", " << threads << " threads");
      DeviceOptions options;
      options.isa = table->name;
      options.threads = threads;
      auto device = open_cpu(options).value_or_throw();
      require_all_pass(*device);
    }
  }
  CHECK(tables > 0);
}

TEST_CASE("the remote device passes the self-test", "[ops]") {
  auto device = test::RemoteDevice::make();
  require_all_pass(*device);
  CHECK(device->stats().allocations == 0);
}

TEST_CASE("the reference passes against itself", "[ops]") {
  auto device = open_ref().value_or_throw();
  for (const SelftestCase& c : run(*device)) {
    INFO(describe(c));
    CHECK(c.passed);
    CHECK(c.nmse == 0);
  }
}

TEST_CASE("the self-test covers every operation and every format", "[ops]") {
  auto device = open_ref().value_or_throw();
  const std::vector<SelftestCase> cases = run(*device);
  auto count = [&](const std::string& op, const std::string& format) {
    return std::count_if(cases.begin(), cases.end(),
                         [&](const SelftestCase& c) { return c.op == op && (format.empty() || c.format == format); });
  };
  for (int op = 0; op <= static_cast<int>(graph::Op::combine); op++) {
    INFO(graph::name(static_cast<graph::Op>(op)));
    CHECK(count(graph::name(static_cast<graph::Op>(op)), "") > 0);
  }
  for (const formats::Format& format : formats::formats())
    for (const char* op : {"embed", "linear", "expert_linear"}) {
      INFO(op << " " << type_name(format.type));
      CHECK(count(op, type_name(format.type)) > 0);
    }
}

namespace {

/// The reference, made wrong in one way: a wrapper that spoils what `read` returns or what `run` is told.
class WrongDevice final : public Device {
 public:
  enum class Fault { none, one_element, scaled, unsupported, failing_run, drops_pages, forgets_slots, nan };
  explicit WrongDevice(Fault fault) : fault_(fault), inner_(open_ref().value_or_throw()) {}

  DeviceInfo info() const override { return {"wrong", ""}; }
  Result<void> supports(const graph::Graph& g, const graph::Node& n) const override {
    if (fault_ == Fault::unsupported && n.op == graph::Op::rope) return fail(ErrorCode::unsupported, "no rope here");
    return inner_->supports(g, n);
  }
  Result<std::unique_ptr<Weight>> load(const graph::WeightInfo& info, const WeightSource& source) override {
    return inner_->load(info, source);
  }
  Result<std::unique_ptr<StateStore>> make_state(const StateLayout& layout) override {
    auto state = inner_->make_state(layout);
    if (!state) return state.error();
    return std::unique_ptr<StateStore>(std::make_unique<WrongState>(std::move(*state), fault_));
  }
  Result<std::unique_ptr<Program>> compile(const graph::Graph& g, const graph::Stage& stage,
                                           std::span<const Weight* const> weights,
                                           const graph::Capacity& capacity) override {
    auto program = inner_->compile(g, stage, weights, capacity);
    if (!program) return program.error();
    return std::unique_ptr<Program>(std::make_unique<WrongProgram>(std::move(*program), fault_));
  }

 private:
  struct WrongState final : StateStore {
    WrongState(std::unique_ptr<StateStore> s, Fault f) : inner(std::move(s)), fault(f) {}
    Result<void> reserve(Piece kind, int count) override { return inner->reserve(kind, count); }
    Result<void> copy(Piece kind, int from, int to) override {
      return fault == Fault::drops_pages && kind != Piece::slot ? Result<void>() : inner->copy(kind, from, to);
    }
    Result<void> clear_slot(int slot) override {
      return fault == Fault::forgets_slots ? Result<void>() : inner->clear_slot(slot);
    }
    Result<void> read(Piece kind, int index, std::span<std::byte> bytes) override { return inner->read(kind, index, bytes); }
    Result<void> write(Piece kind, int index, std::span<const std::byte> bytes) override {
      return inner->write(kind, index, bytes);
    }
    std::uint64_t bytes() const override { return inner->bytes(); }
    std::unique_ptr<StateStore> inner;
    Fault fault;
  };
  struct WrongProgram final : Program {
    WrongProgram(std::unique_ptr<Program> p, Fault f) : inner(std::move(p)), fault(f) {}
    Result<void> write(int tensor, std::span<const float> values) override { return inner->write(tensor, values); }
    Result<void> run(const Step& step, StateStore& state) override {
      if (fault == Fault::failing_run) return fail(ErrorCode::device, "it broke");
      return inner->run(step, *static_cast<WrongState&>(state).inner);
    }
    Result<void> read(int tensor, std::span<float> values) override {
      auto ok = inner->read(tensor, values);
      if (values.size() < 64) return ok;
      if (fault == Fault::one_element) values[values.size() / 2] += 100.0f;
      if (fault == Fault::nan) values[values.size() / 2] = NAN;
      if (fault == Fault::scaled)
        for (float& v : values) v *= 1.05f;
      return ok;
    }
    std::uint64_t bytes() const override { return inner->bytes(); }
    std::unique_ptr<Program> inner;
    Fault fault;
  };

  Fault fault_;
  std::unique_ptr<Device> inner_;
};

/// By operation, and by operation and format: how many cases failed with a reason.
std::map<std::string, int> failures(WrongDevice::Fault fault) {
  WrongDevice device(fault);
  std::map<std::string, int> failed;
  for (const SelftestCase& c : run(device))
    if (!c.passed && !c.skipped && !c.message.empty()) {
      failed[c.op]++;
      failed[c.op + " " + c.format]++;
    }
  return failed;
}

}  // namespace

TEST_CASE("the self-test finds devices that are wrong", "[ops]") {
  using Fault = WrongDevice::Fault;
  CHECK(failures(Fault::none).empty());
  auto failed = failures(Fault::one_element);
  CHECK(failed["linear Q4_K"] > 0);
  CHECK(failed["embed"] > 0);
  CHECK(failures(Fault::scaled)["linear Q4_K"] > 0);
  failed = failures(Fault::nan);
  CHECK(failed["linear Q4_K"] > 0);
  CHECK(failed["attention"] > 0);
  CHECK(failures(Fault::drops_pages)["attention"] > 0);
  failed = failures(Fault::forgets_slots);
  CHECK(failed["delta_net"] > 0);
  CHECK(failed["short_conv"] > 0);
  CHECK(failures(Fault::failing_run)["rope"] > 0);
}

TEST_CASE("an unsupported operation is skipped with the device's words", "[ops]") {
  WrongDevice device(WrongDevice::Fault::unsupported);
  int skipped = 0;
  for (const SelftestCase& c : run(device))
    if (c.skipped) {
      skipped++;
      CHECK_FALSE(c.passed);
      CHECK(c.message == "no rope here");
    }
  CHECK(skipped > 0);
}

TEST_CASE("progress can stop the self-test", "[ops]") {
  auto device = open_ref().value_or_throw(), reference = open_ref().value_or_throw();
  int seen = 0;
  auto result = selftest(*device, *reference, [&](const SelftestCase&) { return ++seen < 3; });
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::cancelled);
  CHECK(seen == 3);
}

// --- a position's result depends on its prefix alone ----------------------------------------------------------------------

namespace {

/// The logits of each position of sequence 0, however its 40 tokens are cut, and whoever keeps it company.
std::vector<float> logits_of_cut(Device& device, const std::vector<int>& cut, bool company) {
  selftest_detail::Scenario s = selftest_detail::block_scenario(false, KvType::f16);
  s.outputs = {s.graph.info(s.graph.logits).storage};
  s.sequences = 2;
  s.steps.clear();
  for (int tokens : cut) {
    selftest_detail::StepPlan step;
    step.all_outputs = true;
    if (company) step.sequences.push_back({1, 7});
    step.sequences.push_back({0, tokens});
    s.steps.push_back(step);
  }
  auto outcome = selftest_detail::execute(device, s).value_or_throw();
  const std::size_t width = s.graph.info(s.graph.logits).width();
  std::vector<float> all;
  for (const selftest_detail::Output& o : outcome.outputs)
    all.insert(all.end(), o.values.begin() + static_cast<std::ptrdiff_t>(company ? 7 * width : 0), o.values.end());
  REQUIRE(all.size() == 40 * width);
  return all;
}

void require_prefix_alone(Device& device) {
  const std::vector<float> whole = logits_of_cut(device, {40}, false);
  for (const std::vector<int>& cut : {std::vector<int>{1, 39}, {17, 1, 1, 5, 16}, {39, 1}, std::vector<int>(40, 1)})
    for (bool company : {false, true}) {
      INFO(cut.size() << " steps, company " << company);
      CHECK(same_bits(logits_of_cut(device, cut, company), whole));
    }
}

}  // namespace

TEST_CASE("a position's result depends on its prefix alone: ref", "[ops]") {
  auto device = open_ref().value_or_throw();
  require_prefix_alone(*device);
}

TEST_CASE("a position's result depends on its prefix alone: cpu", "[ops]") {
  for (const kernels::IsaKernels* table : kernels::isa_tables())
    if (table->supported()) {
      INFO(table->name);
      DeviceOptions options;
      options.isa = table->name;
      options.threads = 2;
      auto device = open_cpu(options).value_or_throw();
      require_prefix_alone(*device);
      options.threads = 1;
      auto alone = open_cpu(options).value_or_throw();
      for (const selftest_detail::Scenario& s : selftest_detail::all_scenarios()) {
        INFO(s.op << " " << s.format << " " << s.shape);
        CHECK(same_bits(outputs_of(*device, s), outputs_of(*alone, s)));
      }
    }
}

TEST_CASE("the remote device equals the reference to the bit", "[ops]") {
  auto remote = test::RemoteDevice::make();
  auto reference = open_ref().value_or_throw();
  for (bool two_stages : {false, true}) {
    const auto s = selftest_detail::block_scenario(two_stages, KvType::f16);
    CHECK(same_bits(outputs_of(*remote, s), outputs_of(*reference, s)));
  }
}
