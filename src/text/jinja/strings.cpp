// Owns: the marks of conversation text, code points and searching.
#include "text/jinja/strings.h"

#include <algorithm>

#include "text/unicode.h"

namespace strata::text::jinja {

char32_t character_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + i])); };
  switch (character_bytes(text[at])) {
    case 1: return byte(0);
    case 2: return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
    case 3: return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    default: return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
  }
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
}

bool is_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }
bool is_printable(char32_t c) {
  const Category kind = category(c);
  return c == ' ' || (kind != Category::unassigned && kind != Category::separator && kind != Category::control);
}

bool TextBuilder::room(std::size_t bytes) {
  if (!machine_.spend_bytes(bytes) || !machine_.reserve(bytes)) return false;
  taken_ += bytes;
  return true;
}

void TextBuilder::mark(std::size_t begin, std::size_t end) {
  if (begin == end) return;
  if (!content_.empty() && content_.back().end == begin) content_.back().end = end;
  else if (room(sizeof(Span))) content_.push_back({begin, end});
}

void TextBuilder::append(std::string_view bytes, bool content) {
  if (!room(bytes.size())) return;
  const std::size_t begin = bytes_.size();
  bytes_ += bytes;
  if (content) mark(begin, bytes_.size());
}

void TextBuilder::append(const String& text, std::size_t begin, std::size_t end) {
  if (!room(end - begin)) return;
  const std::size_t shift = bytes_.size();
  bytes_.append(text.bytes, begin, end - begin);
  auto span =
      std::partition_point(text.content.begin(), text.content.end(), [&](const Span& s) { return s.end <= begin; });
  for (; span != text.content.end() && span->begin < end; ++span)
    mark(shift + std::max(span->begin, begin) - begin, shift + std::min(span->end, end) - begin);
}

Value TextBuilder::finish(bool markup) {
  const std::uint64_t fixed = sizeof(String) + 32;
  if (!machine_.reserve(fixed)) return {};
  auto out = std::make_shared<String>();
  out->charge = machine_.charge(std::exchange(taken_, 0) + fixed);
  out->length = count_characters(bytes_);
  out->bytes = std::move(bytes_);
  out->content = std::move(content_);
  out->markup = markup;
  bytes_.clear(), content_.clear();
  return Value::of(std::shared_ptr<const String>(std::move(out)));
}

bool fits(Machine& machine, std::int64_t copies, std::size_t bytes) {
  if (copies <= 0 || bytes == 0) return true;
  const std::uint64_t most = machine.limits().memory;
  const auto count = static_cast<std::uint64_t>(copies);
  const std::uint64_t size = count > most / bytes ? most + 1 : count * bytes;
  if (!machine.reserve(size)) return false;
  Charge given_back = machine.charge(size);
  return true;
}

Value constant_text(std::string bytes) {
  auto out = std::make_shared<String>();
  out->length = count_characters(bytes);
  out->bytes = std::move(bytes);
  return Value::of(std::shared_ptr<const String>(std::move(out)));
}

Value substring(Machine& machine, const String& text, std::size_t begin, std::size_t end) {
  TextBuilder out(machine);
  out.append(text, begin, end);
  return out.finish(text.markup);
}

std::size_t byte_offset(const String& text, std::size_t index) {
  if (text.ascii()) return std::min(index, text.bytes.size());
  std::size_t at = 0;
  for (; index > 0 && at < text.bytes.size(); --index) at += character_bytes(text.bytes[at]);
  return at;
}

bool has_content(const String& text, std::size_t begin, std::size_t end) {
  return std::any_of(text.content.begin(), text.content.end(),
                     [&](const Span& s) { return s.begin < end && s.end > begin; });
}

namespace {

/// Knuth, Morris and Pratt (1977): never steps back in the text, so that no pair of texts takes quadratic time.
template <class Text, class Part>
std::size_t search(const Text& text, std::size_t text_size, const Part& part, std::size_t size) {
  std::vector<std::size_t> shift(size, 0);  // of each prefix, the longest proper end of it that begins the part
  for (std::size_t i = 1, k = 0; i < size; ++i) {
    while (k > 0 && part(i) != part(k)) k = shift[k - 1];
    if (part(i) == part(k)) ++k;
    shift[i] = k;
  }
  for (std::size_t i = 0, k = 0; i < text_size; ++i) {
    while (k > 0 && text(i) != part(k)) k = shift[k - 1];
    if (text(i) == part(k)) ++k;
    if (k == size) return i + 1 - size;
  }
  return std::string_view::npos;
}

/// Up to this many bytes the library's search is bounded well enough.
constexpr std::size_t short_part = 32;

}  // namespace

std::size_t find_text(std::string_view text, std::string_view part, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (part.size() <= short_part) return text.find(part, from);
  const std::string_view rest = text.substr(from);
  const std::size_t at =
      search([&](std::size_t i) { return rest[i]; }, rest.size(), [&](std::size_t i) { return part[i]; }, part.size());
  return at == std::string_view::npos ? at : at + from;
}

std::size_t find_last_text(std::string_view text, std::string_view part) {
  if (part.size() <= short_part) return text.rfind(part);
  const std::size_t at = search([&](std::size_t i) { return text[text.size() - 1 - i]; }, text.size(),
                                [&](std::size_t i) { return part[part.size() - 1 - i]; }, part.size());
  return at == std::string_view::npos ? at : text.size() - at - part.size();
}

}  // namespace strata::text::jinja
