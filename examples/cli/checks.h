// Owns: the commands that also come as `strata-check`, a program without packages. They know no option parser.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "examples/cli/load.h"

namespace cli {

enum class BenchFormat { table, json, csv, markdown };

/// Each list is an axis: every combination is measured.
struct BenchArguments {
  std::string model;
  std::vector<int> prompt = {512};  ///< tokens of a prefill; 0: none
  std::vector<int> decode = {128};  ///< tokens decoded one by one; 0: none
  std::vector<int> depths = {0};    ///< tokens already in the context
  std::vector<int> fills;           ///< percents of `context`, more depths
  int context = 0;                  ///< 0: the model's, at most 4096
  std::vector<int> batches = {512}; ///< most tokens in one step of a prompt
  std::vector<int> sequences = {1}; ///< evaluated together
  std::vector<int> threads = {0};   ///< 0: one for each core
  std::vector<std::string> devices = {"auto"}, isas = {""}, kv_types = {"f16"}, pages = {"auto"}, affinities = {"auto"};
  int repeats = 5;
  bool stages = false;               ///< also what each kind of operation takes
  BenchFormat format = BenchFormat::table;
  std::string report;               ///< a file to write everything to as JSON; empty: none
};

/// The lists of `bench` as they are written, before they are read.
struct BenchTexts {
  std::string prompt = "512", decode = "128", depths, fills, batches = "512", sequences = "1", threads = "0";
  std::string isas, kv_types = "f16", pages = "auto", affinities = "auto";
  bool json = false, csv = false, markdown = false;
  std::vector<std::string> devices;
};

struct SelftestArguments {
  std::string device = "auto", isa;
  int threads = 0;
  bool json = false;
};

struct MakeModelArguments {
  std::string like, type = "Q4_K_M", out;
  std::uint64_t seed = 1;
  int layers = 0;
  bool mtp = false, dry_run = false, force = false, json = false;
};

/// Each prints its result and returns the exit code.
int run_bench(const BenchArguments& arguments);
/// Reads the lists into the arguments. The error names the option.
strata::Result<void> read_lists(const BenchTexts& texts, BenchArguments& arguments);
int run_devices(bool json);
int run_selftest(const SelftestArguments& arguments);
int run_make_model(const MakeModelArguments& arguments);

/// "a, b, c"
std::string listed(const std::vector<std::string>& names);

}  // namespace cli
