// Owns: `strata perplexity`: how well a model predicts a text.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "examples/cli/commands.h"
#include "examples/cli/options.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

struct PerplexityArguments {
  LoadArguments load;
  std::string file;
  bool json = false;
};

struct Score {
  double nll = 0;  ///< sum of -ln p, in nats
  long predictions = 0;
  std::size_t chunks = 0;
};

/// -ln softmax(logits)[target]
double surprise(std::span<const float> logits, Token target) {
  double best = *std::max_element(logits.begin(), logits.end()), sum = 0;
  for (float logit : logits) sum += std::exp(logit - best);
  return best + std::log(sum) - logits[static_cast<std::size_t>(target)];
}

Result<Score> score_chunks(Session& session, std::span<const Token> tokens, std::size_t chunk, std::optional<Token> bos) {
  Score score;
  score.chunks = tokens.size() / chunk;
  ProgressBar bar("scoring");
  for (std::size_t c = 0; c < score.chunks; ++c) {
    if (interrupted()) return Error{ErrorCode::cancelled, "interrupted"};
    bar.update(static_cast<double>(c) / static_cast<double>(score.chunks));
    std::vector<Token> input;
    if (bos) input.push_back(*bos);
    auto part = tokens.subspan(c * chunk, chunk);
    input.insert(input.end(), part.begin(), part.end());
    if (auto cut = session.truncate(0); !cut) return cut.error();
    // The last token predicts what is outside the chunk.
    auto evaluated = session.evaluate(std::span(input).first(input.size() - 1), [&](int position, std::span<const float> logits) {
      score.nll += surprise(logits, input[static_cast<std::size_t>(position) + 1]);
      ++score.predictions;
    });
    if (!evaluated) return evaluated.error();
  }
  return score;
}

Result<int> perplexity(PerplexityArguments a) {
  auto text = read_input(a.file);
  if (!text) return text.error();
  auto model = load(a.load);
  if (!model) return model.error();
  auto tokenizer = tokenizer_of(*model);
  if (!tokenizer) return tokenizer.error();
  EncodeOptions encode;
  encode.add_special = false;
  encode.parse_special = false;
  auto tokens = (*tokenizer)->encode(*text, encode);
  if (!tokens) return tokens.error();
  const int trained = model->summary().context_length;
  const int context = a.load.context > 0 ? a.load.context : std::min(trained, 512);
  if (context < 3) return Error{ErrorCode::invalid_argument, "--ctx is " + std::to_string(context) + "; it must be 3 or more"};
  const auto chunk = static_cast<std::size_t>(context) - 1;
  if (tokens->size() < chunk)
    return Error{ErrorCode::invalid_argument, a.file + ": " + std::to_string(tokens->size()) + " tokens do not fill one chunk of " +
                                                  std::to_string(chunk) + "; lower --ctx"};
  SessionOptions options;
  options.context = context;
  auto session = Session::create(*model, options);
  if (!session) return session.error();
  auto score = score_chunks(*session, *tokens, chunk, (*tokenizer)->adds_bos() ? (*tokenizer)->bos() : std::nullopt);
  if (!score) return score.error();
  const double mean = score->nll / static_cast<double>(score->predictions);
  if (a.json) {
    nlohmann::ordered_json json{{"perplexity", std::exp(mean)},       {"nll", mean},
                                {"predictions", score->predictions},  {"tokens", tokens->size()},
                                {"chunks", score->chunks},            {"context", context},
                                {"kv_type", a.load.kv_type}};
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    std::printf("perplexity %s (%s nats a token) over %ld predictions: %zu chunks of %zu tokens of %zu\n",
                fixed(std::exp(mean), 4).c_str(), fixed(mean, 5).c_str(), score->predictions, score->chunks, chunk,
                tokens->size());
  }
  return exit_ok;
}

}  // namespace

void add_perplexity(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("perplexity", "measure how well a model predicts a text");
  auto a = std::make_shared<PerplexityArguments>();
  add_model(*command, a->load.model);
  command->add_option("FILE", a->file, "the text, or - for standard input")->required();
  command->add_option("--ctx", a->load.context, "tokens of a chunk, with its beginning-of-text token; 0: the model's, at most 512")
      ->check(range(0, 1 << 24))->capture_default_str();
  add_load_options(*command, a->load, false);
  command->add_flag("--json", a->json, "print one JSON object");
  command->footer("The text is cut into chunks of one token less than --ctx, each read afresh behind the beginning-of-text\n"
                  "token where the vocabulary adds one; a last incomplete chunk is dropped; every prediction counts.");
  command->callback([a, &code] {
    auto result = perplexity(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
