// Owns: the tests of the tables and the choices among them.
#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "kernels/cpu/peak.h"
#include "kernels/fixture.h"

using namespace strata;
using namespace strata::test;

TEST_CASE("the last table is scalar and runs everywhere") {
  REQUIRE_FALSE(isa_tables().empty());
  CHECK(std::string(isa_tables().back()->name) == "scalar");
  CHECK(isa_tables().back()->supported());
}

TEST_CASE("the best table is the first that the processor supports") {
  const IsaKernels& best = best_isa();
  INFO(best.name);
  for (const IsaKernels* isa : isa_tables()) {
    CHECK(isa->supported() == (find_isa(isa->name) == isa));
    if (isa == &best) break;
    CHECK_FALSE(isa->supported());
  }
  CHECK(best.supported());
  CHECK(find_isa("abacus") == nullptr);
  CHECK(find_isa("") == nullptr);
}

TEST_CASE("every table has a kernel for every format with a decoder") {
  std::set<std::string> names;
  for (const IsaKernels* isa : isa_tables()) {
    for (const formats::Format& format : formats::formats()) {
      const FormatKernels* kernels = find_format(*isa, format.type);
      REQUIRE(kernels != nullptr);
      const std::string name = kernels->matmul_name;
      CHECK(name.rfind("matmul_", 0) == 0);
      CHECK(name.find(std::string("__") + isa->name) != std::string::npos);
      CHECK(names.insert(name).second);
    }
    CHECK(find_format(*isa, TensorType::i32) == nullptr);
  }
  CHECK(formats::find(TensorType::i32) == nullptr);
}

TEST_CASE("peak loops count what they do and end in a number") {
  alignas(64) float seed[kPeakSeedBytes / sizeof(float)];
  std::fill(std::begin(seed), std::end(seed), 0.75f);
  for (const IsaKernels* isa : isa_tables()) {
    if (!isa->supported()) continue;
    INFO(isa->name);
    const PeakLoops& loops = peak_loops(*isa);
    for (PeakLoop loop : {loops.int8, loops.f32}) {
      float none = 0, sink = 0;
      CHECK(loop(seed, 0, &none) == 0);
      const std::int64_t one = loop(seed, 1, &sink);
      CHECK(one > 0);
      CHECK(loop(seed, 10, &sink) == 10 * one);
      CHECK(std::isfinite(sink));
      CHECK(sink != none);  // x <- 0.75 x + 0.75 moves, and so do sums of products
    }
  }
}
