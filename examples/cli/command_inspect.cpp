// Owns: `strata inspect`: what a file holds, and writing one tensor as float32. Loads no weights beyond that tensor.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <variant>

#include "examples/cli/commands.h"
#include "examples/cli/options.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::size_t longest_array = 64;

struct InspectArguments {
  std::string model, dump, out;
  bool json = false, full = false;
};

struct Mixture {
  int count = 0;
  std::uint64_t bytes = 0;
};
using Mixtures = std::map<std::pair<std::string, std::string>, Mixture>;  ///< by kind and type

/// "blk.3.ffn_down.weight" -> "ffn_down"
std::string kind_of(std::string_view name) {
  if (name.starts_with("blk.")) {
    std::size_t dot = name.find('.', 4);
    if (dot != std::string_view::npos) name.remove_prefix(dot + 1);
  }
  if (name.ends_with(".weight")) name.remove_suffix(7);
  return std::string(name);
}

Mixtures mixtures(std::span<const TensorEntry> tensors) {
  Mixtures out;
  for (const TensorEntry& tensor : tensors) {
    Mixture& mixture = out[{kind_of(tensor.name), tensor.type}];
    ++mixture.count;
    mixture.bytes += tensor.bytes;
  }
  return out;
}

Json value_json(const MetadataValue& value, bool full) {
  return std::visit(
      [&](const auto& v) -> Json {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
          return v;
        } else {
          if (full || v.size() <= longest_array) return v;
          return {{"count", v.size()}, {"head", T(v.begin(), v.begin() + 8)}};
        }
      },
      value);
}

std::string dump(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

/// A value on one line of the table.
std::string value_text(const MetadataValue& value) {
  std::string text = std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return v;
        } else if constexpr (std::is_arithmetic_v<T>) {
          return Json(v).dump();
        } else {
          std::string head = dump(Json(T(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(v.size(), 6)))), -1);
          if (v.size() > 6) head.back() = ',', head += "...] " + std::to_string(v.size()) + " in all";
          return head;
        }
      },
      value);
  std::replace_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  constexpr std::size_t longest = 100;
  if (text.size() > longest) {
    std::size_t end = longest;
    while (end > 0 && (text[end] & 0xc0) == 0x80) --end;  // not in the middle of a character
    text = text.substr(0, end) + "...";
  }
  return text;
}

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string out;
  for (std::uint64_t side : shape) out += (out.empty() ? "" : " x ") + std::to_string(side);
  return out;
}

Json summary_json(const ModelSummary& s) {
  return {{"architecture", s.architecture},
          {"name", s.name},
          {"quantisation", s.quantisation},
          {"parameters", s.parameters},
          {"active_parameters", s.active_parameters},
          {"tensor_bytes", s.tensor_bytes},
          {"decode_bytes", s.decode_bytes},
          {"kv_bytes_per_token_f16", s.kv_bytes_per_token_f16},
          {"window_kv_bytes_per_token_f16", s.window_kv_bytes_per_token_f16},
          {"window", s.window},
          {"recurrent_bytes", s.recurrent_bytes},
          {"layers", s.layers},
          {"mtp_layers", s.mtp_layers},
          {"embedding_length", s.embedding_length},
          {"context_length", s.context_length},
          {"vocabulary", s.vocabulary},
          {"chat_template", s.chat_template}};
}

void print_json(const ModelFile& file, const Result<ModelSummary>& summary, bool full) {
  Json json{{"gguf_version", file.gguf_version()}, {"file_bytes", file.file_bytes()}, {"files", file.files()}};
  if (summary) json["summary"] = summary_json(*summary);
  else json["summary"] = nullptr, json["note"] = summary.error().message;
  const auto tensors = file.tensors();
  Json& mixture = json["mixture"] = Json::array();
  for (const auto& [key, m] : mixtures(tensors))
    mixture.push_back({{"kind", key.first}, {"type", key.second}, {"count", m.count}, {"bytes", m.bytes}});
  Json& metadata = json["metadata"] = Json::object();
  for (const MetadataEntry& entry : file.metadata())
    metadata[entry.key] = {{"type", entry.type}, {"value", value_json(entry.value, full)}};
  Json& list = json["tensors"] = Json::array();
  for (const TensorEntry& t : tensors)
    list.push_back({{"name", t.name}, {"type", t.type}, {"shape", t.shape}, {"bytes", t.bytes}, {"file", t.file}});
  std::printf("%s\n", dump(json, 2).c_str());
}

