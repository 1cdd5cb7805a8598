// Owns: checking and converting the `tokenizer.ggml.*` keys. Source: the GGUF specification, "Tokenizer".
#include "runtime/vocabulary.h"

#include <initializer_list>
#include <string>
#include <utility>

#include "base/text.h"

namespace strata {

namespace {

using gguf::Value;
using gguf::ValueType;

constexpr std::uint64_t max_tokens = 0x7FFFFFFF;

std::string key_of(std::string_view name) { return str("tokenizer.ggml.", name); }

/// An array of that key, or null where the file has no such key.
Result<const Value*> find_array(const gguf::File& file, const std::string& key) {
  const Value* value = file.find(key);
  if (value != nullptr && value->type() != ValueType::array)
    return fail(ErrorCode::bad_file, key, ": is of type ", gguf::name(value->type()), ", not an array");
  return value;
}

Result<std::vector<std::string_view>> read_strings(const gguf::File& file, std::string_view name) {
  std::string key = key_of(name);
  auto array = find_array(file, key);
  if (!array) return array.error();
  if (*array == nullptr) return fail(ErrorCode::bad_file, key, ": missing; the file's tokenizer cannot be built without it");
  const Value& value = **array;
  if (value.count() > max_tokens) return fail(ErrorCode::bad_file, key, ": ", value.count(), " elements are too many");
  if (value.count() > 0 && value.element_type() != ValueType::string)
    return fail(ErrorCode::bad_file, key, ": is an array of ", gguf::name(value.element_type()), ", not of strings");
  std::vector<std::string_view> out;
  out.reserve(value.count());
  for (std::uint64_t i = 0; i < value.count(); ++i) {
    auto text = value.element(i).as_string();
    if (!text) return fail(ErrorCode::bad_file, key, ": element ", i, " is not a string");
    out.push_back(*text);
  }
  return out;
}

/// One number per token, or none at all; `convert(element)` gives an optional.
template <class T, class Convert>
Result<std::vector<T>> read_numbers(const gguf::File& file, std::string_view name, std::size_t tokens,
                                    std::string_view wanted, Convert convert) {
  std::string key = key_of(name);
  auto array = find_array(file, key);
  if (!array) return array.error();
  std::vector<T> out;
  if (*array == nullptr) return out;
  const Value& value = **array;
  if (value.count() != tokens)
    return fail(ErrorCode::bad_file, key, ": ", value.count(), " elements for ", tokens, " tokens");
  out.reserve(tokens);
  for (std::uint64_t i = 0; i < value.count(); ++i) {
    auto number = convert(value.element(i));
    if (!number)
      return fail(ErrorCode::bad_file, key, ": element ", i, " (the array is of ", gguf::name(value.element_type()),
                  ") is not ", wanted);
    out.push_back(static_cast<T>(*number));
  }
  return out;
}

struct IdKey {
  std::string_view name;
  std::optional<std::int32_t> text::Vocabulary::*member;
};
// Later rows of one member are its older names: they count only where the newer one is missing.
constexpr IdKey id_keys[] = {
    {"bos_token_id", &text::Vocabulary::bos},
    {"eos_token_id", &text::Vocabulary::eos},
    {"eot_token_id", &text::Vocabulary::eot},
    {"eom_token_id", &text::Vocabulary::eom},
    {"unknown_token_id", &text::Vocabulary::unknown},
    {"seperator_token_id", &text::Vocabulary::separator},  // spelt so in the format
    {"padding_token_id", &text::Vocabulary::padding},
    {"mask_token_id", &text::Vocabulary::mask},
    {"fim_pre_token_id", &text::Vocabulary::fim_prefix},
    {"fim_suf_token_id", &text::Vocabulary::fim_suffix},
    {"fim_mid_token_id", &text::Vocabulary::fim_middle},
    {"fim_pad_token_id", &text::Vocabulary::fim_pad},
    {"fim_rep_token_id", &text::Vocabulary::fim_repo},
    {"fim_sep_token_id", &text::Vocabulary::fim_separator},
    {"prefix_token_id", &text::Vocabulary::fim_prefix},
    {"suffix_token_id", &text::Vocabulary::fim_suffix},
    {"middle_token_id", &text::Vocabulary::fim_middle},
};

Result<void> read_ids(const gguf::File& file, text::Vocabulary& out) {
  for (const IdKey& row : id_keys) {
    std::string key = key_of(row.name);
    const Value* value = file.find(key);
    if (value == nullptr || out.*row.member) continue;
    auto id = value->as_signed();
    if (!id) return fail(ErrorCode::bad_file, key, ": is of type ", gguf::name(value->type()), ", not a token id");
    if (*id == 0xFFFFFFFF) id = -1;
    if (*id < -1 || *id >= static_cast<std::int64_t>(out.tokens.size()))
      return fail(ErrorCode::bad_file, key, ": ", *id, " is no token of the ", out.tokens.size(), " in the vocabulary");
    out.*row.member = static_cast<std::int32_t>(*id);
  }
  return {};
}

Result<void> read_flags(const gguf::File& file, text::Vocabulary& out) {
  using Flag = std::pair<std::string_view, std::optional<bool>*>;
  std::optional<bool> merge_spaces;
  for (auto [name, flag] : {Flag{"add_bos_token", &out.add_bos}, Flag{"add_eos_token", &out.add_eos},
                            Flag{"add_space_prefix", &out.add_space_prefix},
                            Flag{"remove_extra_whitespaces", &merge_spaces},
                            Flag{"normalizer.lowercase", &out.lower_case},
                            Flag{"normalizer.strip_accents", &out.strip_accents}}) {
    std::string key = key_of(name);
    const Value* value = file.find(key);
    if (value == nullptr) continue;
    *flag = value->as_bool();
    if (!*flag) return fail(ErrorCode::bad_file, key, ": is of type ", gguf::name(value->type()), ", not a boolean");
  }
  out.remove_extra_whitespaces = merge_spaces.value_or(false);
  return {};
}

/// The bytes of the file's array, which the file keeps.
Result<void> read_charsmap(const gguf::File& file, text::Vocabulary& out) {
  std::string key = key_of("precompiled_charsmap");
  auto array = find_array(file, key);
  if (!array) return array.error();
  if (*array == nullptr) return {};
  auto bytes = (*array)->as_bytes();
  if (!bytes) return fail(ErrorCode::bad_file, key, ": is an array of ", gguf::name((*array)->element_type()), ", not of bytes");
  out.charsmap = *bytes;
  return {};
}

Result<std::string> read_text(const gguf::File& file, const std::string& key) {
  const Value* value = file.find(key);
  if (value == nullptr) return std::string();
  auto text = value->as_string();
  if (!text) return fail(ErrorCode::bad_file, key, ": is of type ", gguf::name(value->type()), ", not a string");
  return std::string(*text);
}

}  // namespace

Result<text::Vocabulary> read_vocabulary(const gguf::File& file) {
  text::Vocabulary out;
  auto model = read_text(file, key_of("model"));
  if (!model) return model.error();
  if (model->empty() || *model == "none" || *model == "no_vocab")
    return fail(ErrorCode::unsupported, "tokenizer.ggml.model: ", model->empty() ? "missing" : *model,
                "; this file has no tokenizer, so it takes token ids only");
  auto pre = read_text(file, key_of("pre"));
  if (!pre) return pre.error();
  out.model = std::move(*model);
  out.pre = std::move(*pre);
  if (auto name = read_text(file, "general.name")) out.name = std::move(*name);
  if (auto architecture = read_text(file, "general.architecture")) out.architecture = std::move(*architecture);

  auto tokens = read_strings(file, "tokens");
  if (!tokens) return tokens.error();
  out.tokens = std::move(*tokens);
  auto scores = read_numbers<float>(file, "scores", out.tokens.size(), "a number", [](Value v) { return v.as_float(); });
  if (!scores) return scores.error();
  out.scores = std::move(*scores);
  auto types = read_numbers<text::TokenType>(file, "token_type", out.tokens.size(), "a token type of 0 to 6",
                                             [](Value v) -> std::optional<std::uint8_t> {
                                               auto type = v.as_unsigned();
                                               if (!type || *type > 6) return std::nullopt;
                                               return static_cast<std::uint8_t>(*type);
                                             });
  if (!types) return types.error();
  out.types = std::move(*types);
  bool optional_merges = out.pre == "kimi-k2" && file.find(key_of("merges")) == nullptr;
  if ((out.model == "gpt2" && !optional_merges) || out.model == "gemma4") {
    auto merges = read_strings(file, "merges");
    if (!merges) return merges.error();
    out.merges = std::move(*merges);
  }
  if (auto done = read_charsmap(file, out); !done) return done.error();
  if (auto done = read_ids(file, out); !done) return done.error();
  if (auto done = read_flags(file, out); !done) return done.error();
  return out;
}

}  // namespace strata
