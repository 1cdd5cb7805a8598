// Owns: `strata tokenize` and `strata detokenize`: text to ids and back. Loads no weights.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/commands.h"
#include "examples/cli/options.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

struct TokenizeArguments {
  std::string model, input, text, file, ids;
  bool has_text = false, no_special = false, no_parse = false, special = false, pieces = false, json = false;
};

std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<int> tokenize(TokenizeArguments a) {
  if (!a.input.empty() && a.input != "-")
    return Error{ErrorCode::invalid_argument, "'" + a.input + "': write --text TEXT or --file FILE, or - for standard input"};
  if (!a.input.empty() && a.file.empty()) a.file = a.input;
  if (a.has_text == !a.file.empty())
    return Error{ErrorCode::invalid_argument, "give one text: --text TEXT, --file FILE or - (standard input)"};
  auto tokenizer = Tokenizer::load(a.model);
  if (!tokenizer) return tokenizer.error();
  if (!a.file.empty()) {
    auto read = read_input(a.file);
    if (!read) return read.error();
    a.text = std::move(*read);
  }
  auto ids = tokenizer->encode(a.text, {!a.no_special, !a.no_parse});
  if (!ids) return ids.error();
  if (a.json) {
    nlohmann::ordered_json json;
    json["tokens"] = *ids;
    if (a.pieces) {
      json["pieces"] = nlohmann::json::array();
      for (Token id : *ids) json["pieces"].push_back(tokenizer->token_text(id));
    }
    std::printf("%s\n", dump(json).c_str());
  } else if (a.pieces) {
    Table table({">id", "token"});
    for (Token id : *ids) table.row({std::to_string(id), std::string(tokenizer->token_text(id))});
    table.print();
  } else {
    std::printf("%s\n", join_ids(*ids, ' ').c_str());
  }
  return exit_ok;
}

Result<int> detokenize(TokenizeArguments a) {
  auto tokenizer = Tokenizer::load(a.model);
  if (!tokenizer) return tokenizer.error();
  if (a.ids == "-") {
    auto read = read_input("-");
    if (!read) return read.error();
    a.ids = std::move(*read);
  }
  auto ids = parse_ids(a.ids);
  if (!ids) return ids.error();
  for (Token id : *ids)
    if (id < 0 || id >= tokenizer->size())
      return Error{ErrorCode::invalid_argument,
                   "id " + std::to_string(id) + " is not between 0 and " + std::to_string(tokenizer->size() - 1)};
  std::string text = tokenizer->decode(*ids, a.special);
  if (a.json) {
    std::printf("%s\n", dump({{"text", text}}).c_str());
  } else {
    std::fwrite(text.data(), 1, text.size(), stdout);  // exactly its bytes; no line end is added
    if (stdout_is_terminal()) std::printf("\n");
  }
  return exit_ok;
}

}  // namespace

void add_tokenize(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("tokenize", "turn text into token ids");
  auto a = std::make_shared<TokenizeArguments>();
  add_model(*command, a->model);
  command->add_option("INPUT", a->input, "- reads the text from standard input");
  CLI::Option* text = command->add_option("--text", a->text, "the text");
  command->add_option("--file", a->file, "a file that holds the text")->excludes(text);
  command->add_flag("--no-add-special", a->no_special, "add no token that begins or ends a text");
  command->add_flag("--no-parse-special", a->no_parse, "control tokens written in the text stay text");
  command->add_flag("--pieces", a->pieces, "list each id with the vocabulary's spelling");
  command->add_flag("--json", a->json, "print {\"tokens\": [...]}");
  command->callback([a, text, &code] {
    a->has_text = text->count() > 0;
    auto result = tokenize(*a);
    code = result ? *result : report(result.error());
  });
}

void add_detokenize(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("detokenize", "turn token ids into text");
  auto a = std::make_shared<TokenizeArguments>();
  auto words = std::make_shared<std::vector<std::string>>();
  add_model(*command, a->model);
  command->add_option("IDS", *words, "ids separated by commas or spaces, or - for standard input")->required();
  command->add_flag("--special", a->special, "write control tokens too");
  command->add_flag("--json", a->json, "print {\"text\": \"...\"}");
  command->callback([a, words, &code] {
    for (const std::string& word : *words) a->ids += (a->ids.empty() ? "" : " ") + word;
    auto result = detokenize(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
