// Owns: the list of commands. Each adds its options to the program and, when chosen, runs and sets the exit code.
#pragma once

#include <CLI/CLI.hpp>

namespace cli {

void add_run(CLI::App& program, int& code);
void add_chat(CLI::App& program, int& code);
void add_inspect(CLI::App& program, int& code);
void add_tokenize(CLI::App& program, int& code);
void add_detokenize(CLI::App& program, int& code);
void add_template(CLI::App& program, int& code);
void add_logits(CLI::App& program, int& code);
void add_embed(CLI::App& program, int& code);
void add_perplexity(CLI::App& program, int& code);
void add_bench(CLI::App& program, int& code);
void add_bench_compare(CLI::App& program, int& code);
void add_devices(CLI::App& program, int& code);
void add_selftest(CLI::App& program, int& code);
void add_imatrix(CLI::App& program, int& code);
void add_quantize(CLI::App& program, int& code);
void add_split(CLI::App& program, int& code);
void add_merge(CLI::App& program, int& code);
void add_make_model(CLI::App& program, int& code);

}  // namespace cli
