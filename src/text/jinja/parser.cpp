// Owns: the grammar of statements. Source: the Jinja documentation, "List of Control Structures"; `generation` as Hugging
// Face's transformers defines it.
#include "text/jinja/parser.h"

#include <algorithm>

#include "base/text.h"
#include "text/jinja/strings.h"

namespace strata::text::jinja {

namespace {

class Parser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Result<Block> run() {
    Block out = block({});
    if (error_) return *error_;
    return out;
  }

 private:
  using Ends = std::vector<std::string_view>;

  /// Statements up to one of the tags `ends`, whose name is then the current token; without any, up to the end.
  Block block(const Ends& ends) {
    Block out;
    if (!enter()) return out;
    const int begun = current().line;
    while (!failed()) {
      const int line = current().line;
      if (is(TokenKind::end)) {
        if (!ends.empty()) fail_at(begun, str("the block that begins here has no {% ", ends.back(), " %}"));
        break;
      }
      if (is(TokenKind::text)) {
        out.push_back({line, Text{constant_text(current().text)}});
        advance();
      } else if (is(TokenKind::variable_begin)) {
        advance();
        out.push_back({line, Output{tuple(true, "", false)}});
        expect(TokenKind::variable_end, "'}}'");
      } else {
        expect(TokenKind::block_begin, "'{%'");
        if (std::any_of(ends.begin(), ends.end(), [this](std::string_view end) { return is_name(end); })) break;
        statement(out);
        expect(TokenKind::block_end, "'%}'");
      }
    }
    leave();
    return out;
  }

  /// The body behind a tag, up to one of `ends`.
  std::shared_ptr<Block> body(const Ends& ends) {
    take_symbol(":");  // Python's habit is allowed
    expect(TokenKind::block_end, "'%}'");
    return std::make_shared<Block>(block(ends));
  }
  /// As `body`, and past the end's name.
  std::shared_ptr<Block> whole_body(std::string_view end) {
    auto out = body({end});
    expect_name(end);
    return out;
  }

  void statement(Block& out) {
    const int line = current().line;
    const std::string tag = identifier();
    const auto add = [&](auto node) { out.push_back({line, std::move(node)}); };
    if (tag == "if") return add(if_());
    if (tag == "for") return add(for_());
    if (tag == "set") return set(out, line);
    if (tag == "macro") return add(macro());
    if (tag == "call") return add(call_block());
    if (tag == "with") return add(with());
    if (tag == "filter") {
      FilterBlock node{filters(nullptr, true), nullptr};
      node.body = whole_body("endfilter");
      return add(std::move(node));
    }
    if (tag == "generation") return add(Scoped{whole_body("endgeneration"), false});
    if (tag == "block") return add(named_block());
    if (tag == "print") {
      while (!failed() && !is(TokenKind::block_end)) {
        add(Output{expression()});
        if (!take_symbol(",")) break;
      }
      return;
    }
    if (tag == "break" || tag == "continue") {
      if (loops_ == 0) fail_at(line, str("{% ", tag, " %} outside of a loop"));
      return tag == "break" ? add(Break{}) : add(Continue{});
    }
    for (std::string_view other : {"include", "import", "from", "extends"})
      if (tag == other)
        return fail_at(line, str("{% ", tag, " %} reads another template, which a chat template has not"),
                       ErrorCode::unsupported);
    if (tag == "autoescape" || tag == "do" || tag == "trans" || tag == "debug")
      return fail_at(line, str("{% ", tag, " %} is not available in chat templates"), ErrorCode::unsupported);
    if (!failed()) fail_at(line, str("the tag {% ", tag, " %} is not known or not expected here"));
  }

  If if_() {
    If out;
    for (;;) {
      ExpressionPtr condition = tuple(false, "", false);
      auto then = body({"elif", "else", "endif"});
      out.branches.emplace_back(std::move(condition), std::move(then));
      if (take_name("elif")) continue;
      if (take_name("else")) out.branches.emplace_back(nullptr, body({"endif"}));
      expect_name("endif");
      return out;
    }
  }

  For for_() {
    For out{};
    out.target = target("in");
    expect_name("in");
    out.iterable = tuple(false, "recursive", false);
    if (take_name("if")) out.condition = expression();
    out.recursive = take_name("recursive");
    ++loops_;
    out.body = body({"else", "endfor"});
    --loops_;
    if (take_name("else")) out.otherwise = body({"endfor"});
    expect_name("endfor");
    return out;
  }

