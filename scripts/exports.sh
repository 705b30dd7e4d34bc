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

# What the preprocessor leaves: no comments, STELE_API spelled out. One declaration a line; the name
# is the last word before the parameters.
${CC:-cc} -std=c11 -E -P -Iinclude include/stele.h | tr '\n;' ' \n' |
    sed -n 's/.*__attribute__((visibility("default")))//p' |
    sed -e 's/[([].*//' -e 's/ *$//' -e 's/.*[ *]//' | LC_ALL=C sort -u >"$folder/declared"

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
