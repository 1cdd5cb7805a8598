// Owns: `strata embed`: texts in, vectors out.
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "examples/cli/commands.h"
#include "examples/cli/options.h"
#include "examples/cli/session.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

const std::map<std::string, Pooling> poolings = {{"mean", Pooling::mean}, {"cls", Pooling::cls}, {"last", Pooling::last}};

struct EmbedArguments {
  LoadArguments load;
  SessionArguments session;
  std::vector<std::string> texts;
  std::string file, pooling;
  bool raw = false, json = false, similarity = false;
};

struct Embedded {
  std::string text;
  std::size_t tokens;
  std::vector<float> vector;
};

/// The texts given, then each line of the file that is not empty.
Result<std::vector<std::string>> read_texts(const EmbedArguments& a) {
  std::vector<std::string> texts = a.texts;
  if (!a.file.empty()) {
    auto read = read_input(a.file);
    if (!read) return read.error();
    std::istringstream lines(*read);
    for (std::string line; std::getline(lines, line);) {
      if (line.ends_with('\r')) line.pop_back();
      if (!line.empty()) texts.push_back(std::move(line));
    }
  }
  if (texts.empty()) return Error{ErrorCode::invalid_argument, "no text; give -p TEXT or -f FILE (- is standard input), a text on each line"};
  return texts;
}

double cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    bb += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

std::string name_of(Pooling pooling) {
  for (const auto& [name, value] : poolings)
    if (value == pooling) return name;
  return "?";
}

void print_json(const Model& model, const EmbedArguments& a, Pooling pooling, std::span<const Embedded> all) {
  nlohmann::ordered_json json{{"model", model.summary().name}, {"pooling", name_of(pooling)}, {"normalized", !a.raw}};
  auto& list = json["embeddings"] = nlohmann::ordered_json::array();
  for (const Embedded& e : all) list.push_back({{"text", e.text}, {"tokens", e.tokens}, {"embedding", e.vector}});
  if (a.similarity) {
    auto& rows = json["similarity"] = nlohmann::ordered_json::array();
    for (const Embedded& one : all) {
      auto row = nlohmann::ordered_json::array();
      for (const Embedded& other : all) row.push_back(cosine(one.vector, other.vector));
      rows.push_back(std::move(row));
    }
  }
  std::printf("%s\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void print_text(const EmbedArguments& a, std::span<const Embedded> all) {
  for (const Embedded& one : all) {
    if (a.similarity)
      for (const Embedded& other : all) std::printf("%s%s", &other == &all[0] ? "" : " ", fixed(cosine(one.vector, other.vector), 6).c_str());
    else
      for (std::size_t i = 0; i < one.vector.size(); ++i) std::printf("%s%.9g", i ? " " : "", static_cast<double>(one.vector[i]));
    std::printf("\n");
  }
}

Result<int> embed(const EmbedArguments& a) {
  auto texts = read_texts(a);
  if (!texts) return texts.error();
  auto model = load(a.load);
  if (!model) return model.error();
  auto tokenizer = tokenizer_of(*model);
  if (!tokenizer) return tokenizer.error();
  EmbedOptions options;
  options.normalize = !a.raw;
  options.pooling = a.pooling.empty() ? model->pooling() : poolings.at(a.pooling);
  auto adapters = load_adapters(*model, a.session);
  if (!adapters) return adapters.error();
  options.adapters = std::move(*adapters);
  // Keeps the adapted model ready from one text to the next.
  auto holder = Session::create(*model, {.context = 1});
  if (!holder) return holder.error();
  if (auto set = holder->set_adapters(options.adapters); !set) return set.error();
  std::vector<Embedded> all;
  {
    ProgressBar bar("embedding");
    for (const std::string& text : *texts) {
      if (interrupted()) return Error{ErrorCode::cancelled, "interrupted"};
      bar.update(static_cast<double>(all.size()) / static_cast<double>(texts->size()));
      auto tokens = (*tokenizer)->encode(text);
      if (!tokens) return tokens.error();
      auto vector = model->embed(*tokens, options);
      if (!vector) return vector.error();
      all.push_back({text, tokens->size(), std::move(*vector)});
    }
  }
  if (a.json) print_json(*model, a, *options.pooling, all);
  else print_text(a, all);
  return exit_ok;
}

}  // namespace

void add_embed(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("embed", "turn texts into vectors");
  auto a = std::make_shared<EmbedArguments>();
  add_model(*command, a->load.model);
  command->add_option("-p,--prompt", a->texts, "a text; may be repeated")->allow_extra_args(false);
  command->add_option("-f,--file", a->file, "a file with a text on each line; - is standard input");
  command->add_option("--pooling", a->pooling, "mean, cls (first token) or last; the file's own where it says one, else mean")
      ->check(CLI::IsMember(poolings).description(""));
  command->add_flag("--no-normalize", a->raw, "leave the vectors' lengths as they are");
  command->add_flag("--similarity", a->similarity, "print the cosine of every pair instead; with --json beside the vectors");
  command->add_flag("--json", a->json, "print one JSON object");
  add_adapter_options(*command, a->session);
  add_load_options(*command, a->load, false);
  command->footer("Prints one line of numbers for each text.");
  command->callback([a, &code] {
    auto result = embed(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
