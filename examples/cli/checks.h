// Owns: the commands that also come as `strata-check`, a program without packages. They know no option parser.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "examples/cli/load.h"

namespace cli {

struct BenchArguments {
  LoadArguments load;
  int prompt = 512;               ///< tokens of a prefill; 0: none
  int decode = 128;               ///< tokens decoded one by one; 0: none
  std::vector<int> depths = {0};  ///< tokens already in the context
  int repeats = 5;
  bool json = false;
};

struct SelftestArguments {
  std::string device = "auto", isa;
  int threads = 0;
  bool json = false;
};

struct MakeModelArguments {
  std::string like, type = "Q4_K_M", out;
  std::uint64_t seed = 1;
  bool force = false, json = false;
};

/// Each prints its result and returns the exit code.
int run_bench(const BenchArguments& arguments);
int run_devices(bool json);
int run_selftest(const SelftestArguments& arguments);
int run_make_model(const MakeModelArguments& arguments);

/// "a, b, c"
std::string listed(const std::vector<std::string>& names);
/// Non-negative numbers separated by commas; empty where the text is something else.
std::vector<int> parse_depths(const std::string& text);

}  // namespace cli
