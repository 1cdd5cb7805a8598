// Owns: the comparison of a device with the reference. Knows devices through backend.h alone.
#include "backend/selftest.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <new>

#include "backend/selftest_cases.h"
#include "base/text.h"

namespace strata::backend {

namespace {

using namespace selftest_detail;

/// What is compared over all outputs of a case.
class Comparison {
 public:
  void add(const Scenario& scenario, const Output& got, const Output& expected) {
    const graph::TensorInfo& info = scenario.graph.tensors[got.tensor];
    for (std::size_t i = 0; i < expected.values.size(); i++) {
      const std::string where = str("step ", got.step, " row ", i / info.width(), " element ", i % info.width(), ": ");
      const float y = got.values[i], r = expected.values[i];
      if (info.element == graph::Element::i32) {
        const auto id = std::bit_cast<std::int32_t>(y), wanted = std::bit_cast<std::int32_t>(r);
        if (id != wanted) note(str(where, id, " where ", wanted, " is expected"));
      } else if (!std::isfinite(r) || !std::isfinite(y)) {
        if (std::isnan(r) != std::isnan(y) || (!std::isnan(r) && r != y))
          note(str(where, y, " where ", r, " is expected"));
      } else {
        const double difference = std::fabs(static_cast<double>(y) - static_cast<double>(r));
        error_ += difference * difference;
        norm_ += static_cast<double>(r) * static_cast<double>(r);
        count_++;
        if (difference > largest_) {
          largest_ = difference;
          worst_ = str(where, y, " where ", r, " is expected");
        }
      }
    }
  }

  void finish(double bound, SelftestCase& result) {
    result.bound = bound;
    // A reference of zeros: its scale is 1.
    const double rms = norm_ > 0 ? std::sqrt(norm_ / static_cast<double>(count_)) : 1.0;
    result.nmse = error_ / (norm_ > 0 ? norm_ : 1.0);
    result.max_error = largest_ / rms;
    // NMSE alone would let one wrong element of a thousand pass. Errors that it allows stay within 8 of their own rms.
    const double max_bound = 8.0 * std::sqrt(bound);
    if (mismatch_.empty() && result.nmse > bound)
      mismatch_ = str("NMSE ", result.nmse, " is above ", bound, "; worst is ", worst_);
    if (mismatch_.empty() && result.max_error > max_bound)
      mismatch_ = str("error of ", result.max_error, " rms is above ", max_bound, "; ", worst_);
    result.message = mismatch_;
    result.passed = mismatch_.empty();
  }

 private:
  void note(std::string what) {
    if (mismatch_.empty()) mismatch_ = std::move(what);
  }

  double error_ = 0, norm_ = 0, largest_ = 0;
  std::size_t count_ = 0;
  std::string worst_, mismatch_;
};

Result<SelftestCase> run_case(Device& device, Device& reference, const Scenario& scenario) {
  SelftestCase result;
  result.op = scenario.op;
  result.format = scenario.format;
  result.shape = scenario.shape;
  if (auto ok = supported(device, scenario); !ok) {
    result.skipped = true;
    result.message = ok.error().message;
    return result;
  }
  auto expected = execute(reference, scenario);
  if (!expected)
    return fail(expected.error().code, "the reference failed ", scenario.op, " ", scenario.shape, ": ",
                expected.error().message);
  auto got = execute(device, scenario);
  if (!got) {
    result.message = got.error().message;
    return result;
  }
  result.microseconds = got->microseconds;
  Comparison comparison;
  for (std::size_t i = 0; i < expected->outputs.size(); i++)
    comparison.add(scenario, got->outputs[i], expected->outputs[i]);
  comparison.finish(scenario.bound, result);
  return result;
}

}  // namespace

Result<std::vector<SelftestCase>> selftest(Device& device, Device& reference,
                                           const std::function<bool(const SelftestCase&)>& progress) {
  try {
    std::vector<SelftestCase> results;
    for (const Scenario& scenario : all_scenarios()) {
      auto result = run_case(device, reference, scenario);
      if (!result) return result.error();
      results.push_back(std::move(*result));
      if (progress && !progress(results.back())) return fail(ErrorCode::cancelled, "self-test stopped by its caller");
    }
    return results;
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "no memory for the self-test's inputs and outputs");
  }
}

}  // namespace strata::backend
