#!/usr/bin/env bash
# Compile each public header alone, twice in one file, as each language that a user may have, with
# every installed compiler of gcc and clang.
set -euo pipefail
cd "$(dirname "$0")/.."

warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Werror)

compile() { # HEADER COMPILER OPTION...
    local header=$1 name=${1#include/}
    shift
    printf '#include <%s>\n#include <%s>\nextern int stele_headers_check;\n' "$name" "$name" |
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

# A table that a C file defines, used in C++.
use_table() { # COMPILER
    "$1" -x c++ -std=c++11 "${warnings[@]}" -Wold-style-cast -Iinclude -fsyntax-only - <<'SOURCE'
#include <stele.h>
struct placed {
    int number;
};
extern "C" {
STELE_TYPE_DECLARE(placed_type, placed);
}
stele_status encode(const placed &value, stele_buffer *buffer);
stele_status encode(const placed &value, stele_buffer *buffer)
{
    stele_codec codec = STELE_CODEC_INIT;
    stele_upcaster upcaster = STELE_UPCASTER_INIT;
    stele_lint_options options = STELE_LINT_OPTIONS_INIT;
    if (codec.struct_size == 0 || upcaster.struct_size == 0 || options.struct_size == 0)
        return STELE_MISUSE;
    return stele_type_encode(&placed_type, &value, stele_codec_json(), buffer, nullptr);
}
SOURCE
}

status=0
for compiler in g++ clang++; do
    if command -v "$compiler" >/dev/null && ! use_table "$compiler"; then
        echo "a table used in C++: refused by $compiler"
        status=1
    fi
done
for header in include/stele.h include/stele/*.h; do
    compile_as_all "$header" || status=1
done
exit "$status"
