// Owns: the shared options' names, ranges and help. Knows CLI11.
#include "examples/cli/options.h"

#include <bit>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>

#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

constexpr const char* bundled_name = "strata-tiny-q4_k_m.gguf";

Error failure(ErrorCode code, std::string message) { return Error{code, std::move(message)}; }

std::filesystem::path program_folder() {
  std::error_code error;
  auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::filesystem::path() : program.parent_path();
}

}  // namespace

CLI::Validator range(int low, int high) { return CLI::Range(low, high).description(""); }

void add_load_options(CLI::App& app, LoadArguments& a, bool context) {
  app.add_option("--device", a.device, "a device of `strata devices`, or auto")->capture_default_str();
  app.add_option("--threads", a.threads, "threads of the CPU; 0: one for each core")
      ->check(range(0, 4096))->capture_default_str();
  app.add_option("--affinity", a.affinity, "threads keep to: cores (one each), off (none), auto (their memory node's, where there are several)")
      ->check(CLI::IsMember({"auto", "off", "cores"}))->capture_default_str();
  app.add_option("--isa", a.isa, "a lower instruction set of the CPU, e.g. scalar");
  app.add_option("--kv-type", a.kv_type, "type of cached keys and values: f16, f32, or smaller q8_0 or q4_0")
      ->check(CLI::IsMember({"f16", "f32", "q8_0", "q4_0"}))->capture_default_str();
  app.add_option("--pages", a.pages, "where weights lie: auto, huge (copied and interleaved: faster) or mmap (loads at once)")
      ->check(CLI::IsMember({"auto", "huge", "mmap"}))->capture_default_str();
  if (context)
    app.add_option("--ctx", a.context, "most tokens in the context; 0: the model's, at most 4096")
        ->check(range(0, std::numeric_limits<int>::max()))->capture_default_str();
}

void add_model(CLI::App& app, std::string& model) { app.add_option("MODEL", model, "a GGUF file")->required(); }

SamplingArguments::SamplingArguments() {
  options.temperature = 0.8f;
  options.top_k = 40;
  options.top_p = 0.95f;
  options.min_p = 0.05f;
}

void add_sampling_options(CLI::App& app, SamplingArguments& a) {
  SamplerOptions& o = a.options;
  app.add_option("--temp", o.temperature, "temperature; 0: always the most likely token")->capture_default_str();
  app.add_option("--top-k", o.top_k, "keep the K most likely tokens; 0: all")->capture_default_str();
  app.add_option("--top-p", o.top_p, "keep the most likely tokens that hold this probability")->capture_default_str();
  app.add_option("--min-p", o.min_p, "drop tokens below this share of the best one's probability")->capture_default_str();
  app.add_option("--typical-p", o.typical_p, "keep the most typical tokens that hold this probability")
      ->capture_default_str();
  app.add_option("--repeat-penalty", o.repetition_penalty, "above 1: divides the logits of recent tokens")
      ->capture_default_str();
  app.add_option("--frequency-penalty", o.frequency_penalty, "taken off for each time a token came up recently")
      ->capture_default_str();
  app.add_option("--presence-penalty", o.presence_penalty, "taken off once for a recent token")->capture_default_str();
  app.add_option("--penalty-last", o.penalty_last, "how many tokens count as recent")->capture_default_str();
  app.add_option("--seed", o.seed, "the same seed gives the same text")->capture_default_str();
}

Result<std::string> bundled_model() {
  namespace fs = std::filesystem;
  std::error_code error;
  for (const fs::path& path : {program_folder() / ".." / "share" / "strata" / "models" / bundled_name,
                               fs::path(STRATA_MODEL_FOLDER) / bundled_name})
    if (fs::is_regular_file(path, error)) return path.lexically_normal().string();
  return failure(ErrorCode::not_found, std::string("the bundled model ") + bundled_name + " is missing; give a model with -m");
}

Result<std::string> read_input(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return failure(ErrorCode::invalid_argument, path + ": is a folder");
  std::ifstream in(path, std::ios::binary);
  if (!in) return failure(ErrorCode::not_found, path + ": cannot be opened");
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (in.bad()) return failure(ErrorCode::io, path + ": cannot be read");
  return text;
}

Result<std::vector<Token>> parse_ids(const std::string& text) {
  std::vector<Token> ids;
  const char* at = text.data();
  const char* end = at + text.size();
  auto separator = [](char c) { return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (at != end) {
    if (separator(*at)) {
      ++at;
      continue;
    }
    Token id = 0;
    auto [next, code] = std::from_chars(at, end, id);
    if (code != std::errc() || (next != end && !separator(*next))) {
      std::string word(at, std::find_if(at, end, separator));
      return failure(ErrorCode::invalid_argument, "'" + word.substr(0, 40) + "' is no token id; give e.g. 1,2,3");
    }
    ids.push_back(id);
    at = next;
  }
  return ids;
}

std::string join_ids(std::span<const Token> ids, char separator) {
  std::string out;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out += separator;
    out += std::to_string(ids[i]);
  }
  return out;
}

Result<const Tokenizer*> tokenizer_of(const Model& model) {
  if (model.tokenizer()) return model.tokenizer();
  if (model.tokenizer_error()) return *model.tokenizer_error();
  return failure(ErrorCode::unsupported, "the file holds no tokenizer; give token ids");
}

void write_floats(std::ostream& out, std::span<const float> values) {
  if constexpr (std::endian::native == std::endian::little) {
    out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
  } else {
    for (float value : values) {
      auto bits = std::bit_cast<std::uint32_t>(value);
      for (int shift = 0; shift < 32; shift += 8) out.put(static_cast<char>(bits >> shift));
    }
  }
}

std::string rate_text(double tokens, double seconds) {
  return tokens > 0 && seconds > 0 ? fixed(tokens / seconds, 1) + " tok/s" : "-";
}

}  // namespace cli
