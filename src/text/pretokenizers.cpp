// Owns: the rows of the pre-tokenizer table. Source: the models' published tokenizer.json files (`pre_tokenizer`); the
// names and aliases are those of the GGUF converter.
#include "text/pretokenizers.h"

namespace strata::text {

namespace {

// `\s+(?![^\s])` takes a run of white space up to the character before the next word.
constexpr std::string_view gpt_2[] = {
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|[\s]+(?![^\s])|[\s]+)"};

constexpr std::string_view llama_3[] = {
    R"('[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|[\s]*[\r\n]+|[\s]+(?![^\s])|[\s]+)"};

constexpr std::string_view qwen_2[] = {
    R"('[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|[\s]*[\r\n]+|[\s]+(?![^\s])|[\s]+)"};

// As qwen2, with combining marks counted as letters.
constexpr std::string_view qwen_35[] = {
    R"('[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N})"
    R"(| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|[\s]*[\r\n]+|[\s]+(?![^\s])|[\s]+)"};

constexpr PreTokenizer table[] = {
    {.name = "llama-bpe", .patterns = llama_3, .ignore_merges = true, .add_bos = true, .clean_spaces = true},
    {.name = "llama3", .patterns = llama_3, .ignore_merges = true, .add_bos = true, .clean_spaces = true},
    {.name = "llama-v3", .patterns = llama_3, .ignore_merges = true, .add_bos = true, .clean_spaces = true},
    {.name = "qwen2", .patterns = qwen_2},
    {.name = "deepseek-r1-qwen", .patterns = qwen_2},
    {.name = "qwen35", .patterns = qwen_35},
    {.name = "gpt-2", .patterns = gpt_2, .clean_spaces = true},
};

}  // namespace

const PreTokenizer* find_pretokenizer(std::string_view name) {
  for (const PreTokenizer& row : table)
    if (row.name == name) return &row;
  return nullptr;
}

std::string pretokenizer_names() {
  std::string out;
  for (const PreTokenizer& row : table) (out += out.empty() ? "" : ", ") += row.name;
  return out;
}

}  // namespace strata::text
