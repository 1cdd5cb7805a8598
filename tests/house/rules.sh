#!/usr/bin/env bash
# Owns: the rules of the house that a script can check. Knows files and git, nothing of what the code does.
# usage: rules.sh ROOT
# shellcheck disable=SC2016  # awk programs
set -euo pipefail
cd "$1"

failures=0
forbid() {  # RULE < offending lines
  local lines
  lines=$(cut -c 1-160 | head -n 40)
  [ -n "$lines" ] || return 0
  printf 'rules: %s\n%s\n' "$1" "$lines" >&2
  failures=$((failures + 1))
}

# What git tracks, and what it would if it were added; in an unpacked archive, everything but build folders.
list() {
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard
  else
    find . -type f -not -path './build*' -not -path './.git/*' -printf '%P\n'
  fi | while IFS= read -r file; do if [ -f "$file" ]; then echo "$file"; fi; done | LC_ALL=C sort -u
}
files=$(list)
[ -n "$files" ] || { echo "rules: no files below $1" >&2; exit 1; }
of() { echo "$files" | grep -E "$1"; }
each() { xargs -r -d '\n' "$@"; }  # runs a command on the files named on stdin, not at all when there are none
source_ending='\.(h|cpp|cuh|cu|inl|comp|glsl)$'

forbid "the library prints, ends the process or reads the environment; return a Result instead:" < <(
  of "^(include|src|kernels)/.*$source_ending" | each awk '
    { code = $0; sub(/\/\/.*/, "", code) }
    code ~ /(^|[^A-Za-z0-9_.>])(v?f?printf|f?puts|f?putchar|perror|abort|_?exit|_Exit|quick_exit|terminate)[ \t]*\(/ ||
    code ~ /(^|[^A-Za-z0-9_.>])((secure_)?getenv|setenv|putenv)[ \t]*\(/ ||
    code ~ /std::(cout|cerr|clog)[^A-Za-z0-9_]|#[ \t]*include[ \t]*<iostream>/ { print FILENAME ":" FNR ": " $0 }')

forbid "the first line says what a file owns and what it knows ('// Owns: ... Knows ...'):" < <(
  of "^(include|src|kernels|examples|bench|tests)/.*$source_ending" | each awk '
    FNR == 1 && !/^\/\/ Owns: / { print FILENAME ": " $0 }')

forbid "files over 600 lines (tests: 1000); split by concern:" < <(
  of "^(include|src|kernels|examples|bench)/.*$source_ending" | each awk 'FNR == 601 { print FILENAME }'
  of "^tests/.*$source_ending" | each awk 'FNR == 1001 { print FILENAME }')

# The executable specification stays short enough to be read in one sitting.
forbid "the operations of the reference backend are over 800 lines:" < <(
  of "^src/backend/ref/ops.*$source_ending" | each cat | awk 'END { if (NR > 800) print "src/backend/ref/ops*: " NR " lines" }')

forbid "tab characters:" < <(
  echo "$files" | grep -vE '(^|/)Makefile$|^\.gitmodules$|^tests/data/' | each grep -HInP '\t')

# Spelled in two halves so that this file does not match itself.
homes='wo''rk|ro''ot|ho''me|Us''ers'
forbid "paths of one machine:" < <(
  echo "$files" | each grep -HInE "(^|[^A-Za-z0-9_.*}-])/($homes)/")

# To grep -I a binary file has no match, so -L names the binary files (and the empty ones).
forbid "binary files take more than 8 MB together:" < <(
  echo "$files" | each grep -IL . | each stat -c '%s %n' | sort -rn | awk '
    { sum += $1; list = list $0 "\n" }
    END { if (sum > 8000000) printf "%d bytes in all\n%s", sum, list }')

[ $failures -eq 0 ] || exit 1
echo "rules: $(echo "$files" | wc -l) files keep them"
