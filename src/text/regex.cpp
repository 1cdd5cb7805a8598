// Owns: character classes, the determinization of a program, and the search loop.
// Source: Cox, "Regular Expression Matching in the Wild" (2010), for ordered subsets and the delayed match; Reps,
// "Maximal Munch Tokenization in Linear Time" (1998), for remembering hopeless places.
#include "text/regex.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/text.h"
#include "text/utf8.h"

namespace strata::text {

namespace {

constexpr std::size_t max_states = 1 << 16;
constexpr std::size_t worth_remembering = 256;  // bytes searched in vain beyond a match

}  // namespace

/// Subset construction. A state is the list of the program's steps that may come next, the preferred first. Looks at the
/// next character are kept in the list until that character is known; so is the match, which counts one step later.
class Determinizer {
 public:
  Determinizer(const Program& program, Regex& regex) : program_(program), regex_(regex), seen_(program.steps.size()) {}

  Result<void> run() {
    regex_.stride_ = regex_.classes_ + 1;
    state_of({});  // dead
    begin_list();
    follow(program_.start, nullptr);
    regex_.first_ = state_of(list_);
    for (std::uint32_t state = 0; state < states_.size(); ++state) {
      if (states_.size() > max_states) return fail(ErrorCode::unsupported, "regular expression: too many states");
      for (std::uint32_t c = 0; c < regex_.stride_; ++c) regex_.table_.push_back(transition(state, c));
    }
    return {};
  }

 private:
  using Steps = std::vector<std::uint32_t>;

  std::uint32_t state_of(const Steps& steps) {
    auto [at, fresh] = numbers_.try_emplace(steps, static_cast<std::uint32_t>(states_.size()));
    if (fresh) states_.push_back(steps);
    return at->second;
  }

  bool passes(const Step& step, std::uint32_t c) const {
    return c == regex_.classes_ ? step.at_end : regex_.in_set_[step.set][c];
  }

  void begin_list() {
    list_.clear();
    std::fill(seen_.begin(), seen_.end(), false);
    cut_ = false;
  }

  /// Appends what can be reached from `step` without consuming, best first. With the next character `c` known, looks are
  /// decided; without it they stay. Nothing is appended behind a match.
  void follow(std::uint32_t at, const std::uint32_t* c) {
    if (seen_[at] || cut_) return;
    seen_[at] = true;
    const Step& step = program_.steps[at];
    switch (step.kind) {
      case Step::Kind::fork:
        follow(step.next, c);
        follow(step.other, c);
        break;
      case Step::Kind::look:
        if (c == nullptr) list_.push_back(at);
        else if (passes(step, *c)) follow(step.next, c);
        break;
      case Step::Kind::match: cut_ = true; [[fallthrough]];
      case Step::Kind::consume: list_.push_back(at); break;
    }
  }

  std::uint32_t transition(std::uint32_t state, std::uint32_t c) {
    begin_list();
    const Steps before = states_[state];
    for (std::uint32_t at : before) follow(at, &c);
    Steps known;
    std::swap(known, list_);
    bool match = cut_;
    begin_list();
    for (std::uint32_t at : known) {
      const Step& step = program_.steps[at];
      if (step.kind == Step::Kind::consume && c != regex_.classes_ && passes(step, c)) follow(step.next, nullptr);
    }
    return state_of(list_) << 1 | (match ? 1u : 0u);
  }

