#!/usr/bin/env bash
# Write the seeds, one file each: FOLDER/json, FOLDER/cbor, FOLDER/typed and FOLDER/jsonl.
#
#   corpus.sh FOLDER
#
# The first two bytes of a seed choose options (fuzz.h); unless a line here says otherwise they are
# "00", the defaults. The scripts corpus_*.sh hold the seeds, each of them a line.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=$1
kind=

begin() { # KIND
    kind=$1
    rm -rf "${folder:?}/$kind"
    mkdir -p "$folder/$kind"
}

write() { # NAME BYTES, in what printf's %b understands
    if [ -e "$folder/$kind/$1" ]; then
        echo "corpus.sh: $kind/$1 is there twice" >&2
        exit 1
    fi
    printf '%b' "$2" >"$folder/$kind/$1"
}

plain() { # NAME TEXT [OPTIONS]: as it stands
    write "$1" "${3:-00}${2//\\/\\\\}"
}

escaped() { # NAME TEXT [OPTIONS]: with \n, \xff and so on; a backslash is \\
    write "$1" "${3:-00}$2"
}

binary() { # NAME HEX [OPTIONS]: blanks are ignored
    local digits=${2//[[:space:]]/} bytes='' at
    for ((at = 0; at < ${#digits}; at += 2)); do
        bytes+="\\x${digits:at:2}"
    done
    write "$1" "${3:-00}$bytes"
}

repeated() { # TEXT COUNT
    local all='' count
    for ((count = 0; count < $2; count++)); do
        all+=$1
    done
    printf '%s' "$all"
}

for seeds in "$here"/corpus_*.sh; do
    # shellcheck source=/dev/null # each is checked by itself
    . "$seeds"
done
