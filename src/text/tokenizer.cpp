// Owns: choosing the tokenizer model, and what all models share.
#include "text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "text/base_tokenizer.h"
#include "text/clean_spaces.h"
#include "text/markers.h"

namespace strata::text {

namespace {

constexpr std::size_t max_text_bytes = std::size_t{64} << 20;  // far above any context; bounds the work memory
// Every place of a text is compared with the special tokens; real ones have under 100 bytes.
constexpr std::size_t max_special_bytes = 1024;

struct Model {
  std::string_view name;
  Result<std::unique_ptr<Tokenizer>> (*create)(Vocabulary);
};
constexpr Model model_table[] = {{"llama", create_spm}, {"gpt2", create_bpe},  {"gemma4", create_bpe}, {"bert", create_wpm},
                                 {"t5", create_ugm},    {"rwkv", create_rwkv}, {"plamo2", create_plamo2}};

}  // namespace

std::string Tokenizer::models() {
  std::string known;
  for (const Model& model : model_table) (known += known.empty() ? "" : ", ") += model.name;
  return known;
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::create(Vocabulary vocabulary) {
  for (const Model& model : model_table)
    if (model.name == vocabulary.model) return model.create(std::move(vocabulary));
  return fail(ErrorCode::unsupported, "tokenizer.ggml.model: \"", vocabulary.model, "\" is not supported; known are ",
              models());
}

Result<void> check_scores(const Vocabulary& vocabulary) {
  if (vocabulary.scores.size() == vocabulary.tokens.size()) return {};
  return fail(ErrorCode::bad_file, "tokenizer.ggml.scores: ", vocabulary.scores.size(), " scores for ", vocabulary.tokens.size(),
              " tokens; tokenizer model ", vocabulary.model, " needs one each");
}

Result<Lexicon> Lexicon::create(Vocabulary& vocabulary, const Defaults& defaults) {
  auto made = TokenTable::create(std::move(vocabulary.tokens), std::move(vocabulary.types));
  if (!made) return made.error();
  TokenTable table = std::move(made).value();

  struct Id {
    std::string_view key;
    std::optional<std::int32_t>* value;
    std::optional<std::int32_t> fallback;
  };
  for (const Id& id : {Id{"bos_token_id", &vocabulary.bos, defaults.bos}, Id{"eos_token_id", &vocabulary.eos, defaults.eos},
                       Id{"unknown_token_id", &vocabulary.unknown, defaults.unknown}, Id{"eot_token_id", &vocabulary.eot, {}},
                       Id{"eom_token_id", &vocabulary.eom, {}}, Id{"seperator_token_id", &vocabulary.separator, defaults.separator},
                       Id{"padding_token_id", &vocabulary.padding, defaults.padding},
                       Id{"mask_token_id", &vocabulary.mask, defaults.mask},
                       Id{"fim_pre_token_id", &vocabulary.fim_prefix, {}}, Id{"fim_suf_token_id", &vocabulary.fim_suffix, {}},
                       Id{"fim_mid_token_id", &vocabulary.fim_middle, {}}, Id{"fim_pad_token_id", &vocabulary.fim_pad, {}},
                       Id{"fim_rep_token_id", &vocabulary.fim_repo, {}}, Id{"fim_sep_token_id", &vocabulary.fim_separator, {}}}) {
    std::optional<std::int32_t>& value = *id.value;
    if (!value && id.fallback && table.contains(*id.fallback)) value = id.fallback;
    if (value && *value < 0) value.reset();
    if (value && !table.contains(*value))
      return fail(ErrorCode::bad_file, "tokenizer.ggml.", id.key, ": ", *value, " is no token of the ", table.size(),
                  " in the vocabulary");
  }
  std::vector<std::int32_t> ends = end_markers(vocabulary, table);
  StripRule strip = strip_rule(vocabulary, table);
  SpecialTokens special(table, [&](std::int32_t id) { return strip(id, table); });
  if (special.longest() > max_special_bytes)
    return fail(ErrorCode::bad_file, "tokenizer.ggml.tokens: a control, unknown or user-defined token has ", special.longest(),
                " bytes; at most ", max_special_bytes, " are supported");
  std::optional<std::int32_t> first, last;
  if (vocabulary.add_bos.value_or(defaults.add_bos) || defaults.separator_last) first = vocabulary.bos;
  if (vocabulary.add_eos.value_or(defaults.add_eos)) last = vocabulary.eos;
  if (defaults.separator_last) last = vocabulary.separator;
  return Lexicon{.table = std::move(table),
                 .special = std::move(special),
                 .ends = std::move(ends),
                 .bos = vocabulary.bos,
                 .eos = vocabulary.eos,
                 .unknown = vocabulary.unknown,
                 .first = first,
                 .last = last,
                 .space_prefix = vocabulary.add_space_prefix.value_or(defaults.space_prefix),
                 .clean_spaces = defaults.clean_spaces};
}

Result<std::vector<std::int32_t>> BaseTokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  if (text.size() > max_text_bytes)
    return fail(ErrorCode::invalid_argument, "text: ", text.size(), " bytes; at most ", max_text_bytes,
                " can be tokenized at once");
  std::vector<std::int32_t> out;
  out.reserve(text.size() / 4 + 8);
  if (options.add_special && lexicon_.first) out.push_back(*lexicon_.first);
  bool after_special = true;
  for (const Fragment& fragment : lexicon_.special.partition(text, options.parse_special, options.content)) {
    if (fragment.token >= 0) {
      out.push_back(fragment.token);
    } else if (auto done = encode_raw(fragment.text, lexicon_.space_prefix && after_special, out); !done) {
      return done.error();
    }
    after_special = fragment.token >= 0;
  }
  if (options.add_special && lexicon_.last) out.push_back(*lexicon_.last);
  return out;
}

void BaseTokenizer::append_piece(std::int32_t token, bool special, std::string& out) const {
  if (!table().contains(token)) return;
  switch (table().type(token)) {
    case TokenType::control:
    case TokenType::unknown:
      if (special) out += table().text(token);
      break;
    case TokenType::user_defined:
      out += table().text(token);
      break;
    case TokenType::normal:
    case TokenType::byte:
      append_plain(token, out);
      break;
    case TokenType::undefined:
    case TokenType::unused:
      break;
  }
}

std::string BaseTokenizer::piece(std::int32_t token, bool special) const {
  std::string out;
  append_piece(token, special, out);
  return out;
}

std::string BaseTokenizer::decode(std::span<const std::int32_t> tokens, bool special) const {
  std::string out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    append_piece(tokens[i], special, out);
    // Only the very first token can carry the space that `encode` put in front of the text.
    if (i == 0 && lexicon_.space_prefix && out.starts_with(' ')) out.erase(0, 1);
  }
  return lexicon_.clean_spaces ? clean_spaces(out) : out;
}

bool BaseTokenizer::is_end_of_generation(std::int32_t token) const {
  return std::binary_search(lexicon_.ends.begin(), lexicon_.ends.end(), token);
}

}  // namespace strata::text
