#!/usr/bin/env bash
# Compile each public header alone, twice in one file, as each language that a user may have, with
# every installed compiler of gcc and clang.
set -euo pipefail
cd "$(dirname "$0")/.."

warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Werror)

compile() { # HEADER COMPILER OPTION...
    local header=$1 name=${1#include/}
    shift
    printf '#include <%s>\n#include <%s>\nextern int stele_lint;\n' "$name" "$name" |
        "$@" "${warnings[@]}" -Iinclude -fsyntax-only - || {
        echo "$header: refused by $*"
        return 1
    }
}

# Stops at the first that refuses.
compile_as_all() { # HEADER
    local compiler standard
    for compiler in gcc clang; do
        command -v "$compiler" >/dev/null || continue
        for standard in c99 c11 c17; do
            compile "$1" "$compiler" -x c "-std=$standard" -Wstrict-prototypes || return 1
        done
    done
    for compiler in g++ clang++; do
        command -v "$compiler" >/dev/null || continue
        for standard in c++11 c++17; do
            compile "$1" "$compiler" -x c++ "-std=$standard" -Wold-style-cast || return 1
        done
    done
}

status=0
for header in include/stele.h include/stele/*.h; do
    compile_as_all "$header" || status=1
done
exit "$status"
