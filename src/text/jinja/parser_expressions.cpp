// Owns: the grammar of expressions. Source: the Jinja documentation, "Expressions"; precedence as Jinja 3.1 parses it.
#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "text/jinja/parser.h"
#include "text/jinja/strings.h"

namespace strata::text::jinja {

namespace {

/// Nested brackets and operators of one expression, and nested blocks.
constexpr int max_height = 200;

int height(const ExpressionPtr& node) { return node ? node->height : 0; }
int height(const std::vector<ExpressionPtr>& nodes) {
  int out = 0;
  for (const auto& node : nodes) out = std::max(out, height(node));
  return out;
}
template <class Key>
int height(const std::vector<std::pair<Key, ExpressionPtr>>& nodes) {
  int out = 0;
  for (const auto& [key, node] : nodes) {
    out = std::max(out, height(node));
    if constexpr (std::is_same_v<Key, ExpressionPtr>) out = std::max(out, height(key));
  }
  return out;
}
int height(const CallArguments& a) {
  return std::max({height(a.positional), height(a.named), height(a.more_positional), height(a.more_named)});
}
int below(const Constant&) { return 0; }
int below(const Name&) { return 0; }
int below(const ListDisplay& n) { return height(n.items); }
int below(const DictDisplay& n) { return height(n.entries); }
int below(const Unary& n) { return height(n.operand); }
int below(const Binary& n) { return std::max(height(n.left), height(n.right)); }
int below(const Logical& n) { return std::max(height(n.left), height(n.right)); }
int below(const Comparison& n) { return std::max(height(n.first), height(n.rest)); }
int below(const Concatenation& n) { return height(n.parts); }
int below(const Conditional& n) { return std::max({height(n.condition), height(n.then), height(n.otherwise)}); }
int below(const Attribute& n) { return height(n.object); }
int below(const Item& n) { return std::max(height(n.object), height(n.key)); }
int below(const Slice& n) { return std::max({height(n.object), height(n.start), height(n.stop), height(n.step)}); }
int below(const Call& n) { return std::max(height(n.callee), height(n.arguments)); }
int below(const Filter& n) { return std::max(height(n.input), height(n.arguments)); }
int below(const Test& n) { return std::max(height(n.input), height(n.arguments)); }

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::text: return "text";
    case TokenKind::variable_begin: return "'{{'";
    case TokenKind::variable_end: return "'}}'";
    case TokenKind::block_begin: return "'{%'";
    case TokenKind::block_end: return "'%}'";
    case TokenKind::end: return "the end of the template";
    case TokenKind::string: return "a string";
    default: return str("'", token.text, "'");
  }
}

std::optional<Comparator> comparator(std::string_view symbol) {
  if (symbol == "==") return Comparator::equal;
  if (symbol == "!=") return Comparator::not_equal;
  if (symbol == "<") return Comparator::less;
  if (symbol == "<=") return Comparator::less_equal;
  if (symbol == ">") return Comparator::greater;
  if (symbol == ">=") return Comparator::greater_equal;
  return std::nullopt;
}

}  // namespace

void ExpressionParser::fail_at(int line, std::string message, ErrorCode code) {
  if (error_) return;
  error_ = syntax_error(line, message);
  error_->code = code;
  at_ = tokens_.size() - 1;
}

bool ExpressionParser::enter() {
  if (failed()) return false;
  if (depth_ >= max_height) return fail(str("expressions or blocks nest deeper than ", max_height)), false;
  ++depth_;
  return true;
}

bool ExpressionParser::take_symbol(std::string_view symbol) {
  if (!is_symbol(symbol)) return false;
  advance();
  return true;
}
bool ExpressionParser::take_name(std::string_view name) {
  if (!is_name(name)) return false;
  advance();
  return true;
}
void ExpressionParser::expect(TokenKind kind, std::string_view what) {
  if (is(kind)) advance();
  else fail(str("expected ", what, ", found ", describe(current())));
}
void ExpressionParser::expect_symbol(std::string_view symbol) {
  if (!take_symbol(symbol)) fail(str("expected '", symbol, "', found ", describe(current())));
}
void ExpressionParser::expect_name(std::string_view name) {
  if (!take_name(name)) fail(str("expected '", name, "', found ", describe(current())));
}
std::string ExpressionParser::identifier() {
  if (!is(TokenKind::name)) return fail(str("expected a name, found ", describe(current()))), std::string();
  std::string out = current().text;
  advance();
  return out;
}

template <class Node>
ExpressionPtr ExpressionParser::make(int line, Node node) {
  auto out = std::make_unique<Expression>();
  out->line = line;
  out->height = below(node) + 1;
  out->node = std::move(node);
  if (out->height > max_height) fail_at(line, str("an expression nests deeper than ", max_height));
  return out;
}

ExpressionPtr ExpressionParser::expression(bool conditional) {
  if (!enter()) return nullptr;
  int line = current().line;
  ExpressionPtr out = disjunction();
  while (conditional && take_name("if")) {
    ExpressionPtr condition = disjunction(), otherwise;
    if (take_name("else")) otherwise = expression();
    out = make(line, Conditional{std::move(condition), std::move(out), std::move(otherwise)});
    line = current().line;
  }
  leave();
  return out;
}

