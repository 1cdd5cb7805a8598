// Owns: the options of `strata bench`.
#include <memory>

#include "examples/cli/checks.h"
#include "examples/cli/commands.h"
#include "examples/cli/options.h"
#include "examples/cli/terminal.h"

namespace cli {

namespace {

constexpr const char* bench_footer =
    "Options that take lists (1,2,4) are axes: every combination is measured. Tests: fill, a prompt into an empty\n"
    "context, measured once on the way to each depth; prefill, -p tokens at once; decode, -n tokens one by one.\n"
    "Random tokens; the context is cut back between repeats; median, least and most of the repeats are shown.\n"
    "TTFT is the time from a prompt to its first sampled token. GB/s counts weights, cached keys and values and\n"
    "recurrent states, each once a step; GOP/s the products of 8-bit integers. The shares are of what as many threads\n"
    "read from memory and compute in registers at best, measured right after.\n"    "With fills up to 75% or more a second table shows the peak, the rate at 75%, what is retained, and the longest\n"
    "prompt whose first token comes within 15 s. Ctrl-C prints what has been measured.";

}  // namespace

void add_bench(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("bench", "measure tokens per second, and the share of memory bandwidth used");
  struct Given {
    BenchArguments a;
    BenchTexts t;
  };
  auto given = std::make_shared<Given>();
  BenchArguments& a = given->a;
  BenchTexts& t = given->t;
  add_model(*command, a.model);
  command->add_option("-p,--prompt", t.prompt, "tokens of a prefill; 0: none")->capture_default_str();
  command->add_option("-n,--tokens", t.decode, "tokens decoded one by one; 0: none")->capture_default_str();
  command->add_option("-d,--depth", t.depths, "tokens already in the context, e.g. 0,4096; 0 unless --fill is given");
  command->add_option("--fill", t.fills, "the same as percents of the context, e.g. 5,25,50,75,95");
  command->add_option("--ctx", a.context, "the context that --fill means; 0: the model's, at most 4096")
      ->check(range(0, 1 << 24))->capture_default_str();
  command->add_option("-r,--repeats", a.repeats, "measured repeats; one more warms up")->check(range(1, 1000))->capture_default_str();
  command->add_option("-b,--batch", t.batches, "most tokens in one step of a prompt")->capture_default_str();
  command->add_option("--sequences", t.sequences, "texts evaluated together; tok/s is of all of them")->capture_default_str();
  command->add_option("-t,--threads", t.threads, "threads of the CPU; 0: one for each core")->capture_default_str();
  command->add_option("--device", t.devices, "a device of `strata devices`, or auto; may be repeated")->allow_extra_args(false);
  command->add_option("--isa", t.isas, "lower instruction sets of the CPU, e.g. avx2,scalar");
  command->add_option("--kv-type", t.kv_types, "types of cached keys and values: f16, f32, q8_0, q4_0")->capture_default_str();
  command->add_option("--affinity", t.affinities, "what threads keep to: auto, off, cores")->capture_default_str();
  command->add_option("--pages", t.pages, "where weights lie: auto, huge, mmap")->capture_default_str();
  command->add_flag("--stages", a.stages, "also what each kind of operation takes: time, GB/s, GOP/s, share of what is possible");
  command->add_flag("--json", t.json, "print one JSON object");
  command->add_flag("--csv", t.csv, "print comma-separated values, one line for each test");
  command->add_flag("--md", t.markdown, "print Markdown tables");
  command->add_option("--report", a.report, "also write everything, with each repeat, the machine and the build, to this JSON file");
  command->footer(bench_footer);
  command->callback([given, &code] {
    if (auto read = read_lists(given->t, given->a); !read) {
      code = report(read.error());
      return;
    }
    code = run_bench(given->a);
  });
}

}  // namespace cli