  void set(Block& out, int line) {
    Target to = target("");
    if (take_symbol("=")) {
      out.push_back({line, Set{std::move(to), tuple(true, "", false)}});
      return;
    }
    ExpressionPtr filter = filters(nullptr);
    auto text = whole_body("endset");
    out.push_back({line, SetBlock{std::move(to), std::move(filter), std::move(text)}});
  }

  /// A name, a namespace's attribute, or several of them with commas; `end` is a name that ends the list.
  Target target(std::string_view end) {
    Target out;
    do {
      if ((!end.empty() && is_name(end)) || is_symbol(")") || is_symbol("=") || is(TokenKind::block_end)) {
        out.is_several = true;  // a comma stood at the end
        break;
      }
      out.several.push_back(single_target());
      out.is_several = out.is_several || is_symbol(",");
    } while (!failed() && take_symbol(","));
    if (out.several.empty()) fail("expected a name to assign to");
    if (!out.is_several && !out.several.empty()) {
      Target only = std::move(out.several[0]);  // not assigned over its own owner
      return only;
    }
    return out;
  }

  Target single_target() {
    Target out;
    if (!enter()) return out;
    if (take_symbol("(") || is_symbol("[")) {
      const bool list = take_symbol("[");
      out = target(list ? "]" : "");
      expect_symbol(list ? "]" : ")");
    } else {
      const int line = current().line;
      out.name = identifier();
      for (std::string_view constant : {"true", "false", "none", "True", "False", "None"})
        if (out.name == constant) fail_at(line, str("'", out.name, "' cannot be assigned to"));
      if (take_symbol(".")) out.attribute = identifier();
    }
    leave();
    return out;
  }

  void signature(Procedure& out) {
    expect_symbol("(");
    while (!failed() && !is_symbol(")")) {
      if (!out.parameters.empty()) expect_symbol(",");
      Parameter parameter{identifier(), nullptr};
      if (take_symbol("=")) parameter.fallback = expression();
      else if (!out.parameters.empty() && out.parameters.back().fallback)
        fail("a parameter without a default follows one with a default");
      out.parameters.push_back(std::move(parameter));
    }
    expect_symbol(")");
  }

  /// Parses a body and notes which of the special names it reads.
  void procedure_body(Procedure& out, std::string_view end) {
    const std::size_t before = names_read_.size();
    const int loops = std::exchange(loops_, 0);
    out.body = whole_body(end);
    loops_ = loops;
    const auto reads = [&](std::string_view name) {
      const auto parameter = [name](const Parameter& p) { return p.name == name; };
      return std::find(names_read_.begin() + static_cast<std::ptrdiff_t>(before), names_read_.end(), name) !=
                 names_read_.end() &&
             std::none_of(out.parameters.begin(), out.parameters.end(), parameter);
    };
    out.takes_more_positional = reads("varargs");
    out.takes_more_named = reads("kwargs");
    out.takes_caller = reads("caller");
  }

  Macro macro() {
    Macro out;
    out.procedure.name = identifier();
    signature(out.procedure);
    procedure_body(out.procedure, "endmacro");
    return out;
  }

  CallBlock call_block() {
    CallBlock out;
    const int line = current().line;
    out.caller.name = "caller";
    if (is_symbol("(")) signature(out.caller);
    out.call = expression();
    if (!failed() && !std::holds_alternative<Call>(out.call->node)) fail_at(line, "{% call %} needs a call");
    procedure_body(out.caller, "endcall");
    return out;
  }

  With with() {
    With out;
    while (!failed() && !is(TokenKind::block_end)) {
      if (!out.values.empty()) expect_symbol(",");
      Target to = single_target();
      expect_symbol("=");
      out.values.emplace_back(std::move(to), expression());
    }
    out.body = whole_body("endwith");
    return out;
  }

  Scoped named_block() {
    const std::string name = identifier();
    Scoped out{nullptr, !take_name("scoped")};
    take_name("required");
    out.body = whole_body("endblock");
    take_name(name);
    return out;
  }

  int loops_ = 0;
};

}  // namespace

Result<Block> parse(std::string_view source) {
  auto tokens = tokenize(source);
  if (!tokens) return tokens.error();
  return Parser(std::move(*tokens)).run();
}

}  // namespace strata::text::jinja
