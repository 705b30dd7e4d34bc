#!/bin/sh
# Tables of types: what must not compile doesn't. Each line of tests/refusals/tables.c is one.
#
#   refusals.sh [COMPILER]
set -eu
cd "$(dirname "$0")/.."

compiler=${1:-cc}
file=tests/refusals/tables.c

compiles() {
    "$compiler" -std=c11 -Iinclude -fsyntax-only "$@" "$file" >/dev/null 2>&1
}

# Without any of them it does: what is seen below is not a mistake of another kind.
if ! compiles -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror; then
    echo "$file doesn't compile by itself" >&2
    exit 1
fi

numbers=$(mktemp)
trap 'rm -f "$numbers"' EXIT
sed -n 's/^#\(el\)\{0,1\}if REFUSED == \([0-9]*\).*/\2/p' "$file" >"$numbers"
count=0
bad=0
while read -r number; do
    count=$((count + 1))
    if compiles -DREFUSED="$number"; then
        echo "$file: line $number compiles with $compiler" >&2
        bad=1
    fi
done <"$numbers"
[ "$count" -gt 0 ] || bad=1
[ "$bad" -ne 0 ] || echo "refusals: $count lines of tables don't compile with $compiler"
exit "$bad"
