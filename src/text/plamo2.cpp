// Owns: PLaMo 2's tokenizer (`plamo2`): the segmentation of the lowest cost, searched from the end of the text.
// Source: the model's published tokenization_plamo.py (Preferred Networks).
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/text.h"
#include "text/base_tokenizer.h"
#include "text/byte_token.h"
#include "text/prefix_trie.h"
#include "text/utf8.h"

namespace strata::text {

namespace {

constexpr std::int64_t unknown_cost = 10'000'000;  // of a character that becomes byte tokens
constexpr double score_units = 1e4;

struct Plamo2Parts {
  PrefixTrie tokens;                ///< all but the byte tokens
  std::vector<std::int64_t> costs;  ///< by token
  std::array<std::int32_t, 256> bytes{};
};

class Plamo2Tokenizer final : public BaseTokenizer {
 public:
  Plamo2Tokenizer(Lexicon lexicon, Plamo2Parts parts) : BaseTokenizer(std::move(lexicon)), parts_(std::move(parts)) {}

 protected:
  Result<void> encode_raw(std::string_view raw, bool, std::vector<std::int32_t>& out) const override {
    std::string text = loosely_normalized(raw);
    if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // the byte order mark
    struct Best {
      std::int64_t cost = INT64_MAX;
      std::uint32_t length = 0;
      std::int32_t token = -1;  ///< -1: byte tokens
    };
    std::vector<Best> best(text.size() + 1);  // of the text from there on
    best[text.size()].cost = 0;
    for (std::size_t at = text.size(); at-- > 0;) {
      if (announced_length(text[at]) == 1 && static_cast<unsigned char>(text[at]) >= 0x80) continue;  // within a character
      std::uint32_t node = PrefixTrie::root;
      for (std::size_t end = at; end < text.size();) {
        node = parts_.tokens.child(node, text[end++]);
        if (node == PrefixTrie::none) break;
        std::int32_t token = parts_.tokens.value(node);
        if (token < 0 || best[end].cost == INT64_MAX) continue;
        std::int64_t cost = best[end].cost + parts_.costs[static_cast<std::size_t>(token)];
        // Of equals the longest.
        if (cost <= best[at].cost) best[at] = {cost, static_cast<std::uint32_t>(end - at), token};
      }
      std::size_t length = announced_length(text[at]);
      if (std::int64_t cost = best[at + length].cost + unknown_cost; cost < best[at].cost)
        best[at] = {cost, static_cast<std::uint32_t>(length), -1};
    }
    for (std::size_t at = 0; at < text.size(); at += best[at].length) {
      if (best[at].token >= 0) {
        out.push_back(best[at].token);
        continue;
      }
      for (std::size_t i = 0; i < best[at].length; ++i) out.push_back(parts_.bytes[static_cast<unsigned char>(text[at + i])]);
    }
    return {};
  }

  void append_plain(std::int32_t token, std::string& out) const override {
    std::string_view text = table().text(token);
    if (auto byte = table().type(token) == TokenType::byte ? spelt_byte(text) : std::nullopt) {
      out += static_cast<char>(*byte);
    } else {
      out += text;
    }
  }

 private:
  Plamo2Parts parts_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> create_plamo2(Vocabulary vocabulary) {
  if (auto ok = check_scores(vocabulary); !ok) return ok.error();
  Plamo2Parts parts;
  const std::vector<float> scores = std::move(vocabulary.scores);
  const std::vector<TokenType> types = vocabulary.types;  // as the file has them
  vocabulary.add_space_prefix = vocabulary.add_bos = vocabulary.add_eos = false;
  auto lexicon = Lexicon::create(vocabulary, {.bos = 1, .eos = 2, .unknown = 0, .padding = 3});
  if (!lexicon) return lexicon.error();
  for (std::int32_t id = 0; id < lexicon->table.size(); ++id) {
    auto at = static_cast<std::size_t>(id);
    double units = std::round(static_cast<double>(scores[at]) * score_units);
    parts.costs.push_back(std::isfinite(units) ? static_cast<std::int64_t>(std::clamp(-units, -2e9, 2e9)) : 0);
    bool is_byte = !types.empty() && types[at] == TokenType::byte;
    if (!is_byte && std::isfinite(units) && units > -2e7) parts.tokens.insert(lexicon->table.text(id), id);
  }
  for (int byte = 0; byte < 256; ++byte) {
    auto id = lexicon->table.find(byte_spelling(byte));
    if (!id) return fail(ErrorCode::bad_file, "tokenizer.ggml.tokens: ", byte_spelling(byte), " is missing");
    parts.bytes[static_cast<std::size_t>(byte)] = *id;
  }
  return std::unique_ptr<Tokenizer>(std::make_unique<Plamo2Tokenizer>(std::move(*lexicon), std::move(parts)));
}

}  // namespace strata::text