ExpressionPtr ExpressionParser::disjunction() {
  const int line = current().line;
  ExpressionPtr out = conjunction();
  while (take_name("or")) out = make(line, Logical{false, std::move(out), conjunction()});
  return out;
}

ExpressionPtr ExpressionParser::conjunction() {
  const int line = current().line;
  ExpressionPtr out = negation();
  while (take_name("and")) out = make(line, Logical{true, std::move(out), negation()});
  return out;
}

ExpressionPtr ExpressionParser::negation() {
  const int line = current().line;
  if (!is_name("not")) return comparison();
  advance();
  if (!enter()) return nullptr;
  ExpressionPtr out = make(line, Unary{'!', negation()});
  leave();
  return out;
}

ExpressionPtr ExpressionParser::comparison() {
  const int line = current().line;
  Comparison out{sum(), {}};
  for (;;) {
    const auto found = is(TokenKind::symbol) ? comparator(current().text) : std::nullopt;
    if (found) {
      advance();
      out.rest.emplace_back(*found, sum());
    } else if (take_name("in")) {
      out.rest.emplace_back(Comparator::in, sum());
    } else if (is_name("not") && ahead().kind == TokenKind::name && ahead().text == "in") {
      advance(), advance();
      out.rest.emplace_back(Comparator::not_in, sum());
    } else {
      return out.rest.empty() ? std::move(out.first) : make(line, std::move(out));
    }
  }
}

ExpressionPtr ExpressionParser::sum() {
  const int line = current().line;
  ExpressionPtr out = concatenation();
  while (is_symbol("+") || is_symbol("-")) {
    const Operator op = is_symbol("+") ? Operator::add : Operator::subtract;
    advance();
    out = make(line, Binary{op, std::move(out), concatenation()});
  }
  return out;
}

ExpressionPtr ExpressionParser::concatenation() {
  const int line = current().line;
  Concatenation out;
  do out.parts.push_back(product());
  while (take_symbol("~"));
  return out.parts.size() == 1 ? std::move(out.parts[0]) : make(line, std::move(out));
}

ExpressionPtr ExpressionParser::product() {
  const int line = current().line;
  ExpressionPtr out = power();
  for (;;) {
    Operator op;
    if (is_symbol("*")) op = Operator::multiply;
    else if (is_symbol("/")) op = Operator::divide;
    else if (is_symbol("//")) op = Operator::floor_divide;
    else if (is_symbol("%")) op = Operator::modulo;
    else return out;
    advance();
    out = make(line, Binary{op, std::move(out), power()});
  }
}

ExpressionPtr ExpressionParser::power() {
  const int line = current().line;
  ExpressionPtr out = unary(true);
  while (take_symbol("**")) out = make(line, Binary{Operator::power, std::move(out), unary(true)});
  return out;
}

ExpressionPtr ExpressionParser::unary(bool with_filters) {
  if (!enter()) return nullptr;
  const int line = current().line;
  ExpressionPtr out;
  if (is_symbol("-") || is_symbol("+")) {
    const char op = current().text[0];
    advance();
    out = make(line, Unary{op, unary(false)});
  } else {
    out = primary();
  }
  out = postfix(std::move(out));
  // Filters bind tighter than a sign in front of them: -1|abs is (-1)|abs, for the sign was taken above.
  while (with_filters && !failed()) {
    if (is_symbol("|")) out = filters(std::move(out));
    else if (is_name("is")) out = test(std::move(out));
    else if (is_symbol("(")) out = make(current().line, Call{std::move(out), arguments()});
    else break;
  }
  leave();
  return out;
}

ExpressionPtr ExpressionParser::primary() {
  const Token token = current();
  switch (token.kind) {
    case TokenKind::name: {
      advance();
      const std::string& name = token.text;
      if (name == "true" || name == "True") return make(token.line, Constant{Value::of(true)});
      if (name == "false" || name == "False") return make(token.line, Constant{Value::of(false)});
      if (name == "none" || name == "None") return make(token.line, Constant{Value::none()});
      names_read_.push_back(name);
      return make(token.line, Name{name});
    }
    case TokenKind::string: {
      std::string text;
      for (; is(TokenKind::string); advance()) text += current().text;
      return make(token.line, Constant{constant_text(std::move(text))});
    }
    case TokenKind::integer: {
      advance();
      std::int64_t value = 0;
      std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
      return make(token.line, Constant{Value::of(value)});
    }
    case TokenKind::real: {
      advance();
      double value = 0;
      if (std::from_chars(token.text.data(), token.text.data() + token.text.size(), value).ec != std::errc())
        fail_at(token.line, "a number is out of the range of floats");
      return make(token.line, Constant{Value::of(value)});
    }
    default: break;
  }
  if (take_symbol("(")) {
    ExpressionPtr out = tuple(true, "", true);
    expect_symbol(")");
    return out;
  }
  if (is_symbol("[")) return list();
  if (is_symbol("{")) return dict();
  fail(str("expected an expression, found ", describe(token)));
  return nullptr;
}

