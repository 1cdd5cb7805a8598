// Owns: tokens to a syntax tree. Knows no evaluation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "strata/result.h"
#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace strata::text::jinja {

/// Errors are bad_file, or unsupported for tags that read other templates; they name the line.
Result<Block> parse(std::string_view source);

/// Operators by precedence, calls, literals. The first error ends the parsing: from then on the current token is `end`.
class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

 protected:
  ExpressionPtr expression(bool conditional = true);
  /// One expression, or several with commas between them as a tuple. `empty`: nothing at all is an empty tuple.
  ExpressionPtr tuple(bool conditional, std::string_view end_name, bool empty);
  ExpressionPtr primary();
  /// `| name(...)` as often as it comes; `input` may be null. `inline_first`: the first has no '|'.
  ExpressionPtr filters(ExpressionPtr input, bool inline_first = false);

  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool is(TokenKind kind) const { return current().kind == kind; }
  bool is_symbol(std::string_view symbol) const { return is(TokenKind::symbol) && current().text == symbol; }
  bool is_name(std::string_view name) const { return is(TokenKind::name) && current().text == name; }
  void advance() { at_ += at_ + 1 < tokens_.size() ? 1 : 0; }
  bool take_symbol(std::string_view symbol);
  bool take_name(std::string_view name);
  void expect(TokenKind kind, std::string_view what);
  void expect_symbol(std::string_view symbol);
  void expect_name(std::string_view name);
  std::string identifier();
  bool failed() const { return error_.has_value(); }
  void fail(std::string message) { fail_at(current().line, std::move(message)); }
  void fail_at(int line, std::string message, ErrorCode code = ErrorCode::bad_file);
  bool enter();
  void leave() { --depth_; }

  std::optional<Error> error_;
  /// Names that the expressions read, for macros: do they ask for varargs, kwargs or caller?
  std::vector<std::string> names_read_;

 private:
  ExpressionPtr disjunction();
  ExpressionPtr conjunction();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filters);
  ExpressionPtr postfix(ExpressionPtr node);
  ExpressionPtr subscript(ExpressionPtr node);
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr test(ExpressionPtr node);
  CallArguments arguments();
  template <class Node>
  ExpressionPtr make(int line, Node node);

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace strata::text::jinja
