// Owns: the tests of the tables and the choices among them.
#include <set>
#include <string>

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
