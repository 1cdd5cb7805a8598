// Owns: profiles and rooflines as a host program sees them.
#include <algorithm>
#include <thread>

#include "strata/strata.h"
#include "support/catch.h"
#include "support/tiny_model.h"

namespace {

using namespace strata;
using namespace strata::test;

Model load(const std::string& architecture, const std::string& type, const std::string& device = "cpu") {
  ModelOptions options;
  options.device = device;
  options.threads = 2;
  return Model::load(write_tiny_model(architecture, type), options).value_or_throw();
}

std::vector<float> copy(std::span<const float> x) { return {x.begin(), x.end()}; }

double sum(const Profile& profile, double StageProfile::*figure) {
  double out = 0;
  for (const StageProfile& stage : profile.stages) out += stage.*figure;
  return out;
}

TEST_CASE("a profile tells what each kind of operation took, and changes nothing") {
  const Model model = load("qwen3", "Q8_0");
  Session plain = Session::create(model).value_or_throw(), timed = Session::create(model).value_or_throw();
  const std::vector<Token> prompt(40, 3);
  timed.start_profile();
  plain.evaluate(prompt).value_or_throw();
  timed.evaluate(prompt).value_or_throw();
  CHECK(copy(plain.logits()) == copy(timed.logits()));
  const Profile profile = timed.take_profile();
  CHECK(profile.steps == 1);
  CHECK(profile.tokens == 40);
  CHECK(profile.seconds > 0);
  const double stages = sum(profile, &StageProfile::seconds);
  CHECK(stages > 0);
  CHECK(stages <= profile.seconds);
  CHECK(std::is_sorted(profile.stages.begin(), profile.stages.end(), [](auto& a, auto& b) { return a.seconds > b.seconds; }));
  const auto stage = [&](const std::string& operation) {
    auto found = std::find_if(profile.stages.begin(), profile.stages.end(), [&](auto& s) { return s.operation == operation; });
    REQUIRE(found != profile.stages.end());
    return *found;
  };
  CHECK(stage("linear").format == "Q8_0");
  CHECK(stage("linear").integer);
  CHECK(stage("attention").format == "F16");
  CHECK_FALSE(stage("attention").integer);
  CHECK(stage("attention").calls == 4);  // one a layer
  // It has ended, and a session without one has an empty one.
  timed.evaluate(prompt).value_or_throw();
  CHECK(timed.take_profile().steps == 0);
  CHECK(plain.take_profile().stages.empty());
}

TEST_CASE("a profile of decoding counts every weight once and the cache that is held") {
  for (const char* architecture : {"qwen3", "qwen35moe"})
    for (const char* device : {"cpu", "ref"}) {  // ref cannot tell times; what there is to do is the same
      INFO(architecture << " on " << device);
      const Model model = load(architecture, "Q8_0", device);
      Session session = Session::create(model).value_or_throw();
      session.evaluate(std::vector<Token>(9, 3)).value_or_throw();
      session.start_profile();
      session.evaluate(std::vector<Token>(1, 3)).value_or_throw();
      const Profile profile = session.take_profile();
      const ModelSummary& s = model.summary();
      // 10 positions are read and one is written; states are read and written.
      const double expected = static_cast<double>(s.decode_bytes) + 11.0 * static_cast<double>(s.kv_bytes_per_token_f16) +
                              2.0 * static_cast<double>(s.recurrent_bytes);
      CHECK(sum(profile, &StageProfile::memory_bytes) == Approx(expected).epsilon(1e-3));
      CHECK(sum(profile, &StageProfile::operations) >= 2.0 * static_cast<double>(s.active_parameters));
      CHECK((sum(profile, &StageProfile::seconds) > 0) == (std::string(device) == "cpu"));
    }
}

TEST_CASE("steps of several sessions count for each that is timed, and forks are not") {
  const Model model = load("qwen3", "F16");
  Session a = Session::create(model).value_or_throw(), b = Session::create(model).value_or_throw();
  a.start_profile();
  const std::vector<Token> tokens(5, 1);
  const Work work[] = {{&a, tokens, {}}, {&b, tokens, {}}};
  evaluate(work).value_or_throw();
  b.evaluate(tokens).value_or_throw();
  Session fork = a.fork().value_or_throw();
  fork.evaluate(tokens).value_or_throw();
  CHECK(fork.take_profile().steps == 0);
  CHECK(b.take_profile().steps == 0);
  const Profile profile = a.take_profile();
  CHECK(profile.steps == 1);
  CHECK(profile.tokens == 10);
}

TEST_CASE("a roofline is measured, also by two threads at once") {
  const Roofline scalar = measure_roofline("cpu", 1, "scalar").value_or_throw();
  for (double figure : {scalar.read_small_pages, scalar.read_huge_pages, scalar.int8_operations, scalar.f32_operations}) CHECK(figure > 1e6);
  Roofline one, other;
  std::thread thread([&] { one = measure_roofline("cpu", 1).value_or_throw(); });
  other = measure_roofline("cpu", 2).value_or_throw();
  thread.join();
  CHECK(one.int8_operations > 1e6);
  CHECK(other.int8_operations > 1e6);
  // Vectors compute more than single numbers, by a wide margin where there are any.
  if (cpu_instruction_sets().front() != "scalar") CHECK(one.int8_operations > scalar.int8_operations);

  auto refused = [](const Result<Roofline>& result, ErrorCode code, const std::string& part) {
    REQUIRE_FALSE(result);
    INFO(result.error().message);
    CHECK(result.error().code == code);
    CHECK(result.error().message.find(part) != std::string::npos);
  };
  refused(measure_roofline("ref"), ErrorCode::unsupported, "ref");
  refused(measure_roofline("abacus"), ErrorCode::not_found, "abacus");
  refused(measure_roofline("cpu", -1), ErrorCode::invalid_argument, "-1");
  refused(measure_roofline("cpu", 1, "pdp11"), ErrorCode::not_found, "pdp11");
}

}  // namespace
