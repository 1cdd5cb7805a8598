// Owns: the options that several commands share, declared once with CLI11, and reading their texts, ids and files.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "examples/cli/load.h"
#include "strata/strata.h"

namespace cli {

/// --device --threads --affinity --isa --kv-type --pages and, with `context`, --ctx.
void add_load_options(CLI::App& app, LoadArguments& arguments, bool context = true);
/// A whole number from `low` to `high`; the help shows no bounds.
CLI::Validator range(int low, int high);
/// The MODEL argument that names the file.
void add_model(CLI::App& app, std::string& model);

/// --temp --top-k ... --seed; defaults are those of a pleasant text rather than of the library (greedy).
struct SamplingArguments {
  strata::SamplerOptions options;
  SamplingArguments();
};
void add_sampling_options(CLI::App& app, SamplingArguments& arguments);

/// The model that comes with the program: beside the installed program, else in the source tree it was built from.
strata::Result<std::string> bundled_model();

/// A file's bytes; "-" is standard input.
strata::Result<std::string> read_input(const std::string& path);
/// Ids separated by commas and white space.
strata::Result<std::vector<strata::Token>> parse_ids(const std::string& text);
std::string join_ids(std::span<const strata::Token> ids, char separator);
/// The model's tokenizer, or why it has none.
strata::Result<const strata::Tokenizer*> tokenizer_of(const strata::Model& model);

/// Appends float32 values, little-endian.
void write_floats(std::ostream& out, std::span<const float> values);

/// A figure in a table: tokens per second, or "-" where nothing was measured.
std::string rate_text(double tokens, double seconds);

}  // namespace cli
