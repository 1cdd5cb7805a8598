// Owns: building a TokenTable from untrusted lists.
#include "text/token_table.h"

#include <utility>

#include "base/text.h"

namespace strata::text {

Result<TokenTable> TokenTable::create(std::vector<std::string_view> texts, std::vector<TokenType> types) {
  if (texts.empty()) return fail(ErrorCode::bad_file, "tokenizer.ggml.tokens: the vocabulary is empty");
  if (texts.size() > 0x7FFFFFFF)
    return fail(ErrorCode::bad_file, "tokenizer.ggml.tokens: ", texts.size(), " tokens; ids are 31-bit numbers");
  if (!types.empty() && types.size() != texts.size())
    return fail(ErrorCode::bad_file, "tokenizer.ggml.token_type: ", types.size(), " types for ", texts.size(), " tokens");
  TokenTable table;
  table.texts_ = std::move(texts);
  table.types_ = std::move(types);
  table.types_.resize(table.texts_.size(), TokenType::normal);
  table.index_ = StringIndex(table.texts_.size());
  for (std::size_t i = 0; i < table.texts_.size(); ++i) {
    if (table.texts_[i].empty()) table.texts_[i] = table.invented_.emplace_back(str("[EMPTY_", i, "]"));
    std::string_view text = table.texts_[i];
    std::uint32_t twin = table.index_.insert(hash_of(text), static_cast<std::uint32_t>(i),
                                             [&](std::uint32_t other) { return table.texts_[other] == text; });
    if (twin != StringIndex::none)
      return fail(ErrorCode::bad_file, "tokenizer.ggml.tokens: tokens ", twin, " and ", i, " have the same text \"",
                  table.texts_[i].substr(0, 100), "\"");
  }
  return table;
}

}  // namespace strata::text
