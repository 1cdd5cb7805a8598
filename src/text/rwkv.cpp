// Owns: the greedy tokenizer of RWKV World (`rwkv`): the longest token at each place, over bytes.
// Source: Peng et al., "Eagle and Finch: RWKV with Matrix-Valued States" (arXiv:2404.05892), section 5.
#include <utility>

#include "base/text.h"
#include "text/base_tokenizer.h"
#include "text/prefix_trie.h"

namespace strata::text {

namespace {

int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

/// The bytes of a token: its text is spelt as in Python source, with \t, \n, \r, \xHH and a backslash before others.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    char c = text[++i];
    int high = c == 'x' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) {
      out += static_cast<char>(static_cast<unsigned char>(high * 16 + low));
      i += 2;
    } else {
      out += c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
    }
  }
  return out;
}

class RwkvTokenizer final : public BaseTokenizer {
 public:
  explicit RwkvTokenizer(Lexicon lexicon) : BaseTokenizer(std::move(lexicon)) {
    for (std::int32_t id = 0; id < table().size(); ++id)
      if (std::string bytes = unescaped(table().text(id)); !bytes.empty()) trie_.insert(bytes, id);
  }

 protected:
  Result<void> encode_raw(std::string_view text, bool, std::vector<std::int32_t>& out) const override {
    for (std::size_t at = 0; at < text.size();) {
      std::size_t best = at + 1;
      std::int32_t token = lexicon().unknown.value_or(-1);
      std::uint32_t node = PrefixTrie::root;
      for (std::size_t end = at; end < text.size();) {
        node = trie_.child(node, text[end++]);
        if (node == PrefixTrie::none) break;
        if (trie_.value(node) >= 0) token = trie_.value(node), best = end;
      }
      if (token >= 0) out.push_back(token);
      at = best;
    }
    return {};
  }

  void append_plain(std::int32_t token, std::string& out) const override { out += unescaped(table().text(token)); }

 private:
  PrefixTrie trie_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> create_rwkv(Vocabulary vocabulary) {
  vocabulary.add_space_prefix = vocabulary.add_bos = vocabulary.add_eos = false;
  auto lexicon = Lexicon::create(vocabulary, {});
  if (!lexicon) return lexicon.error();
  return std::unique_ptr<Tokenizer>(std::make_unique<RwkvTokenizer>(std::move(*lexicon)));
}

}  // namespace strata::text