ExpressionPtr ExpressionParser::tuple(bool conditional, std::string_view end_name, bool empty) {
  const int line = current().line;
  ListDisplay out{{}, true};
  bool comma = false;
  const auto ends = [&] {
    return is(TokenKind::variable_end) || is(TokenKind::block_end) || is_symbol(")") ||
           (!end_name.empty() && is_name(end_name));
  };
  while (!failed() && !ends()) {
    out.items.push_back(expression(conditional));
    if (!is_symbol(",")) break;
    advance();
    comma = true;
  }
  if (!comma && !out.items.empty()) return std::move(out.items[0]);
  if (!comma && !empty) fail(str("expected an expression, found ", describe(current())));
  return make(line, std::move(out));
}

ExpressionPtr ExpressionParser::list() {
  const int line = current().line;
  ListDisplay out{{}, false};
  expect_symbol("[");
  while (!failed() && !is_symbol("]")) {
    if (!out.items.empty()) expect_symbol(",");
    if (is_symbol("]")) break;
    out.items.push_back(expression());
  }
  expect_symbol("]");
  return make(line, std::move(out));
}

ExpressionPtr ExpressionParser::dict() {
  const int line = current().line;
  DictDisplay out;
  expect_symbol("{");
  while (!failed() && !is_symbol("}")) {
    if (!out.entries.empty()) expect_symbol(",");
    if (is_symbol("}")) break;
    ExpressionPtr key = expression();
    expect_symbol(":");
    out.entries.emplace_back(std::move(key), expression());
  }
  expect_symbol("}");
  return make(line, std::move(out));
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr node) {
  while (!failed()) {
    if (is_symbol(".") || is_symbol("[")) node = subscript(std::move(node));
    else if (is_symbol("(")) node = make(current().line, Call{std::move(node), arguments()});
    else break;
  }
  return node;
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr node) {
  const int line = current().line;
  if (take_symbol(".")) {
    if (is(TokenKind::integer)) return make(line, Item{std::move(node), primary()});
    return make(line, Attribute{std::move(node), identifier()});
  }
  expect_symbol("[");
  const auto part_follows = [this] { return !is_symbol(":") && !is_symbol("]"); };
  ExpressionPtr start = is_symbol(":") ? nullptr : tuple(true, "", false);
  ExpressionPtr out;
  if (take_symbol(":")) {
    ExpressionPtr stop = part_follows() ? expression() : nullptr;
    ExpressionPtr step = take_symbol(":") && part_follows() ? expression() : nullptr;
    out = make(line, Slice{std::move(node), std::move(start), std::move(stop), std::move(step)});
  } else {
    out = make(line, Item{std::move(node), std::move(start)});
  }
  expect_symbol("]");
  return out;
}

CallArguments ExpressionParser::arguments() {
  CallArguments out;
  const int line = current().line;
  expect_symbol("(");
  bool first = true;
  while (!failed() && !is_symbol(")")) {
    if (!std::exchange(first, false)) expect_symbol(",");
    if (is_symbol(")")) break;
    bool good = true;
    if (take_symbol("*")) {
      good = !out.more_positional && !out.more_named;
      out.more_positional = expression();
    } else if (take_symbol("**")) {
      good = !out.more_named;
      out.more_named = expression();
    } else if (is(TokenKind::name) && ahead().kind == TokenKind::symbol && ahead().text == "=") {
      good = !out.more_named;
      std::string name = identifier();
      expect_symbol("=");
      out.named.emplace_back(std::move(name), expression());
    } else {
      good = !out.more_positional && !out.more_named && out.named.empty();
      out.positional.push_back(expression());
    }
    if (!good) fail_at(line, "a call has positional arguments behind named ones, or too many * and **");
  }
  expect_symbol(")");
  return out;
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr input, bool inline_first) {
  while (!failed() && (std::exchange(inline_first, false) || take_symbol("|"))) {
    const int line = current().line;
    std::string name = identifier();
    while (take_symbol(".")) name += "." + identifier();
    Filter filter{std::move(input), std::move(name), {}};
    if (is_symbol("(")) filter.arguments = arguments();
    input = make(line, std::move(filter));
  }
  return input;
}

ExpressionPtr ExpressionParser::test(ExpressionPtr node) {
  const int line = current().line;
  advance();
  Test out{std::move(node), "", {}, take_name("not")};
  out.name = identifier();
  while (take_symbol(".")) out.name += "." + identifier();
  const bool literal =
      is(TokenKind::string) || is(TokenKind::integer) || is(TokenKind::real) || is_symbol("[") || is_symbol("{");
  const bool name = is(TokenKind::name) && !is_name("else") && !is_name("or") && !is_name("and") && !is_name("if");
  if (is_symbol("(")) {
    out.arguments = arguments();
  } else if (is_name("is")) {
    fail("tests cannot be chained with `is`");
  } else if (literal || name) {
    // An argument without brackets: `x is divisibleby 3`.
    out.arguments.positional.push_back(postfix(primary()));
  }
  return make(line, std::move(out));
}

}  // namespace strata::text::jinja
