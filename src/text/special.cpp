// Owns: the special-token partition.
#include "text/special.h"

#include <algorithm>
#include <queue>

namespace strata::text {

namespace {

bool ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// The shapes that models give to the tokens between messages: <|im_end|>, <turn|>, <｜User｜>.
bool looks_like_marker(std::string_view text) {
  constexpr std::string_view bar = "\xEF\xBD\x9C";  // U+FF5C, DeepSeek's
  if (!text.starts_with('<') || !text.ends_with('>') || text.size() < 3) return false;
  const std::string_view inside = text.substr(1, text.size() - 2);
  return inside.starts_with('|') || inside.ends_with('|') || inside.starts_with(bar) || inside.ends_with(bar);
}

}  // namespace

SpecialTokens::SpecialTokens(const TokenTable& table, const std::function<Strip(std::int32_t)>& strip) {
  for (std::int32_t id = 0; id < table.size(); ++id) {
    TokenType type = table.type(id);
    if (type != TokenType::user_defined && type != TokenType::control && type != TokenType::unknown) continue;
    longest_ = std::max(longest_, table.text(id).size());
    Entry entry{table.text(id), id, strip ? strip(id) : Strip{}};
    all_.entries.push_back(entry);
    if (type != TokenType::user_defined) continue;
    user_defined_.entries.push_back(entry);
    if (!looks_like_marker(table.text(id))) plain_.entries.push_back(entry);
  }
  all_.build();
  user_defined_.build();
  plain_.build();
}

void SpecialTokens::Trie::build() {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.text < b.text; });
  for (std::uint32_t i = 0; i < entries.size(); ++i) {
    Range& range = by_first_byte[static_cast<unsigned char>(entries[i].text[0])];
    if (range.end == 0) range.begin = i;
    range.end = i + 1;
  }
}

const SpecialTokens::Entry* SpecialTokens::Trie::longest(std::string_view text, std::size_t limit) const {
  if (text.empty()) return nullptr;
  limit = std::min(limit, text.size());
  Range range = by_first_byte[static_cast<unsigned char>(text[0])];
  const Entry* best = nullptr;
  for (std::size_t depth = 1; range.begin < range.end && depth <= limit; ++depth) {
    // All entries of the range share the first `depth` bytes with the text; the shortest comes first.
    if (entries[range.begin].text.size() == depth) best = &entries[range.begin++];
    if (depth == limit) break;
    auto byte = static_cast<unsigned char>(text[depth]);
    auto at = [depth](const Entry& e) { return static_cast<unsigned char>(e.text[depth]); };
    auto first = entries.begin() + range.begin, last = entries.begin() + range.end;
    first = std::partition_point(first, last, [&](const Entry& e) { return at(e) < byte; });
    last = std::partition_point(first, last, [&](const Entry& e) { return at(e) == byte; });
    range = {static_cast<std::uint32_t>(first - entries.begin()), static_cast<std::uint32_t>(last - entries.begin())};
  }
  return best;
}

std::vector<Fragment> SpecialTokens::partition(std::string_view text, bool control, std::span<const ByteRange> content) const {
  const Trie& trie = control ? all_ : user_defined_;
  /// The longest token of at most `limit` bytes at a place: any that ends before the next content, or a plain one.
  const auto longest_at = [&](std::size_t at, std::size_t limit) {
    auto next = std::partition_point(content.begin(), content.end(), [at](const ByteRange& r) { return r.end <= at; });
    const std::size_t room = next == content.end() ? limit : next->begin > at ? std::min(limit, next->begin - at) : 0;
    const Entry* marker = room > 0 ? trie.longest(text.substr(at), room) : nullptr;
    const Entry* plain = room < limit ? plain_.longest(text.substr(at), limit) : nullptr;
    return !marker || (plain && plain->text.size() > marker->text.size()) ? plain : marker;
  };
  struct Match {
    const Entry* entry;
    std::size_t at;
    std::size_t begin = 0, end = 0;  // with the white space that it swallows
    // priority_queue keeps the greatest on top: the longest, then the lowest id, then the leftmost.
    bool operator<(const Match& o) const {
      if (entry->text.size() != o.entry->text.size()) return entry->text.size() < o.entry->text.size();
      if (entry->id != o.entry->id) return entry->id > o.entry->id;
      return at > o.at;
    }
  };
  std::vector<Match> found;
  for (std::size_t at = 0; at < text.size() && !trie.entries.empty(); ++at) {
    if (trie.by_first_byte[static_cast<unsigned char>(text[at])].end == 0) continue;
    if (const Entry* entry = longest_at(at, text.size() - at)) found.push_back({.entry = entry, .at = at});
  }
  if (found.empty()) return text.empty() ? std::vector<Fragment>{} : std::vector<Fragment>{{text, -1}};

  std::priority_queue<Match> queue({}, std::move(found));
  std::vector<bool> taken(text.size());
  std::vector<Match> chosen;
  while (!queue.empty()) {
    Match match = queue.top();
    queue.pop();
    if (taken[match.at]) continue;
    std::size_t length = match.entry->text.size();
    // Whatever is taken is at least as long as this match, or white space beside such a token, so an overlap covers one
    // of its two ends.
    if (taken[match.at + length - 1]) {
      if (const Entry* shorter = longest_at(match.at, length - 1)) queue.push({.entry = shorter, .at = match.at});
      continue;
    }
    match.begin = match.at;
    match.end = match.at + length;
    Strip strip = match.entry->strip;
    while (strip.left && match.begin > 0 && !taken[match.begin - 1] && ascii_space(text[match.begin - 1])) --match.begin;
    while (strip.right && match.end < text.size() && !taken[match.end] && ascii_space(text[match.end])) ++match.end;
    std::fill_n(taken.begin() + static_cast<std::ptrdiff_t>(match.begin), match.end - match.begin, true);
    chosen.push_back(match);
  }

  std::sort(chosen.begin(), chosen.end(), [](const Match& a, const Match& b) { return a.at < b.at; });
  std::vector<Fragment> out;
  std::size_t done = 0;
  for (const Match& match : chosen) {
    if (match.begin > done) out.push_back({text.substr(done, match.begin - done), -1});
    out.push_back({match.entry->text, match.entry->id});
    done = match.end;
  }
  if (done < text.size()) out.push_back({text.substr(done), -1});
  return out;
}

}  // namespace strata::text
