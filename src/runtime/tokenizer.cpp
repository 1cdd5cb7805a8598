// Owns: the public Tokenizer and TextStream: the text layer over a file's vocabulary.
#include "runtime/state.h"
#include "runtime/vocabulary.h"

namespace strata {

namespace runtime {

Result<Tokenizer> make_tokenizer(std::shared_ptr<const gguf::File> file) {
  auto vocabulary = read_vocabulary(*file);
  if (!vocabulary) return vocabulary.error();
  auto tokenizer = text::Tokenizer::create(std::move(*vocabulary));
  if (!tokenizer) return tokenizer.error();
  auto state = std::make_shared<Tokenizer::State>();
  state->file = std::move(file);
  state->tokenizer = std::move(*tokenizer);
  return Tokenizer(std::move(state));
}

}  // namespace runtime

Result<Tokenizer> Tokenizer::load(const std::string& path) {
  auto file = gguf::File::open(path);
  if (!file) return file.error();
  return runtime::make_tokenizer(std::move(*file));
}

Result<std::vector<Token>> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<text::ByteRange> content;
  for (const TextRange& range : options.content) content.push_back({range.begin, range.end});
  return state_->tokenizer->encode(text, {options.add_special, options.parse_special, content});
}
Result<std::vector<Token>> Tokenizer::encode(const ChatPrompt& prompt) const {
  EncodeOptions options;
  options.add_special = false;  // the template has said what begins and ends
  options.content = prompt.content;
  auto out = encode(prompt.text, options);
  if (!out || !adds_bos() || !bos() || (!out->empty() && out->front() == *bos())) return out;
  out->insert(out->begin(), *bos());
  return out;
}
std::string Tokenizer::decode(std::span<const Token> tokens, bool special) const { return state_->tokenizer->decode(tokens, special); }
std::string Tokenizer::piece(Token token, bool special) const { return state_->tokenizer->piece(token, special); }
int Tokenizer::size() const { return state_->tokenizer->size(); }
std::optional<Token> Tokenizer::find(std::string_view text) const { return state_->tokenizer->find(text); }
std::string_view Tokenizer::token_text(Token token) const { return state_->tokenizer->token_text(token); }
std::optional<Token> Tokenizer::bos() const { return state_->tokenizer->bos(); }
std::optional<Token> Tokenizer::eos() const { return state_->tokenizer->eos(); }
bool Tokenizer::adds_bos() const { return state_->tokenizer->adds_bos(); }
bool Tokenizer::is_end_of_generation(Token token) const { return state_->tokenizer->is_end_of_generation(token); }
std::span<const Token> Tokenizer::end_of_generation() const { return state_->tokenizer->end_of_generation(); }

struct TextStream::State {
  std::shared_ptr<const Tokenizer::State> tokenizer;
  text::StreamDecoder decoder;
};

TextStream::TextStream(const Tokenizer& tokenizer, bool special, bool continues)
    : state_(new State{tokenizer.state_, text::StreamDecoder(*tokenizer.state_->tokenizer, special, continues)}) {}
TextStream::~TextStream() = default;
TextStream::TextStream(TextStream&&) noexcept = default;
TextStream& TextStream::operator=(TextStream&&) noexcept = default;
std::string TextStream::push(Token token) { return state_->decoder.push(token); }
std::string TextStream::finish() { return state_->decoder.finish(); }

}  // namespace strata
