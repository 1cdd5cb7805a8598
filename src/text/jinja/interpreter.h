// Owns: running a syntax tree: scopes, control flow, macros, loops. Knows no text of a template.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/machine.h"
#include "text/jinja/strings.h"

namespace strata::text::jinja {

/// The names of a loop's body, a macro, a block. Assignments go to the innermost scope; what it lacks is looked up in
/// the scopes around it, for a macro those around its definition.
struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<std::string_view, Value>> names;
  bool kept = false;  ///< a macro refers to it, so it outlives its block

  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);
};

/// One rendering. The tree and the names must outlive it.
class Interpreter {
 public:
  explicit Interpreter(Machine& machine) : machine_(machine) {}

  /// The text of the template; undefined after an error.
  Value run(const Block& program, std::span<const std::pair<std::string, Value>> variables);

 private:
  friend class MacroObject;
  friend class LoopObject;
  class InnerScope;
  class Capture;
  enum class Flow { next, stop_loop, next_round };

  Flow execute(const Block& block);
  Flow run_statement(const Statement& statement);
  Flow run(const Text& node);
  Flow run(const Output& node);
  Flow run(const If& node);
  Flow run(const For& node);
  Flow run(const Set& node);
  Flow run(const SetBlock& node);
  Flow run(const Macro& node);
  Flow run(const CallBlock& node);
  Flow run(const FilterBlock& node);
  Flow run(const With& node);
  Flow run(const Scoped& node);
  Flow run(const Break&) { return Flow::stop_loop; }
  Flow run(const Continue&) { return Flow::next_round; }
  void loop(const For& node, const Value& iterable, int depth);
  /// The text that a block writes, in a scope of its own.
  Value text_of(const Block& block);
  void assign(const Target& target, Value value);
  Value make_macro(const Procedure& procedure);
  Value call_macro(const Procedure& procedure, Scope* closure, const Arguments& arguments);

  Value look_up(std::string_view name);
  Value evaluate(const ExpressionPtr& expression);
  Value value(const Constant& node) { return node.value; }
  Value value(const Name& node);
  Value value(const ListDisplay& node);
  Value value(const DictDisplay& node);
  Value value(const Unary& node);
  Value value(const Binary& node);
  Value value(const Logical& node);
  Value value(const Comparison& node);
  Value value(const Concatenation& node);
  Value value(const Conditional& node);
  Value value(const Attribute& node);
  Value value(const Item& node);
  Value value(const Slice& node);
  Value value(const Call& node);
  Value value(const Filter& node);
  Value value(const Test& node);
  Arguments evaluate(const CallArguments& arguments);
  /// `caller`: the body of a call block, or undefined.
  Value call(const Call& node, const Value& caller);

  Machine& machine_;
  Scope* scope_ = nullptr;
  Scope* top_ = nullptr;
  TextBuilder* out_ = nullptr;
  Value filter_input_;  ///< the text of the filter block that is being evaluated
  std::vector<std::unique_ptr<Scope>> kept_scopes_;
};

}  // namespace strata::text::jinja
