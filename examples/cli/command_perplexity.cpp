// Owns: `strata perplexity`: how well a model predicts a text.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "examples/cli/commands.h"
#include "examples/cli/options.h"
#include "examples/cli/session.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

struct PerplexityArguments {
  LoadArguments load;
  SessionArguments session;
  std::string file, against;
  bool json = false;
};

struct Score {
  double nll = 0;  ///< sum of -ln p, in nats
  double divergence = 0;  ///< sum of the Kullback-Leibler divergences from the other model, in nats
  long agreed = 0;        ///< predictions whose most likely token is the other model's
  long predictions = 0;
  std::size_t chunks = 0;
};

/// ln sum(e^logit)
double log_sum(std::span<const float> logits) {
  double best = *std::max_element(logits.begin(), logits.end()), sum = 0;
  for (float logit : logits) sum += std::exp(logit - best);
  return best + std::log(sum);
}

/// sum(p (ln p - ln q)) of the distributions that two rows of logits stand for.
double divergence(std::span<const float> p, std::span<const float> q) {
  const double p_sum = log_sum(p), q_sum = log_sum(q);
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double log_p = p[i] - p_sum;
    sum += std::exp(log_p) * (log_p - (q[i] - q_sum));
  }
  return sum;
}

std::ptrdiff_t most_likely(std::span<const float> logits) {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

/// Scores one chunk; with `other`, beside that model's predictions of it.
Result<void> score_chunk(Session& session, Session* other, std::span<const Token> input, Score& score) {
  // The last token predicts what is outside the chunk. The other model's logits are kept for a step, so steps are short.
  const std::size_t longest = other ? 64 : input.size();
  if (auto cut = session.truncate(0); !cut) return cut;
  if (other)
    if (auto cut = other->truncate(0); !cut) return cut;
  std::vector<std::vector<float>> kept;
  for (std::size_t at = 0; at + 1 < input.size(); at += longest) {
    const auto part = input.subspan(at, std::min(longest, input.size() - 1 - at));
    kept.clear();
    if (other) {
      auto evaluated = other->evaluate(part, [&](int, std::span<const float> logits) { kept.emplace_back(logits.begin(), logits.end()); });
      if (!evaluated) return evaluated;
    }
    auto evaluated = session.evaluate(part, [&](int position, std::span<const float> logits) {
      const auto row = static_cast<std::size_t>(position);
      score.nll += log_sum(logits) - logits[static_cast<std::size_t>(input[row + 1])];
      ++score.predictions;
      if (!other) return;
      score.divergence += divergence(kept[row - at], logits);
      score.agreed += most_likely(kept[row - at]) == most_likely(logits);
    });
    if (!evaluated) return evaluated;
  }
  return {};
}

Result<Score> score_chunks(Session& session, Session* other, std::span<const Token> tokens, std::size_t chunk, std::optional<Token> bos) {
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
    if (auto scored = score_chunk(session, other, input, score); !scored) return scored.error();
  }
  return score;
}

/// The model of --against, which must have the same vocabulary.
Result<std::optional<Session>> open_other(const PerplexityArguments& a, const Model& model, const SessionOptions& options) {
  if (a.against.empty()) return std::optional<Session>();
  LoadArguments arguments = a.load;
  arguments.model = a.against;
  auto other = load(arguments);
  if (!other) return other.error();
  if (other->summary().vocabulary != model.summary().vocabulary)
    return Error{ErrorCode::invalid_argument, a.against + ": has " + std::to_string(other->summary().vocabulary) +
                                                  " tokens, the model has " + std::to_string(model.summary().vocabulary)};
  auto session = Session::create(*other, options);
  if (!session) return session.error();
  return std::optional<Session>(std::move(*session));
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
  a.session.context = context;
  auto session = open_session(*model, a.session);
  if (!session) return session.error();
  SessionOptions options;
  options.context = context;
  auto other = open_other(a, *model, options);
  if (!other) return other.error();
  auto score = score_chunks(*session, *other ? &**other : nullptr, *tokens, chunk, (*tokenizer)->adds_bos() ? (*tokenizer)->bos() : std::nullopt);
  if (!score) return score.error();
  const double mean = score->nll / static_cast<double>(score->predictions);
  const double divergence = score->divergence / static_cast<double>(score->predictions);
  const double agreed = static_cast<double>(score->agreed) / static_cast<double>(score->predictions);
  if (a.json) {
    nlohmann::ordered_json json{{"perplexity", std::exp(mean)},       {"nll", mean},
                                {"predictions", score->predictions},  {"tokens", tokens->size()},
                                {"chunks", score->chunks},            {"context", context},
                                {"kv_type", a.load.kv_type}};
    if (*other) json["against"] = a.against, json["divergence"] = divergence, json["agreed"] = agreed;
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    std::printf("perplexity %s (%s nats a token) over %ld predictions: %zu chunks of %zu tokens of %zu\n",
                fixed(std::exp(mean), 4).c_str(), fixed(mean, 5).c_str(), score->predictions, score->chunks, chunk,
                tokens->size());
    if (*other)
      std::printf("%s nats a token of divergence from %s; %s %% of the most likely tokens agree\n", fixed(divergence, 6).c_str(),
                  a.against.c_str(), fixed(100 * agreed, 2).c_str());
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
  add_adapter_options(*command, a->session);
  add_load_options(*command, a->load, false);
  command->add_option("--against", a->against, "also compare with this model's predictions, e.g. the file before it was quantised");
  command->add_flag("--json", a->json, "print one JSON object");
  command->footer("The text is cut into chunks of one token less than --ctx, each read afresh behind the beginning-of-text\n"
                  "token where the vocabulary adds one; a last incomplete chunk is dropped; every prediction counts.");
  command->callback([a, &code] {
    auto result = perplexity(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
