// Owns: the syntax tree of a template. Knows no evaluation.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/operators.h"
#include "text/jinja/value.h"

namespace strata::text::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;  // null: left out

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr more_positional, more_named;  ///< *args, **kwargs
};

struct Constant { Value value; };
struct Name { std::string name; };
struct ListDisplay { std::vector<ExpressionPtr> items; bool tuple; };
struct DictDisplay { std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries; };
struct Unary { char op; ExpressionPtr operand; };  ///< '-', '+', or '!' for `not`
struct Binary { Operator op; ExpressionPtr left, right; };
struct Logical { bool conjunction; ExpressionPtr left, right; };
/// a < b <= c: each operand is evaluated once, the rest not at all after a false one.
struct Comparison { ExpressionPtr first; std::vector<std::pair<Comparator, ExpressionPtr>> rest; };
struct Concatenation { std::vector<ExpressionPtr> parts; };
struct Conditional { ExpressionPtr condition, then, otherwise; };
struct Attribute { ExpressionPtr object; std::string name; };
struct Item { ExpressionPtr object, key; };
struct Slice { ExpressionPtr object, start, stop, step; };
struct Call { ExpressionPtr callee; CallArguments arguments; };
struct Filter { ExpressionPtr input; std::string name; CallArguments arguments; };  ///< no input: the enclosing block's text
struct Test { ExpressionPtr input; std::string name; CallArguments arguments; bool negated; };

struct Expression {
  int line = 0;
  int height = 1;  ///< of the tree below, so that no template can exhaust the stack
  std::variant<Constant, Name, ListDisplay, DictDisplay, Unary, Binary, Logical, Comparison, Concatenation, Conditional,
               Attribute, Item, Slice, Call, Filter, Test>
      node;
};

struct Statement;
using Block = std::vector<Statement>;

/// What can be assigned to: a name, an attribute of a namespace, or several targets that a sequence is unpacked into.
struct Target {
  std::string name;
  std::string attribute;        ///< of the namespace `name`; empty: the name itself
  std::vector<Target> several;  ///< with these, no name
  bool is_several = false;
};

struct Parameter { std::string name; ExpressionPtr fallback; };

/// A macro's or call block's body and parameters.
struct Procedure {
  std::string name;
  std::vector<Parameter> parameters;
  std::shared_ptr<Block> body;
  bool takes_more_positional = false, takes_more_named = false, takes_caller = false;  ///< the body names varargs, kwargs, caller
};

struct Text { Value value; };
struct Output { ExpressionPtr value; };
struct If { std::vector<std::pair<ExpressionPtr, std::shared_ptr<Block>>> branches; };  ///< a null condition: else
struct For {
  Target target;
  ExpressionPtr iterable, condition;
  bool recursive;
  std::shared_ptr<Block> body, otherwise;
};
struct Set { Target target; ExpressionPtr value; };
struct SetBlock { Target target; ExpressionPtr filter; std::shared_ptr<Block> body; };
struct Macro { Procedure procedure; };
struct CallBlock { Procedure caller; ExpressionPtr call; };
struct FilterBlock { ExpressionPtr filter; std::shared_ptr<Block> body; };
struct With { std::vector<std::pair<Target, ExpressionPtr>> values; std::shared_ptr<Block> body; };
/// A body in a scope of its own; `top`: it sees the template's variables only ({% block %}).
struct Scoped { std::shared_ptr<Block> body; bool top; };
struct Break {};
struct Continue {};

struct Statement {
  int line = 0;
  std::variant<Text, Output, If, For, Set, SetBlock, Macro, CallBlock, FilterBlock, With, Scoped, Break, Continue> node;
};

}  // namespace strata::text::jinja
