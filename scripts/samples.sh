#!/usr/bin/env bash
# Check that what the documentation shows is what the project has.
#
#   samples.sh [ROOT]       check the tree at ROOT (this project without it)
#   samples.sh --self-test  check that each kind of difference is found
#
# A fenced block stands below a comment that says where it comes from:
#
#   <!-- sample: PATH -->   it is the file
#   <!-- part of: PATH -->  its lines stand in the file, in one piece
#   <!-- output: PATH.c --> it is what the program made of PATH.c prints
#
# A block of C without one is an error. So is `test_x/name` when tests/test_x.c has no test of that
# name, a link to a file that doesn't exist, and a public function that docs/api-card.md lacks.
# Programs are those of $STELE_BUILD, or of build/.
set -euo pipefail

# Print a line for each block: MARKDOWN:LINE, kind, path, file with the block. C without a comment
# has the kind "bare".
cut_blocks() { # FOLDER MARKDOWN...
    local folder=$1
    shift
    awk -v folder="$folder" '
        FNR == 1 { kind = path = ""; inside = 0 }
        !inside && /^<!-- (sample|part of|output): [^ ]+ -->$/ {
            kind = $0
            sub(/^<!-- /, "", kind)
            path = kind
            sub(/:.*/, "", kind)
            sub(/^[^:]*: /, "", path)
            sub(/ -->$/, "", path)
            next
        }
        !inside && /^```./ && kind == "" && $0 ~ /^```c$/ { kind = "bare"; path = "-" }
        !inside && /^```/ {
            inside = 1
            if (kind != "") {
                block = folder "/" ++count
                printf "" >block
                printf "%s:%d\t%s\t%s\t%s\n", FILENAME, FNR, kind, path, block
            }
            next
        }
        inside && /^```$/ {
            if (kind != "")
                close(block)
            inside = 0
            kind = ""
            next
        }
        inside && kind != "" { print >block }
        !inside && kind != "" && NF > 0 {
            printf "%s:%d\tlost\t%s\t-\n", FILENAME, FNR, path
            kind = ""
        }' "$@"
}

print_output() { # PATH.c
    local name=${1##*/}
    (cd "$work" && "${STELE_BUILD:-$root/build}/samples/${name%.c}")
}

check_block() { # WHERE KIND PATH BLOCK
    case $2 in
    bare) echo "$1: a block of C that no file is named for" && return 1 ;;
    lost) echo "$1: a comment names $3, but no block follows" && return 1 ;;
    output) print_output "$3" >"$work/output" || { echo "$1: $3 failed" && return 1; } ;;
    *) [ -f "$3" ] || { echo "$1: there is no $3" && return 1; } ;;
    esac
    case $2 in
    output) diff -u --label "$3 prints" --label "$1" "$work/output" "$4" ;;
    sample) diff -u --label "$3" --label "$1" "$3" "$4" ;;
    *) [[ $(cat "$3") == *"$(cat "$4")"* ]] || { echo "$1: is no part of $3" && return 1; } ;;
    esac
}

# shellcheck disable=SC2016 # backquotes of Markdown
check_test_names() { # MARKDOWN...
    local bad=0 where program name
    while IFS=: read -r where name; do
        program=${name%%/*} name=${name#*/}
        grep -qsF "START_TEST($name)" "tests/$program.c" && continue
        echo "$where: there is no test $program/$name"
        bad=1
    done < <(grep -oE '`test_[a-z0-9_]+/[a-z0-9_]+`' -H "$@" | tr -d '`' | sort -u)
    return "$bad"
}

check_links() { # MARKDOWN...
    local bad=0 where target
    while IFS=: read -r where target; do
        target=${target#](} target=${target%)}
        [ -e "${where%/*}/${target%%#*}" ] && continue
        echo "$where: there is no '$target'"
        bad=1
    done < <(grep -oE '\]\([^)#:]+(#[^)]*)?\)' -H "$@" | sort -u)
    return "$bad"
}

# Each public function is on the card.
check_card() { # CARD
    local bad=0 function
    [ -f "$1" ] || return 0
    while IFS= read -r function; do
        grep -qF "$function" "$1" && continue
        echo "$1: lacks $function)"
        bad=1
    done < <(grep -h -A1 '^STELE_API' include/stele/*.h | grep -oE 'stele_[a-z0-9_]+[(]' | sort -u)
    return "$bad"
}

check_tree() { # ROOT; prints what differs
    local bad=0 where kind path block
    local -a markdown
    cd "$1"
    mapfile -t markdown < <(find . -name '*.md' -not -path './.*/*' -not -path './build/*' | sort)
    while IFS=$'\t' read -r where kind path block; do
        check_block "$where" "$kind" "$path" "$block" || bad=1
    done < <(cut_blocks "$work" "${markdown[@]}")
    check_test_names "${markdown[@]}" || bad=1
    check_links "${markdown[@]}" || bad=1
    check_card docs/api-card.md || bad=1
    return "$bad"
}

# shellcheck disable=SC2016 # backquotes of Markdown
self_test() {
    local tree=$work/tree bad=0 text
    mkdir -p "$tree/tests" "$tree/build/samples"
    STELE_BUILD=$tree/build
    printf 'one\ntwo\nthree\n' >"$tree/file.c"
    echo 'START_TEST(it_holds)' >"$tree/tests/test_a.c"
    printf '#!/bin/sh\necho out\n' >"$tree/build/samples/file"
    chmod +x "$tree/build/samples/file"

    printf '%s\n' '<!-- sample: file.c -->' '```c' one two three '```' \
        '<!-- part of: file.c -->' '```c' two '```' '```sh' anything '```' \
        '<!-- output: file.c -->' '```text' out '```' '`test_a/it_holds` [link](file.c)' >"$tree/a.md"
    mkdir -p "$tree/include/stele" "$tree/docs"
    echo 'STELE_API int stele_thing_do(int number);' >"$tree/include/stele/thing.h"
    echo '`stele_thing_do(number)`' >"$tree/docs/api-card.md"
    (check_tree "$tree") || { echo "samples.sh: true documentation is refused" && bad=1; }

    while IFS= read -r text; do
        printf '%b\n' "$text" >"$tree/a.md"
        (check_tree "$tree") >/dev/null 2>&1 || continue
        echo "samples.sh: not found: $text"
        bad=1
    done <<'DIFFERENCES'
<!-- sample: file.c -->\n```c\none\ntwo\n```
<!-- sample: none.c -->\n```c\none\n```
<!-- part of: file.c -->\n```c\none\nthree\n```
<!-- output: file.c -->\n```text\nother\n```
<!-- output: none.c -->\n```text\nout\n```
<!-- sample: file.c -->\nwords
```c\none\n```
`test_a/it_does_not`
[link](none.c)
DIFFERENCES
    rm "$tree/a.md"
    echo '`stele_thing(number)`' >"$tree/docs/api-card.md"
    ! (check_tree "$tree") >/dev/null || { echo "samples.sh: a poor card is not found" && bad=1; }
    return "$bad"
}

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "${1:-}" = --self-test ]; then
    self_test
else
    check_tree "${1:-$root}"
fi
