// Owns: `strata quantize`: a model file in another weight format.
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/checks.h"
#include "examples/cli/commands.h"
#include "examples/cli/options.h"
#include "examples/cli/terminal.h"
#include "strata/quantize.h"

namespace cli {

using namespace strata;
using Json = nlohmann::ordered_json;

namespace {

struct QuantizeArguments {
  std::string in, out, type;
  std::vector<std::string> tensor_types;
  QuantizeOptions options;
  bool force = false, json = false;
};

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string out;
  for (std::uint64_t side : shape) out += (out.empty() ? "" : " x ") + std::to_string(side);
  return out;
}

void print_json(const QuantizeArguments& a, const QuantizeReport& report) {
  Json json{{"in", a.in},
            {"out", a.options.dry_run ? Json() : Json(a.out)},
            {"type", a.options.type},
            {"parameters", report.elements},
            {"bytes_before", report.bytes_before},
            {"bytes_after", report.bytes_after},
            {"bits_per_weight", report.bits_per_weight()},
            {"fallbacks", report.fallbacks},
            {"requantized", report.requantized},
            {"without_importance", report.without_importance}};
  Json& list = json["tensors"] = Json::array();
  for (const QuantizedTensor& t : report.tensors)
    list.push_back({{"name", t.name}, {"shape", t.shape}, {"from", t.from}, {"to", t.to}, {"bytes_before", t.bytes_before},
                    {"bytes_after", t.bytes_after}, {"fallback", t.fallback}, {"importance", t.importance}});
  std::printf("%s\n", json.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

void print_tensors(const QuantizeReport& report) {
  Table table({"tensor", "shape", "from", ">size", "to", ">size", ""});
  for (const QuantizedTensor& t : report.tensors)
    table.row({t.name, shape_text(t.shape), t.from, byte_text(t.bytes_before), t.to, byte_text(t.bytes_after),
               t.fallback ? "rows do not fit" : ""});
  table.print();
  std::printf("\n");
}

void print_summary(const QuantizeArguments& a, const QuantizeReport& report) {
  struct Sum {
    int tensors = 0;
    std::uint64_t bytes = 0;
  };
  std::map<std::string, Sum> types;
  for (const QuantizedTensor& t : report.tensors) {
    ++types[t.to].tensors;
    types[t.to].bytes += t.bytes_after;
  }
  Table table({"type", ">tensors", ">size"});
  for (const auto& [type, sum] : types) table.row({type, std::to_string(sum.tensors), byte_text(sum.bytes)});
  table.print();
  std::printf("\n%s%s of weights, %s bits a weight; %s before\n", a.options.dry_run ? "" : (a.out + ": ").c_str(),
              byte_text(report.bytes_after).c_str(), fixed(report.bits_per_weight(), 2).c_str(),
              byte_text(report.bytes_before).c_str());
}

void print_warnings(const QuantizeReport& report) {
  const auto tensors = [](int count) { return std::to_string(count) + (count == 1 ? " tensor" : " tensors"); };
  if (report.requantized > 0)
    warn(tensors(report.requantized) + " had been quantised before: the new error adds to the old one");
  if (report.fallbacks > 0)
    warn(tensors(report.fallbacks) + " got another type than meant: the rows are no multiple of its blocks");
  if (report.without_importance > 0)
    warn("the importance matrix says nothing about " + tensors(report.without_importance));
}

Result<int> run_quantize(QuantizeArguments a) {
  if (a.type.empty() && a.options.dry_run) std::swap(a.type, a.out);  // nothing is written: no name is needed
  if (a.type.empty()) return Error{ErrorCode::invalid_argument, "give IN, OUT and TYPE; see strata quantize --help"};
  a.options.type = a.type;
  for (const std::string& text : a.tensor_types) {
    const std::size_t equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0)
      return Error{ErrorCode::invalid_argument, "--tensor-type " + text + ": write PATTERN=TYPE, e.g. attn_v=Q8_0"};
    a.options.tensor_types.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  std::error_code error;
  if (!a.options.dry_run && std::filesystem::exists(a.out, error) && !a.force)
    return Error{ErrorCode::invalid_argument, a.out + " exists; --force overwrites it"};
  catch_interrupt();
  Result<QuantizeReport> report = QuantizeReport{};
  {
    ProgressBar bar("quantising");
    a.options.progress = [&](double share) {
      bar.update(share);
      return !interrupted();
    };
    report = quantize(a.in, a.out, a.options);
  }
  if (!report) return report.error();
  print_warnings(*report);
  if (a.json) {
    print_json(a, *report);
    return exit_ok;
  }
  if (a.options.dry_run) print_tensors(*report);
  print_summary(a, *report);
  return exit_ok;
}

}  // namespace

void add_quantize(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("quantize", "write a model in another weight format");
  auto a = std::make_shared<QuantizeArguments>();
  command->add_option("IN", a->in, "a GGUF file; of a split, the first")->required();
  command->add_option("OUT", a->out, "the file to write; left out with --dry-run")->required();
  command->add_option("TYPE", a->type, listed(quantize_types()));
  command->add_option("--imatrix", a->options.imatrix, "an importance matrix, as `strata imatrix` makes it");
  command->add_option("--tensor-type", a->tensor_types,
                      "PATTERN=TYPE: tensors in whose name the regular expression is found get this type; repeatable")
      ->allow_extra_args(false);
  command->add_flag("--allow-requantize", a->options.allow_requantize, "take weights that are quantised already");
  command->add_flag("--dry-run", a->options.dry_run, "show what would be written");
  command->add_option("--threads", a->options.threads, "threads; 0: one for each core")->check(range(0, 4096))->capture_default_str();
  command->add_flag("--force", a->force, "overwrite OUT where it exists");
  command->add_flag("--json", a->json, "print one JSON object");
  command->footer("Norms, biases, routers and convolutions stay as they are. A row that is no multiple of a type's blocks gets\n"
                  "a type with smaller ones.");
  command->callback([a, &code] {
    auto result = run_quantize(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