  const Program& program_;
  Regex& regex_;
  std::vector<bool> seen_;
  bool cut_ = false;
  Steps list_;
  std::vector<Steps> states_;
  std::map<Steps, std::uint32_t> numbers_;
};

Result<Regex> Regex::compile(std::string_view pattern) {
  auto program = parse_pattern(pattern);
  if (!program) return program.error();
  Regex out;
  if (auto done = out.classify(*program); !done) return done.error();
  if (auto done = Determinizer(*program, out).run(); !done) return done.error();
  for (std::size_t byte = 0; byte < out.begins_.size(); ++byte)
    out.begins_[byte] = out.table_[out.first_ * out.stride_ + out.ascii_[byte]] >> 1 != 0;
  return out;
}

/// Characters that no set of the program tells apart are one class.
Result<void> Regex::classify(const Program& program) {
  std::map<char32_t, std::uint64_t> changes{{0, 0}, {max_code + 1, 0}};  // sets entered or left at a character
  for (std::size_t i = 0; i < program.sets.size(); ++i) {
    for (const CodeRange& range : program.sets[i]) {
      changes[range.begin] ^= std::uint64_t{1} << i;
      changes[range.end] ^= std::uint64_t{1} << i;
    }
  }
  std::map<std::uint64_t, std::uint8_t> class_of_sets;
  std::vector<std::uint8_t> classes(max_code + 1);
  std::uint64_t sets = 0;
  for (auto at = changes.begin(); at->first <= max_code; ++at) {
    sets ^= at->second;
    auto [row, fresh] = class_of_sets.try_emplace(sets, static_cast<std::uint8_t>(class_of_sets.size()));
    if (class_of_sets.size() > 250) return fail(ErrorCode::unsupported, "regular expression: too many classes of characters");
    std::fill(classes.begin() + at->first, classes.begin() + std::next(at)->first, row->second);
  }
  classes_ = static_cast<std::uint32_t>(class_of_sets.size());
  in_set_.assign(program.sets.size(), std::vector<bool>(classes_));
  for (auto [members, number] : class_of_sets)
    for (std::size_t i = 0; i < program.sets.size(); ++i) in_set_[i][number] = members >> i & 1;
  std::copy_n(classes.begin(), ascii_.size(), ascii_.begin());
  std::map<std::string_view, std::uint16_t> rows;
  std::string_view before;
  for (std::size_t at = 0; at < classes.size(); at += block) {
    std::string_view row(reinterpret_cast<const char*>(&classes[at]), block);
    if (row == before) {
      block_of_.push_back(block_of_.back());
      continue;
    }
    auto [known, fresh] = rows.try_emplace(row, static_cast<std::uint16_t>(rows.size()));
    if (fresh) blocks_.insert(blocks_.end(), row.begin(), row.end());
    block_of_.push_back(known->second);
    before = row;
  }
  return {};
}

inline std::uint8_t Regex::class_of(std::string_view text, std::size_t at, std::size_t& length) const {
  auto lead = static_cast<unsigned char>(text[at]);
  if (lead < 0x80) {
    length = 1;
    return ascii_[lead];
  }
  LooseChar c = loose_char(text, at);
  length = c.length;
  return blocks_[block_of_[c.code / block] * block + c.code % block];
}

template <bool careful>
Regex::Found Regex::search(std::string_view text, std::size_t from, const Hopeless& hopeless) const {
  std::uint32_t state = first_;
  std::size_t end = from, at = from;
  while (at < text.size()) {
    if (careful && state == hopeless.state && at >= hopeless.begin && at < hopeless.end) return {end, at};
    std::size_t length;
    std::uint32_t entry = table_[state * stride_ + class_of(text, at, length)];
    if (entry & 1) end = at;
    state = entry >> 1;
    if (state == 0) return {end, at};
    at += length;
  }
  if (table_[state * stride_ + classes_] & 1) end = text.size();
  return {end, text.size()};
}

/// A search from `from` went on far beyond its match. It may have stayed in one state at the end: then no later search
/// that comes to this state there can match, either.
Regex::Hopeless Regex::retrace(std::string_view text, std::size_t from, Found found) const {
  Hopeless out{first_, from, found.stopped};
  std::uint32_t state = first_;
  for (std::size_t at = from, length; at < found.stopped; at += length) {
    if (state != out.state || at == found.end) out = {state, at, found.stopped};
    state = table_[state * stride_ + class_of(text, at, length)] >> 1;
  }
  if (out.begin <= found.end) ++out.begin;
  return out;
}

void Regex::split(std::string_view text, std::vector<std::uint32_t>& ends) const {
  Hopeless hopeless;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (auto byte = static_cast<unsigned char>(text[at]); byte < 0x80 && !begins_[byte]) {
      ++at;
      continue;
    }
    Found found = at < hopeless.end ? search<true>(text, at, hopeless) : search<false>(text, at, hopeless);
    if (found.stopped > found.end + worth_remembering) {
      Hopeless seen = retrace(text, at, found);
      if (seen.end > hopeless.end || at >= hopeless.end) hopeless = seen;
    }
    if (found.end == at) {
      std::size_t length;
      class_of(text, at, length);
      at += length;
      continue;
    }
    if (at > done) ends.push_back(static_cast<std::uint32_t>(at));
    ends.push_back(static_cast<std::uint32_t>(found.end));
    at = done = found.end;
  }
  if (done < text.size()) ends.push_back(static_cast<std::uint32_t>(text.size()));
}

}  // namespace strata::text
