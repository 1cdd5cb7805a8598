#!/usr/bin/env bash
# Owns: the check that includes follow the directions of layers.txt, name files that exist, and form no circle between
# folders. Knows the include roots (include, src, the repository), nothing of what the files do.
# usage: includes.sh ROOT [TABLE]
set -euo pipefail
root=$1
table=$(realpath "${2:-$(dirname "${BASH_SOURCE[0]}")/layers.txt}")
cd "$root"

folders=()
for folder in include src kernels examples; do [ -d "$folder" ] && folders+=("$folder"); done
files=$(find "${folders[@]}" -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.cuh' -o -name '*.cu' -o -name '*.inl' \) |
  LC_ALL=C sort)
[ -n "$files" ] || { echo "includes: no source files below $root" >&2; exit 1; }

# Lines "file line included-as included-path", the path from the repository's root, or "?" where there is none.
resolve() {
  local file line name base found
  while IFS=: read -r file line name; do
    name=${name#*\"}
    name=${name%%\"*}
    found='?'
    for base in include src . "$(dirname "$file")"; do
      if [ -f "$base/$name" ]; then found=$(realpath --relative-to=. "$base/$name"); break; fi
    done
    echo "$file $line $name $found"
  done
}
includes=$(echo "$files" | xargs grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' | resolve || true)

# Prints the arrows between layers, "includer included", and complains of those that the table does not allow.
arrows=$(echo "$includes" | awk -v table="$table" '
  function regex(pattern) {  # of a layer or of an allowed entry: matches the front of a path, by whole components
    gsub(/\./, "\\.", pattern)
    gsub(/\*/, "[^/]*", pattern)
    return "^" pattern (pattern ~ /\/$/ ? "" : "(/|$)")
  }
  function layer_of(path,   i, best) {
    best = 0
    for (i = 1; i <= layers; i++)
      if (path ~ pattern[i] && (!best || length(name[i]) > length(name[best]))) best = i
    return best
  }
  function folder_of(path, layer,   parts, count, all, i, out) {  # the layer, its stars filled in from the path
    count = split(name[layer], parts, "/")
    if (parts[count] == "") count--
    split(path, all, "/")
    for (i = 1; i <= count; i++) out = out (i > 1 ? "/" : "") all[i]
    return out
  }
  function complain(text) { print text > "/dev/stderr"; bad = 1 }
  BEGIN {
    while ((getline row < table) > 0) {
      sub(/#.*/, "", row)
      if (row !~ /:/) continue
      split(row, side, ":")
      gsub(/[ \t]/, "", side[1])
      name[++layers] = side[1]
      pattern[layers] = regex(side[1])
      may[layers] = side[2]
    }
    if (!layers) complain("includes: no layers in " table)
  }
  NF == 4 {
    layer = layer_of($1)
    if (!layer) { complain($1 ": belongs to no layer of layers.txt"); next }
    if ($4 == "?") { complain($1 ":" $2 ": \"" $3 "\" is no file below include, src or the root"); next }
    from = folder_of($1, layer)
    to = layer_of($4) ? folder_of($4, layer_of($4)) : $4
    if (from == to) next
    print from, to
    count = split(may[layer], allowed, " ")
    for (i = 1; i <= count; i++) if ($4 ~ regex(allowed[i])) next
    complain($1 ":" $2 ": " from " may not include " $4 " (allowed:" (count ? may[layer] : " its own folder only") ")")
  }
  END { exit bad }') || failed=1

# tsort orders the arrows or names a circle.
if ! order=$(echo "$arrows" | tsort 2>&1); then
  echo "includes: folders include each other in a circle:" >&2
  echo "$order" | sed -n 's/^tsort: //p' | grep -v 'contains a loop' | sort -u >&2
  failed=1
fi

[ -z "${failed-}" ] || exit 1
echo "includes: $(echo "$includes" | grep -c . || true) includes of $(echo "$files" | wc -l) files follow the table"
