#!/bin/sh
# Check that a shared library exports what the public headers declare with STELE_API: no more,
# no less.
#
#   exports.sh LIBRARY
set -eu
library=$1
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
    LC_ALL=C sort -u >"$folder/exported"

# A declaration may span lines: join each header, drop comments and directives, cut at ";".
for header in include/stele.h include/stele/*.h; do
    sed -e 's/^#.*//' "$header" | tr '\n' ' ' | sed -e 's/\*\//\n/g' | sed -e 's/\/\*.*//' |
        tr '\n' ' ' | tr ';{}' '\n\n\n' |
        sed -n 's/^.*STELE_API[^(]*[^a-z0-9_]\(stele_[a-z0-9_]*\)  *(.*/\1/p;
                s/^.*STELE_API[^(]*[^a-z0-9_]\(stele_[a-z0-9_]*\)(.*/\1/p;
                s/^.*STELE_API[^(]*[^a-z0-9_]\(stele_[a-z0-9_]*\)\[.*/\1/p'
done | LC_ALL=C sort -u >"$folder/declared"

status=0
for name in $(LC_ALL=C comm -23 "$folder/exported" "$folder/declared"); do
    echo "$library exports $name, which no public header declares with STELE_API"
    status=1
done
for name in $(LC_ALL=C comm -13 "$folder/exported" "$folder/declared"); do
    echo "$name is declared in a public header, but $library doesn't export it"
    status=1
done
if grep '^stele__' "$folder/exported"; then
    echo "$library exports the names above, which are internal"
    status=1
fi
exit "$status"
