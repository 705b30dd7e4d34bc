#!/bin/sh
# The C files of the project, one a line: what git tracks or would track; without git, all.
set -eu
cd "$(dirname "$0")/.."

if [ -e .git ] && git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard -- '*.c' '*.h'
else
    find include src tools examples docs bench tests -name '*.[ch]' 2>/dev/null
fi | sort -u | while IFS= read -r file; do
    [ ! -f "$file" ] || echo "$file"
done
