// Owns: the pattern parser: recursive descent to a tree, then to steps, back to front.
#include "text/regex_program.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/text.h"
#include "text/utf8.h"

namespace strata::text {

namespace {

constexpr int unlimited = -1;
constexpr int max_repeat = 1000;
constexpr int max_depth = 50;

struct Node {
  enum class Kind : std::uint8_t { set, look, sequence, choice, repeat };
  Kind kind = Kind::sequence;
  bool at_end = false;
  std::uint16_t set = 0;
  int min = 0, max = 0;
  std::vector<std::unique_ptr<Node>> parts;
};
using NodePtr = std::unique_ptr<Node>;

CharSet normal(CharSet ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const CodeRange& a, const CodeRange& b) { return a.begin < b.begin; });
  CharSet out;
  for (const CodeRange& range : ranges) {
    if (!out.empty() && range.begin <= out.back().end) {
      out.back().end = std::max(out.back().end, range.end);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

CharSet inverse(const CharSet& set) {
  CharSet out;
  char32_t begin = 0;
  for (const CodeRange& range : set) {
    if (range.begin > begin) out.push_back({begin, range.begin});
    begin = range.end;
  }
  if (begin <= max_code) out.push_back({begin, max_code + 1});
  return out;
}

class Parser {
 public:
  explicit Parser(std::string_view pattern) : pattern_(pattern) {}

  Result<Program> parse() {
    NodePtr tree = choice();
    if (error_.empty() && at_ < pattern_.size()) error_ = "an unmatched )";
    if (!error_.empty())
      return fail(ErrorCode::invalid_argument, "regular expression: ", error_, " at byte ", at_, " of ", pattern_);
    program_.steps.push_back({.kind = Step::Kind::match});
    program_.start = emit(*tree, 0);
    return std::move(program_);
  }

 private:
  bool more() const { return error_.empty() && at_ < pattern_.size(); }
  bool take(std::string_view text) {
    if (!pattern_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }
  NodePtr make(Node::Kind kind) {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    return node;
  }

  NodePtr choice() {
    NodePtr out = make(Node::Kind::choice);
    if (++depth_ > max_depth) error_ = "too many nested groups";
    do out->parts.push_back(sequence());
    while (error_.empty() && take("|"));
    --depth_;
    return out;
  }

  NodePtr sequence() {
    NodePtr out = make(Node::Kind::sequence);
    while (more() && pattern_[at_] != '|' && pattern_[at_] != ')') {
      NodePtr part = atom();
      if (more()) part = quantified(std::move(part));
      out->parts.push_back(std::move(part));
    }
    return out;
  }

  NodePtr atom() {
    if (take("(?!")) return look(true);
    if (take("(?=")) return look(false);
    if (take("\\z")) {
      NodePtr node = make(Node::Kind::look);
      node->at_end = true;
      node->set = add({});
      return node;
    }
    if (take("(?:") || take("(")) {
      NodePtr node = choice();
      if (error_.empty() && !take(")")) error_ = "a missing )";
      return node;
    }
    NodePtr node = make(Node::Kind::set);
    node->set = add(one_set());
    return node;
  }

  /// The rest of (?=X) or (?!X), where X is one character or set.
  NodePtr look(bool negative) {
    NodePtr node = make(Node::Kind::look);
    CharSet set = one_set();
    node->set = add(negative ? inverse(set) : set);
    node->at_end = negative;
    if (error_.empty() && !take(")")) error_ = "a look-ahead of more than one character";
    return node;
  }

  NodePtr quantified(NodePtr part) {
    int min = 1, max = 1;
    if (take("?")) min = 0;
    else if (take("*")) min = 0, max = unlimited;
    else if (take("+")) max = unlimited;
    else if (take("{")) {
      min = max = number();
      if (take(",")) max = number();
      if (error_.empty() && (!take("}") || max < min || max == 0)) error_ = "a wrong {m,n}";
    } else return part;
    NodePtr out = make(Node::Kind::repeat);
    out->min = min;
    out->max = max;
    out->parts.push_back(std::move(part));
    return out;
  }

  int number() {
    int value = 0;
    std::size_t first = at_;
    for (; at_ < pattern_.size() && pattern_[at_] >= '0' && pattern_[at_] <= '9' && value <= max_repeat; ++at_)
      value = value * 10 + (pattern_[at_] - '0');
    if (at_ == first || value > max_repeat) error_ = "a wrong number of repetitions";
    return value;
  }

  CharSet one_set() {
    if (!more()) {
      if (error_.empty()) error_ = "an early end";
      return {};
    }
    if (take("[")) return bracket();
    if (std::string_view("*+?{").find(pattern_[at_]) != std::string_view::npos) error_ = "nothing to repeat";
    return item();
  }

  CharSet bracket() {
    bool negative = take("^");
    CharSet all;
    while (more() && pattern_[at_] != ']') {
      CharSet part = item();
      bool single = part.size() == 1 && part[0].end - part[0].begin == 1;
      if (single && at_ + 1 < pattern_.size() && pattern_[at_] == '-' && pattern_[at_ + 1] != ']') {
        ++at_;
        CharSet last = item();
        if (last.size() != 1 || last[0].end <= part[0].begin) {
          error_ = "a wrong range";
        } else {
          part[0].end = last[0].end;
        }
      }
      all.insert(all.end(), part.begin(), part.end());
    }
    if (error_.empty() && !take("]")) error_ = "a missing ]";
    all = normal(std::move(all));
    return negative ? inverse(all) : all;
  }

  /// One character, or one escape.
  CharSet item() {
    if (!more()) return {};
    if (pattern_[at_] == '\\') return escape();
    LooseChar c = loose_char(pattern_, at_);
    at_ += c.length;
    return {{c.code, c.code + 1}};
  }

  CharSet escape() {
    if (++at_ >= pattern_.size()) {
      error_ = "an early end";
      return {};
    }
    char c = pattern_[at_++];
    auto spaces = white_space_ranges();
    switch (c) {
      case 'r': return {{'\r', '\r' + 1}};
      case 'n': return {{'\n', '\n' + 1}};
      case 't': return {{'\t', '\t' + 1}};
      case 's': return {spaces.begin(), spaces.end()};
      case 'S': return inverse({spaces.begin(), spaces.end()});
      case 'p': return property();
      case 'x': return hexadecimal();
      default: break;
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) error_ = "an unknown escape";
    auto code = static_cast<char32_t>(static_cast<unsigned char>(c));
    return {{code, code + 1}};
  }

  CharSet property() {
    constexpr std::string_view letters = "LMNPSZ";
    std::size_t which = at_ + 2 < pattern_.size() ? letters.find(pattern_[at_ + 1]) : std::string_view::npos;
    if (which == std::string_view::npos || pattern_[at_] != '{' || pattern_[at_ + 2] != '}') {
      error_ = "an unknown property";
      return {};
    }
    at_ += 3;
    return normal(category_ranges(static_cast<Category>(which + 1)));
  }

  CharSet hexadecimal() {
    char32_t code = 0;
    bool good = take("{");
    for (; good && more() && pattern_[at_] != '}'; ++at_) {
      char c = pattern_[at_];
      int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
      good = digit >= 0 && code <= max_code;
      code = code * 16 + static_cast<char32_t>(digit);
    }
    if (!good || !take("}") || code > max_code) error_ = "a wrong \\x{}";
    return {{code, code + 1}};
  }

  std::uint16_t add(CharSet set) {
    auto equal = [&](const CharSet& other) {
      return std::equal(set.begin(), set.end(), other.begin(), other.end(),
                        [](const CodeRange& a, const CodeRange& b) { return a.begin == b.begin && a.end == b.end; });
    };
    auto found = std::find_if(program_.sets.begin(), program_.sets.end(), equal);
    auto at = static_cast<std::uint16_t>(found - program_.sets.begin());
    if (found == program_.sets.end()) program_.sets.push_back(std::move(set));
    if (program_.sets.size() > 64 && error_.empty()) error_ = "more than 64 different sets";
    return at;
  }

  std::uint32_t push(Step step) {
    program_.steps.push_back(step);
    return static_cast<std::uint32_t>(program_.steps.size() - 1);
  }

  /// The steps of `node`, going on to `next`; answers the first.
  std::uint32_t emit(const Node& node, std::uint32_t next) {
    switch (node.kind) {
      case Node::Kind::set: return push({.kind = Step::Kind::consume, .set = node.set, .next = next});
      case Node::Kind::look: return push({.kind = Step::Kind::look, .at_end = node.at_end, .set = node.set, .next = next});
      case Node::Kind::sequence:
        for (auto part = node.parts.rbegin(); part != node.parts.rend(); ++part) next = emit(**part, next);
        return next;
      case Node::Kind::choice: {
        std::uint32_t first = emit(*node.parts.back(), next);
        for (auto part = node.parts.rbegin() + 1; part != node.parts.rend(); ++part)
          first = push({.kind = Step::Kind::fork, .next = emit(**part, next), .other = first});
        return first;
      }
      case Node::Kind::repeat: break;
    }
    const Node& part = *node.parts[0];
    std::uint32_t after = next;
    if (node.max == unlimited) {
      std::uint32_t loop = push({.kind = Step::Kind::fork, .other = after});
      std::uint32_t body = emit(part, loop);
      program_.steps[loop].next = body;
      next = loop;
    } else {
      for (int i = node.min; i < node.max; ++i)
        next = push({.kind = Step::Kind::fork, .next = emit(part, next), .other = after});
    }
    for (int i = 0; i < node.min; ++i) next = emit(part, next);
    return next;
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::string error_;
  Program program_;
};

}  // namespace

Result<Program> parse_pattern(std::string_view pattern) { return Parser(pattern).parse(); }

}  // namespace strata::text
