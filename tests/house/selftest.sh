#!/usr/bin/env bash
# Owns: the proof that the house's checks can fail: each rule is broken once in a small tree of its own. Knows
# includes.sh and rules.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wrong=0

fresh_tree() {  # a tree that keeps every rule
  rm -rf "$work/tree"
  mkdir -p "$work/tree"/{include/strata,src/{base,gguf,graph,models,backend/{ref,cpu},runtime,router},kernels/{formats,cpu},examples}
  cd "$work/tree"
  put include/strata/result.h
  put kernels/formats/types.h
  put kernels/cpu/kernels.h '#include "kernels/formats/types.h"'
  put src/base/text.h '#include "strata/result.h"'
  put src/graph/graph.h '#include "base/text.h"' '#include "kernels/formats/types.h"'
  put src/models/llama.cpp '#include "graph/graph.h"'
  put src/backend/backend.h '#include "graph/graph.h"'
  put src/backend/ref/ref.h '#include "backend/backend.h"'
  put src/backend/ref/ops.cpp '#include "backend/ref/ref.h"' '#include "kernels/cpu/kernels.h"'
  put src/backend/cpu/cpu.h '#include "backend/backend.h"'
  put src/runtime/model.cpp '#include "backend/backend.h"' '#include "strata/result.h"'
  put examples/hello.cpp '#include "strata/result.h"'
}
put() {  # FILE LINE...
  local file=$1
  shift
  { echo "// Owns: an example. Knows nothing."; if [ $# -gt 0 ]; then printf '%s\n' "$@"; fi; } > "$file"
}
expect() {  # pass|fail WHAT SCRIPT WORDS-OF-THE-MESSAGE
  local outcome=pass output
  output=$(bash "$here/$3" "$work/tree" 2>&1) || outcome=fail
  if [ "$outcome" != "$1" ] || ! grep -qF -- "${4-}" <<<"$output"; then
    printf 'selftest: %s: %s should %s with "%s" but: %s\n' "$2" "$3" "$1" "${4-}" "$output" >&2
    wrong=$((wrong + 1))
  fi
}
breaks_arrow() {  # FILE INCLUDED: this include alone must be found
  fresh_tree
  put "$1" "#include \"$2\""
  expect fail "$1 includes $2" includes.sh "$1:2: "
}
breaks_rule() {  # WORDS FILE LINE...: this line alone must be found
  fresh_tree
  local words=$1
  shift
  put "$@"
  expect fail "$2" rules.sh "$words"
}

fresh_tree
expect pass "a tree that keeps the rules" includes.sh
expect pass "a tree that keeps the rules" rules.sh

breaks_arrow kernels/formats/types.h strata/result.h
breaks_arrow kernels/cpu/dot.cpp base/text.h
breaks_arrow include/strata/strata.h graph/graph.h
breaks_arrow src/base/io.cpp graph/graph.h
breaks_arrow src/gguf/file.cpp graph/graph.h
breaks_arrow src/models/qwen.cpp backend/backend.h
breaks_arrow src/models/qwen.cpp kernels/cpu/kernels.h
breaks_arrow src/backend/backend.h backend/cpu/cpu.h
breaks_arrow src/backend/cpu/cpu.cpp backend/ref/ref.h
breaks_arrow src/runtime/model.cpp backend/ref/ref.h
breaks_arrow src/router/router.cpp base/text.h
breaks_arrow examples/hello.cpp graph/graph.h
breaks_arrow src/base/io.cpp base/missing.h
fresh_tree
put src/stray.h '#include "base/text.h"'
expect fail "a file outside every layer" includes.sh "belongs to no layer"
fresh_tree
printf 'src/base : src/graph\nsrc/graph : src/base\n' > "$work/circle.txt"
put src/base/text.h '#include "graph/graph.h"'
put src/graph/graph.h '#include "base/text.h"'
rm -rf src/models src/backend src/runtime kernels examples include
if bash "$here/includes.sh" "$work/tree" "$work/circle.txt" >"$work/out" 2>&1 || ! grep -q "in a circle" "$work/out"; then
  echo "selftest: a circle of folders that the table allows went unnoticed: $(cat "$work/out")" >&2
  wrong=$((wrong + 1))
fi

for statement in 'printf("x");' 'std::printf("x");' 'std::abort();' 'exit(1);' 'getenv("X");' 'std::cout << 1;'; do
  breaks_rule "return a Result" src/base/io.cpp "void f() { $statement }"
done
fresh_tree
put src/base/io.cpp 'std::snprintf(a, b, c);  // printf("in a comment")' 'loop.exit(1);'
expect pass "what only looks like a call that is forbidden" rules.sh
fresh_tree
echo "#pragma once" > src/base/io.h
expect fail "a file without its first line" rules.sh "what a file owns"
fresh_tree
{ echo "// Owns: x. Knows y."; printf '\n%.0s' {1..600}; } > src/base/long.cpp
expect fail "601 lines" rules.sh "over 600 lines"
fresh_tree
for part in a b; do { echo "// Owns: x. Knows y."; printf '\n%.0s' {1..420}; } > src/backend/ref/ops_$part.cpp; done
expect fail "842 lines of reference" rules.sh "over 800 lines"
breaks_rule "tab characters" src/base/io.cpp "$(printf '\tint x;')"
breaks_rule "paths of one machine" src/base/io.cpp 'const char* path = "/ro''ot/x";'
fresh_tree
head -c 8000001 /dev/zero > examples/model.gguf
expect fail "a binary over 8 MB" rules.sh "more than 8 MB"

[ $wrong -eq 0 ] || exit 1
echo "selftest: every check passes what it should and fails what it should"
