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
  std::string file, against, documents;
  bool json = false;
};

/// Sums over predictions; those in the second line are against the other model's.
struct Score {
  double nll = 0;  ///< of -ln p, in nats
  double other_nll = 0, divergence = 0;  ///< of its -ln p; of the Kullback-Leibler divergences from it
  long agreed = 0;                       ///< predictions whose most likely token is the other model's
  long predictions = 0;

  void add(const Score& s) {
    nll += s.nll;
    other_nll += s.other_nll;
    divergence += s.divergence;
    agreed += s.agreed;
    predictions += s.predictions;
  }
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

/// The standard error of the mean nats that a token costs more than with the other model. Tokens of one chunk hang together;
/// chunks do not, so it is that of a ratio of sums over chunks.
double error_of_difference(std::span<const Score> chunks, const Score& all) {
  const double mean = (all.nll - all.other_nll) / static_cast<double>(all.predictions), n = static_cast<double>(chunks.size());
  double squares = 0;
  for (const Score& chunk : chunks) {
    const double off = chunk.nll - chunk.other_nll - mean * static_cast<double>(chunk.predictions);
    squares += off * off;
  }
  return n > 1 ? std::sqrt(squares * n / (n - 1)) / static_cast<double>(all.predictions) : 0;
}

/// Scores one chunk; with `other`, beside that model's predictions of it.
Result<Score> score_chunk(Session& session, Session* other, std::span<const Token> input) {
  Score score;
  // The last token predicts what is outside the chunk. The other model's logits are kept for a step, so steps are short.
  const std::size_t longest = other ? 64 : input.size();
  if (auto cut = session.truncate(0); !cut) return cut.error();
  if (other)
    if (auto cut = other->truncate(0); !cut) return cut.error();
  std::vector<std::vector<float>> kept;
  for (std::size_t at = 0; at + 1 < input.size(); at += longest) {
    const auto part = input.subspan(at, std::min(longest, input.size() - 1 - at));
    kept.clear();
    if (other) {
      auto evaluated = other->evaluate(part, [&](int, std::span<const float> logits) { kept.emplace_back(logits.begin(), logits.end()); });
      if (!evaluated) return evaluated.error();
    }
    auto evaluated = session.evaluate(part, [&](int position, std::span<const float> logits) {
      const auto row = static_cast<std::size_t>(position);
      const auto next = static_cast<std::size_t>(input[row + 1]);
      score.nll += log_sum(logits) - logits[next];
      ++score.predictions;
      if (!other) return;
      const std::vector<float>& other_logits = kept[row - at];
      score.other_nll += log_sum(other_logits) - other_logits[next];
      score.divergence += divergence(other_logits, logits);
      score.agreed += most_likely(other_logits) == most_likely(logits);
    });
    if (!evaluated) return evaluated.error();
  }
  return score;
}

Result<std::vector<Score>> score_chunks(Session& session, Session* other, std::span<const std::vector<Token>> chunks) {
  std::vector<Score> scores;
  ProgressBar bar("scoring");
  for (const std::vector<Token>& chunk : chunks) {
    if (interrupted()) return Error{ErrorCode::cancelled, "interrupted"};
    bar.update(static_cast<double>(scores.size()) / static_cast<double>(chunks.size()));
    auto score = score_chunk(session, other, chunk);
    if (!score) return score.error();
    scores.push_back(*score);
  }
  return scores;
}

/// The text as pieces that are read afresh, of `context` tokens at most: a long text cut, or documents and their ends.
Result<std::vector<std::vector<Token>>> chunks_of(const Tokenizer& tokenizer, std::string_view text, const PerplexityArguments& a,
                                                  std::size_t context) {
  const std::vector<Token> begin = tokenizer.adds_bos() && tokenizer.bos() ? std::vector<Token>{*tokenizer.bos()} : std::vector<Token>{};
  EncodeOptions plain, control;
  plain.add_special = plain.parse_special = control.add_special = false;
  control.parse_special = true;
  std::vector<std::vector<Token>> chunks;
  std::size_t given = 0;
  auto add = [&](std::span<const Token> tokens, bool whole_only) {
    const std::size_t room = context - begin.size();
    given += tokens.size();
    for (std::size_t at = 0; at < tokens.size(); at += room) {
      const auto part = tokens.subspan(at, std::min(room, tokens.size() - at));
      std::vector<Token> chunk = begin;
      chunk.insert(chunk.end(), part.begin(), part.end());
      if (chunk.size() > 1 && (part.size() == room || !whole_only)) chunks.push_back(std::move(chunk));
    }
  };
  if (a.documents.empty()) {
    auto tokens = tokenizer.encode(text, plain);
    if (!tokens) return tokens.error();
    add(*tokens, true);
  } else {
    auto end = tokenizer.encode(a.documents, control);
    if (!end) return end.error();
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t stop = std::min(text.find(a.documents, at), text.size());
      auto tokens = tokenizer.encode(text.substr(at, stop - at), plain);
      if (!tokens) return tokens.error();
      if (stop < text.size()) tokens->insert(tokens->end(), end->begin(), end->end());
      add(*tokens, false);
      at = stop + a.documents.size();
    }
  }
  if (chunks.empty() && !a.documents.empty())
    return Error{ErrorCode::invalid_argument, a.file + ": no document has two tokens, so there is nothing to predict"};
  if (chunks.empty())
    return Error{ErrorCode::invalid_argument, a.file + ": " + std::to_string(given) + " tokens do not fill one chunk of " +
                                                  std::to_string(context - begin.size()) + "; lower --ctx"};
  return chunks;
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

void print(const PerplexityArguments& a, std::span<const Score> chunks, int context, bool compared) {
  Score all;
  for (const Score& chunk : chunks) all.add(chunk);
  const auto count = static_cast<double>(all.predictions);
  const double mean = all.nll / count, difference = (all.nll - all.other_nll) / count, error = error_of_difference(chunks, all);
  const double divergence = all.divergence / count, agreed = static_cast<double>(all.agreed) / count;
  if (a.json) {
    nlohmann::ordered_json json{{"perplexity", std::exp(mean)}, {"nll", mean},        {"predictions", all.predictions},
                                {"chunks", chunks.size()},      {"context", context}, {"kv_type", a.load.kv_type}};
    if (compared) {
      json["against"] = a.against;
      json["difference"] = difference;
      json["difference_error"] = error;
      json["divergence"] = divergence;
      json["agreed"] = agreed;
    }
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf("perplexity %s (%s nats a token) over %ld predictions in %zu %s\n", fixed(std::exp(mean), 4).c_str(), fixed(mean, 5).c_str(),
              all.predictions, chunks.size(), a.documents.empty() ? "chunks" : "documents");
  if (compared)
    std::printf("against %s: %s%s +- %s nats a token, %s of divergence; %s %% of the most likely tokens agree\n", a.against.c_str(),
                difference < 0 ? "" : "+", fixed(difference, 5).c_str(), fixed(error, 5).c_str(), fixed(divergence, 6).c_str(),
                fixed(100 * agreed, 2).c_str());
}

Result<int> perplexity(PerplexityArguments a) {
  auto text = read_input(a.file);
  if (!text) return text.error();
  auto model = load(a.load);
  if (!model) return model.error();
  auto tokenizer = tokenizer_of(*model);
  if (!tokenizer) return tokenizer.error();
  const int trained = model->summary().context_length;
  const int context = a.load.context > 0 ? a.load.context : std::min(trained, 512);
  if (context < 3) return Error{ErrorCode::invalid_argument, "--ctx is " + std::to_string(context) + "; it must be 3 or more"};
  auto chunks = chunks_of(**tokenizer, *text, a, static_cast<std::size_t>(context));
  if (!chunks) return chunks.error();
  a.session.context = context;
  auto session = open_session(*model, a.session);
  if (!session) return session.error();
  SessionOptions options;
  options.context = context;
  auto other = open_other(a, *model, options);
  if (!other) return other.error();
  auto scores = score_chunks(*session, *other ? &**other : nullptr, *chunks);
  if (!scores) return scores.error();
  print(a, *scores, context, other->has_value());
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
  command->add_option("--documents", a->documents, "the text is documents, each ended by this, e.g. <|endoftext|>");
  command->add_flag("--json", a->json, "print one JSON object");
  command->footer("The text is cut into chunks of --ctx tokens, each read afresh behind the beginning-of-text token where the\n"
                  "vocabulary adds one; a last incomplete chunk is dropped; every prediction counts. With --documents each of\n"
                  "them is read afresh, and its end is predicted, too; --ctx cuts those that are longer.\n"
                  "The difference to the model of --against is given with its standard error over the chunks.");
  command->callback([a, &code] {
    auto result = perplexity(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
