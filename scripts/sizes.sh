#!/bin/sh
# Keep functions and files small enough to read: a body over 70 lines is named, one over 80 lines
# or a file over 600 lines fails.
set -eu
cd "$(dirname "$0")/.."

# shellcheck disable=SC2016 # awk's, not the shell's
scripts/c-files.sh | xargs awk '
    FNR == 1 {
        check_file()
        file = FILENAME
        opened = 0
    }
    { lines = FNR }
    /^{$/ { opened = FNR; title = before }
    /^}/ && opened > 0 {
        size = FNR - opened - 1
        if (size > 70)
            printf "%s:%d: %d lines in one function: %s\n", file, opened, size, title
        if (size > 80)
            bad = 1
        opened = 0
    }
    { before = $0 }
    END {
        check_file()
        exit bad
    }
    function check_file() {
        if (file != "" && lines > 600) {
            printf "%s: %d lines in one file\n", file, lines
            bad = 1
        }
    }' >&2