void print_summary(const ModelFile& file, const ModelSummary& s) {
  Table table({"architecture", s.architecture + (s.name.empty() ? "" : " (" + value_text(s.name) + ")")});
  table.row({"parameters", count_text(s.parameters) + ", " + count_text(s.active_parameters) + " active for a token"});
  table.row({"weights", byte_text(s.tensor_bytes) + ", mostly " + s.quantisation + "; " + byte_text(s.decode_bytes) + " read for a token"});
  table.row({"layers", std::to_string(s.layers) + (s.mtp_layers ? " and " + std::to_string(s.mtp_layers) + " for multi-token prediction" : "")});
  table.row({"width", std::to_string(s.embedding_length)});
  table.row({"vocabulary", std::to_string(s.vocabulary)});
  table.row({"context", std::to_string(s.context_length) + " tokens"});
  table.row({"cache", byte_text(s.kv_bytes_per_token_f16) + " a token in f16, " + byte_text(2 * s.kv_bytes_per_token_f16) + " in f32" +
                          (s.window ? "; for the last " + std::to_string(s.window) + " tokens " + byte_text(s.window_kv_bytes_per_token_f16) +
                                          " and " + byte_text(2 * s.window_kv_bytes_per_token_f16) + " more"
                                    : "") +
                          (s.recurrent_bytes ? "; " + byte_text(s.recurrent_bytes) + " of recurrent state, as much again for each snapshot (" +
                                                   std::to_string(SessionOptions().max_snapshots) + " at most)"
                                             : "")});
  table.row({"chat template", s.chat_template.empty() ? "no" : "yes"});
  table.row({"file", byte_text(file.file_bytes()) + ", GGUF " + std::to_string(file.gguf_version()) +
                         (file.files() > 1 ? ", " + std::to_string(file.files()) + " files" : "")});
  table.print();
}

void print_tables(const ModelFile& file, const Result<ModelSummary>& summary) {
  const auto tensors = file.tensors();
  if (summary) print_summary(file, *summary);
  else std::printf("no summary: %s\n", value_text(summary.error().message).c_str());

  std::printf("\n");
  Table mixture({"tensors", "type", ">count", ">size"});
  for (const auto& [key, m] : mixtures(tensors))
    mixture.row({value_text(key.first), key.second, std::to_string(m.count), byte_text(m.bytes)});
  mixture.print();

  std::printf("\n");
  Table metadata({"key", "type", "value"});
  for (const MetadataEntry& entry : file.metadata())
    metadata.row({value_text(entry.key), entry.type, value_text(entry.value)});
  metadata.print();

  std::printf("\n");
  Table list({"tensor", "type", "shape", ">size"});
  for (const TensorEntry& t : tensors) list.row({value_text(t.name), t.type, shape_text(t.shape), byte_text(t.bytes)});
  list.print();
}

Result<void> dump_tensor(const ModelFile& file, const std::string& name, const std::string& path) {
  auto values = file.read(name);
  if (!values) return values.error();
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  if (!out) return Error{ErrorCode::io, path + ": cannot be created"};
  write_floats(out, *values);
  out.close();
  if (out) return {};
  std::remove(path.c_str());
  return Error{ErrorCode::io, path + ": cannot be written; is the disk full?"};
}

Result<int> inspect(const InspectArguments& a) {
  if (a.dump.empty() != a.out.empty()) return Error{ErrorCode::invalid_argument, "--dump TENSOR and --out FILE go together"};
  auto file = ModelFile::open(a.model);
  if (!file) return file.error();
  if (!a.dump.empty()) {
    auto dumped = dump_tensor(*file, a.dump, a.out);
    if (!dumped) return dumped.error();
    return exit_ok;
  }
  auto summary = file->summary();
  if (a.json) print_json(*file, summary, a.full);
  else print_tables(*file, summary);
  return exit_ok;
}

}  // namespace

void add_inspect(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("inspect", "show what a file holds");
  auto a = std::make_shared<InspectArguments>();
  add_model(*command, a->model);
  command->add_flag("--json", a->json, "print one JSON object; arrays of more than 64 elements are cut to {count, head}");
  command->add_flag("--full", a->full, "with --json: whole arrays");
  command->add_option("--dump", a->dump, "write this tensor's values instead, as little-endian float32, innermost dimension first");
  command->add_option("--out", a->out, "the file that --dump writes");
  command->callback([a, &code] {
    auto result = inspect(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
