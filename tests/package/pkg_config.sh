#!/usr/bin/env bash
# Owns: building a program against an installed strata with the compile line that pkg-config gives.
# usage: pkg_config.sh CXX PREFIX MAIN_CPP OUT_DIR
set -euo pipefail
cxx=$1 prefix=$2 main=$3 out=$4
pc=$(find "$prefix" -name strata.pc)
[ -f "$pc" ] || { echo "pkg_config: no strata.pc below $prefix" >&2; exit 1; }
export PKG_CONFIG_PATH=${pc%/*}
mkdir -p "$out"
linkage=--static
if [ ! -f "$(pkg-config --variable=libdir strata)/libstrata.a" ]; then linkage=--shared; fi
# Word splitting is how pkg-config's output is meant to be used.
# shellcheck disable=SC2046
"$cxx" -std=c++20 "$main" -o "$out/consumer" $(pkg-config --cflags --libs $linkage strata)
LD_LIBRARY_PATH=$(pkg-config --variable=libdir strata) "$out/consumer" | tee "$out/output"
grep -qx "strata $(pkg-config --modversion strata)" "$out/output"
