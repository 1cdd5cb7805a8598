// Owns: the lists of marker texts. Source: the chat templates and generation configs of the published models.
#include "text/markers.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace strata::text {

namespace {

using Texts = std::span<const std::string_view>;

constexpr std::string_view end_texts[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
    "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>",
    "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~["};

constexpr std::string_view fim_prefix_texts[] = {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>",
                                                 "<PRE>", "▁<PRE>", "<|code_prefix|>", "<|prefix|>"};
constexpr std::string_view fim_suffix_texts[] = {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>",
                                                 "<SUF>", "▁<SUF>", "<|code_suffix|>", "<|suffix|>"};
constexpr std::string_view fim_middle_texts[] = {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>",
                                                 "<MID>", "▁<MID>", "<|code_middle|>", "<|middle|>"};
constexpr std::string_view fim_pad_texts[] = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"};
constexpr std::string_view fim_repo_texts[] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"};
constexpr std::string_view fim_separator_texts[] = {"<|file_sep|>"};

/// The id a vocabulary names, or the first token with one of the texts, which becomes a control token.
std::optional<std::int32_t> named_or_found(std::optional<std::int32_t> named, Texts texts, TokenTable& table) {
  if (named) return named;
  for (std::string_view text : texts) {
    if (auto id = table.find(text)) {
      table.set_type(*id, TokenType::control);
      return id;
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::int32_t> end_markers(const Vocabulary& vocabulary, TokenTable& table) {
  std::set<std::int32_t> ends;
  auto enter = [&ends](std::optional<std::int32_t> id) {
    if (id) ends.insert(*id);
  };
  named_or_found(vocabulary.fim_prefix, fim_prefix_texts, table);
  named_or_found(vocabulary.fim_suffix, fim_suffix_texts, table);
  named_or_found(vocabulary.fim_middle, fim_middle_texts, table);
  enter(named_or_found(vocabulary.fim_pad, fim_pad_texts, table));
  enter(named_or_found(vocabulary.fim_repo, fim_repo_texts, table));
  enter(named_or_found(vocabulary.fim_separator, fim_separator_texts, table));
  enter(vocabulary.eos), enter(vocabulary.eot), enter(vocabulary.eom);

  for (std::string_view text : end_texts) {
    auto id = table.find(text);
    if (!id) continue;
    table.set_type(*id, TokenType::control);
    ends.insert(*id);
  }

  auto has = [&](std::string_view text) {
    auto id = table.find(text);
    return id && ends.contains(*id);
  };
  // The markers of the harmony format separate channels that the caller must see.
  for (std::string_view text : {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"})
    if (auto id = table.find(text)) table.set_type(*id, TokenType::user_defined);
  // There <|end|> ends one message of several (harmony, Solar), not the turn.
  if (has("<|end|>") && ((has("<|return|>") && has("<|call|>")) || (has("<|calls|>") && has("<|flush|>")))) {
    ends.erase(*table.find("<|end|>"));
    table.set_type(*table.find("<|end|>"), TokenType::user_defined);
  }
  // There </s> is ordinary markup (Gemma 4).
  if (has("<|tool_response>") && has("</s>")) {
    ends.erase(*table.find("</s>"));
    table.set_type(*table.find("</s>"), TokenType::normal);
  }
  return {ends.begin(), ends.end()};
}

StripRule strip_rule(const Vocabulary& vocabulary, const TokenTable& table) {
  std::string name = vocabulary.name;
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  auto contains = [](std::string_view text, std::initializer_list<std::string_view> parts) {
    return std::any_of(parts.begin(), parts.end(), [text](std::string_view p) { return text.find(p) != text.npos; });
  };
  if (contains(vocabulary.pre, {"jina-v2-de", "jina-v2-es", "jina-v2-code"}) ||
      contains(vocabulary.architecture, {"nomic-bert-moe", "jina-bert-v3"}))
    return {.mask_left = table.find("<mask>")};
  if (contains(name, {"phi-3", "phi3"})) return {.all_right = true, .mask_left = {}};
  if (contains(name, {"modern-bert"})) return {.mask_left = table.find("[MASK]")};
  return {};
}

Strip StripRule::operator()(std::int32_t id, const TokenTable& table) const {
  if (id == mask_left) return {.left = true};
  std::string_view text = table.text(id);
  return {.right = all_right && text != "<unk>" && text != "<s>" && text != "<|endoftext|>"};
}

}  // namespace strata::text
