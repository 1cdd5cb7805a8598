// Owns: `strata make-model`: a file of random weights in the shape of a real model.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>

#include "examples/cli/checks.h"
#include "examples/cli/json_writer.h"
#include "examples/cli/terminal.h"

namespace cli {

namespace {

/// "F32 45, Q4_K 135", by the bytes they take.
std::string types_text(const strata::MakeModelReport& report) {
  std::map<std::string, std::pair<std::uint64_t, int>> types;
  for (const strata::TensorEntry& tensor : report.tensors) {
    types[tensor.type].first += tensor.bytes;
    ++types[tensor.type].second;
  }
  std::vector<std::pair<std::uint64_t, std::string>> sorted;
  for (const auto& [type, sum] : types) sorted.emplace_back(sum.first, type + " " + std::to_string(sum.second));
  std::sort(sorted.rbegin(), sorted.rend());
  std::string out;
  for (const auto& [bytes, text] : sorted) out += (out.empty() ? "" : ", ") + text;
  return out;
}

void print(const MakeModelArguments& a, const strata::MakeModelReport& report) {
  if (a.json) {
    JsonWriter json;
    json.begin_object();
    if (!a.dry_run) json.member("out", a.out);
    json.member("like", a.like).member("type", a.type).member("layers", report.layers).member("seed", a.seed);
    json.member("parameters", report.parameters).member("tensors", report.tensors.size()).member("bytes", report.bytes).end_object();
    std::printf("%s\n", json.text().c_str());
    return;
  }
  if (a.dry_run)
    for (const strata::TensorEntry& tensor : report.tensors) {
      std::string shape;
      for (std::uint64_t n : tensor.shape) shape += (shape.empty() ? "" : " x ") + std::to_string(n);
      std::printf("%-36s %-8s %-24s %12s\n", tensor.name.c_str(), tensor.type.c_str(), shape.c_str(), byte_text(tensor.bytes).c_str());
    }
  std::printf("%s%s in the shape of %s, %d layers, %.2f billion random weights, %zu tensors (%s)\n",
              a.dry_run ? "" : (a.out + ": ").c_str(), byte_text(report.bytes).c_str(), a.like.c_str(), report.layers,
              static_cast<double>(report.parameters) * 1e-9, report.tensors.size(), types_text(report).c_str());
}

}  // namespace

int run_make_model(const MakeModelArguments& a) {
  std::error_code error;
  if (!a.dry_run && a.out.empty()) return report(exit_usage, "make-model needs --out FILE");
  if (!a.dry_run && std::filesystem::exists(a.out, error) && !a.force)
    return report(exit_usage, a.out + " exists; --force overwrites it");
  strata::MakeModelOptions options;
  options.like = a.like;
  options.type = a.type;
  options.out = a.out;
  options.layers = a.layers;
  options.mtp = a.mtp;
  options.dry_run = a.dry_run;
  options.seed = a.seed;
  catch_interrupt();
  std::optional<strata::Result<strata::MakeModelReport>> made;
  {
    ProgressBar bar("writing");
    options.progress = [&](std::uint64_t done, std::uint64_t total) {
      bar.update(total ? static_cast<double>(done) / static_cast<double>(total) : 0);
      return !interrupted();
    };
    made = strata::make_model(options);
  }
  if (!*made) return report(made->error());
  print(a, **made);
  return exit_ok;
}

}  // namespace cli
