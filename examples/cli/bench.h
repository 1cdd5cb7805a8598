// Owns: what `strata bench` measures and how its results are kept until they are printed. Knows the public API; no option
// parser and no output.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "examples/cli/checks.h"
#include "strata/strata.h"

namespace cli {

/// One point of the axes that need a model or sessions of their own.
struct BenchSetting {
  std::string device, isa, kv_type;
  std::string pages;  ///< "huge" or "mmap": where the weights came to lie
  std::string affinity;
  int threads = 0;
  int batch = 0;      ///< most tokens in one step of a prompt
  int sequences = 1;  ///< evaluated together
};

enum class BenchKind {
  fill,     ///< a prompt of `tokens` tokens into an empty context: measured once, on the way to a depth
  prefill,  ///< `tokens` tokens at once, after `depth` that are there
  decode,   ///< one by one
};
const char* name(BenchKind kind);

/// One test. Samples are those of the repeats, in the order taken.
struct BenchRow {
  std::size_t setting = 0;  ///< index into BenchReport::settings
  BenchKind kind = BenchKind::prefill;
  int tokens = 0, depth = 0;
  int fill = 0;                      ///< percent of the context that `depth` (of a fill, `tokens`) stands for; 0: given in tokens
  std::vector<double> rates;         ///< tokens per second, of all sequences together
  std::vector<double> first_token;   ///< seconds from the prompt to its first sampled token; one sequence alone, no decode
  /// Of one repeat: bytes of weights, cache and states, and operations; see StageProfile.
  double memory_bytes = 0, int8_operations = 0, f32_operations = 0;
  /// With --stages: the mean of the repeats, and the seconds of the steps, in which threads also wait for one another.
  std::vector<strata::StageProfile> stages;
  double steps_seconds = 0;
};

/// What the machine reaches with the threads of a setting, measured in the same run.
struct BenchRoofline {
  std::string device, isa;
  int threads = 0;
  strata::Roofline reach;
};

struct BenchReport {
  std::string model, architecture, quantisation;
  std::uint64_t file_bytes = 0, parameters = 0, peak_memory = 0;
  int context = 0;  ///< tokens that fills are percents of
  int repeats = 0;
  std::vector<std::string> command;  ///< the program's words
  std::vector<BenchSetting> settings;
  std::vector<BenchRow> rows;
  std::vector<BenchRoofline> rooflines;
  const BenchRoofline* roofline(const BenchSetting& setting) const;
  /// Bytes per second at which the kind of pages that the setting's weights lie in could be read; 0 where not measured.
  double bandwidth(const BenchSetting& setting) const;
  /// Repeats a second, by the median.
  double repeats_per_second(const BenchRow& row) const;
};

/// Runs all tests. After an error the report holds what was measured before.
strata::Result<void> measure(const BenchArguments& arguments, BenchReport& out);

/// What users ask of a machine and a model, from the rows of one setting. Nothing where fills or decodes are missing.
struct BenchUse {
  std::size_t setting = 0;
  double peak = 0;             ///< tokens per second of the fastest decode
  double at_75 = 0;            ///< at 75% fill; between measured fills, on the line between them
  double retention = 0;        ///< at_75 / peak
  double first_token_75 = 0;   ///< seconds to the first token of a prompt that fills 75%
  int comfortable = 0;         ///< the longest prompt with a first token within `comfortable_seconds`, likewise interpolated
  bool comfortable_beyond = false;  ///< all prompts measured were within it; `comfortable` is the longest of them
};
inline constexpr double comfortable_seconds = 15;
std::vector<BenchUse> uses(const BenchReport& report);

/// The same table as text for a terminal, Markdown, or comma-separated values (one line for each test).
void print_table(const BenchReport& report);
void print_markdown(const BenchReport& report);
void print_csv(const BenchReport& report);
/// One JSON object: machine, build, command, model, settings and every row with every sample.
std::string to_json(const BenchReport& report);

}  // namespace cli
