#!/usr/bin/env bash
# Check that each area keeps to its layer: who may include what, who may name which library.
#
#   layers.sh [ROOT]       check the tree at ROOT (this project without it)
#   layers.sh --self-test  check that each rule finds its violation
#
#   base                          includes base
#   sqlite                        base, sqlite; alone names sqlite3_
#   store                         base, sqlite, store
#   eventstore snapshot ...       base, sqlite, store, and their own folder
#   aggregate subscription ...    base, store, their own folder, any area's checks.h and list.h, and headers_open
#   tools examples bench          <stele/...> and their own folder; bench also frame/local.h, which
#                                 has no public face yet
#   tests/fuzz                    <stele/...> and its own folder
#
# Nobody uses cJSON_Utils. Public headers are open to all. Only src/codec names cJSON_ and cbor_, only src/base/platform*
# includes the headers of the operating system.
set -euo pipefail

areas_over_sqlite='eventstore snapshot checkpoint state notify codec'
areas_composing='aggregate subscription projection resume session jsonl verify backup copy retention frame shard'
headers_open='eventstore/trim.h eventstore/tail.h eventstore/follow.h eventstore/inline.h checkpoint/slowest.h checkpoint/own.h state/own.h notify/waiting.h backup/destination.h backup/proof.h backup/recover.h frame/frame.h frame/local.h frame/replica.h' # to composing areas

check_tree() { # ROOT; prints violations
    local files
    files=$(cd "$1" && find src include tools examples bench tests/fuzz -name '*.[ch]' 2>/dev/null | sort)
    [ -n "$files" ] || return 0
    # shellcheck disable=SC2086 # one argument a file; the project's names hold no blanks
    (cd "$1" && awk -v over_sqlite="$areas_over_sqlite" -v composing="$areas_composing" \
        -v headers_open=" $headers_open " '
        BEGIN {
            allowed["base"] = " base "
            allowed["sqlite"] = " base sqlite "
            allowed["store"] = " base sqlite store "
            count = split(over_sqlite, list, " ")
            for (i = 1; i <= count; i++)
                allowed[list[i]] = " base sqlite store " list[i] " "
            count = split(composing, list, " ")
            for (i = 1; i <= count; i++) {
                allowed[list[i]] = " base store " list[i] " "
                composes[list[i]] = 1
            }
        }

        function report(what) {
            printf "%s:%d: %s\n", FILENAME, FNR, what
        }

        # The line without comments and string literals.
        function code_of(text,    result, close_at, here) {
            result = ""
            while (text != "") {
                if (in_comment) {
                    close_at = index(text, "*/")
                    if (close_at == 0)
                        return result
                    text = substr(text, close_at + 2)
                    in_comment = 0
                } else if (substr(text, 1, 2) == "/*") {
                    in_comment = 1
                    text = substr(text, 3)
                } else if (substr(text, 1, 2) == "//") {
                    return result
                } else if (match(text, /^"([^"\\]|\\.)*"/)) {
                    result = result "\"\""
                    text = substr(text, RLENGTH + 1)
                } else {
                    here = substr(text, 1, 1)
                    result = result here
                    text = substr(text, 2)
                }
            }
            return result
        }

        function names(code, word) {
            return (" " code) ~ ("[^A-Za-z0-9_]" word)
        }

        # A quoted include: from the folder of its file, or from src/.
        function check_quoted(path,    parts, target) {
            if (path ~ /^[^\/]*$/ || path ~ /\.\./) {
                if (path ~ /\.\./)
                    report("\"" path "\" leaves its folder")
                return
            }
            split(path, parts, "/")
            target = parts[1]
            if (part == "bench" && path == "frame/local.h") {
                return
            } else if (part != "src") {
                report(part " includes \"" path "\"; only <stele/...> and its own folder are open")
            } else if (composes[area] && path ~ /\/(checks|list)\.h$/) {
                return
            } else if (composes[area] && index(headers_open, " " path " ") > 0) {
                return
            } else if (index(allowed[area], " " target " ") == 0) {
                report("src/" area " may not include \"" path "\"")
            }
        }

        function check_system(path) {
            if (path ~ /^sqlite3/ && (part == "include" || (part == "src" && area != "sqlite")))
                report("only src/sqlite includes <" path ">")
            if (path ~ /^(cjson\/)?cJSON/ && (part == "include" || (part == "src" && area != "codec")))
                report("only src/codec includes <" path ">")
            if (path ~ /cJSON_Utils/)
                report("nobody includes <" path ">: its flaws are open")
            if (path ~ /^cbor/ && (part == "include" || (part == "src" && area != "codec")))
                report("only src/codec includes <" path ">")
            if (path ~ /^(unistd|fcntl)\.h$|^sys\// && part == "include")
                report("a public header includes <" path ">")
            if (path ~ /^(unistd|fcntl)\.h$|^sys\// && part == "src" && \
                FILENAME !~ /^src\/base\/platform/)
                report("only src/base/platform* includes <" path ">")
        }

        FNR == 1 {
            in_comment = 0
            split(FILENAME, folders, "/")
            part = folders[1] == "tests" ? "tests/" folders[2] : folders[1]
            area = part == "src" ? folders[2] : ""
            if (part == "src" && !(area in allowed) && !(area in unknown)) {
                unknown[area] = 1
                report("src/" area " is no known area: give it a layer in scripts/layers.sh")
            }
        }

        !in_comment && /^[ \t]*#[ \t]*include[ \t]*["<]/ {
            path = $0
            sub(/^[^"<]*["<]/, "", path)
            sub(/[">].*$/, "", path)
            if ($0 ~ /^[^<]*"/)
                check_quoted(path)
            else
                check_system(path)
            next
        }

        {
            code = code_of($0)
            if (part == "include" || (part == "src" && area != "sqlite"))
                if (names(code, "sqlite3_"))
                    report("only src/sqlite names sqlite3_")
            if (part == "include" || (part == "src" && area != "codec"))
                if (names(code, "cJSON_") || names(code, "cbor_"))
                    report("only src/codec names cJSON_ and cbor_")
            if (FILENAME !~ /^tests\// && (names(code, "cJSONUtils_") || names(code, "cJSON_Compare")))
                report("nobody calls cJSON_Compare() or what is in cJSON_Utils")
        }' $files)
}

self_test() {
    local tree file text bad=0
    tree=$(mktemp -d)
    # shellcheck disable=SC2064 # the path of now
    trap "rm -rf '$tree'" EXIT
    mkdir -p "$tree"/src/{base,sqlite,store,codec,eventstore,snapshot,aggregate} \
        "$tree"/include/stele "$tree"/tools/stele "$tree"/examples "$tree"/bench "$tree"/tests/fuzz

    printf '%s\n' '#include <unistd.h>' >"$tree/src/base/platform.c"
    printf '%s\n' '#include "base/bytes.h"' '#include <sqlite3.h>' 'sqlite3_open();' \
        >"$tree/src/sqlite/database.c"
    printf '%s\n' '#include "sqlite/database.h"' '#include <stele/store.h>' \
        '/* sqlite3_step() and' ' * cJSON_Parse() are only mentioned */ "sqlite3_"' \
        >"$tree/src/store/open.c"
    printf '%s\n' '#include "eventstore/checks.h"' '#include "eventstore/trim.h"' '#include <pthread.h>' \
        >"$tree/src/aggregate/execute.c"
    printf '%s\n' 'struct sqlite3;' >"$tree/include/stele/transaction.h"
    printf '%s\n' '#include "options.h"' '#include <unistd.h>' >"$tree/tools/stele/main.c"
    printf '%s\n' '#include "fuzz.h"' '#include <stele/json.h>' >"$tree/tests/fuzz/fuzz_json.c"
    if [ -n "$(check_tree "$tree")" ]; then
        echo "layers.sh: a clean tree is refused:"
        check_tree "$tree"
        bad=1
    fi

    while IFS='|' read -r file text; do
        printf '%s\n' "$text" >"$tree/$file"
        if ! check_tree "$tree" | grep -q "^$file:"; then
            echo "layers.sh: not found: $text in $file"
            bad=1
        fi
        rm "$tree/$file"
    done <<'VIOLATIONS'
src/base/a.c|#include "sqlite/database.h"
src/base/b.c|#include <fcntl.h>
src/sqlite/a.c|#include "store/store.h"
src/store/a.c|#include "eventstore/append.h"
src/store/b.c|#include <sys/stat.h>
src/store/c.c|    sqlite3_step(statement);
src/store/d.c|# include <sqlite3.h>
src/eventstore/a.c|#include "snapshot/snapshot.h"
src/eventstore/b.c|#include "snapshot/checks.h"
src/eventstore/c.c|x = cJSON_Parse(text);
src/eventstore/d.c|#include "../snapshot/snapshot.h"
src/snapshot/a.c|cbor_load();
src/codec/a.c|#include <cjson/cJSON_Utils.h>
src/codec/b.c|x = cJSONUtils_ApplyPatches(a, b);
tools/stele/b.c|if (cJSON_Compare(a, b, 1))
src/aggregate/a.c|#include "sqlite/database.h"
src/aggregate/b.c|#include "eventstore/append.h"
src/snapshot/b.c|#include "eventstore/trim.h"
include/stele/a.h|#include <sqlite3.h>
include/stele/b.h|int sqlite3_thing(void);
include/stele/c.h|#include "base/bytes.h"
tools/stele/a.c|#include "store/store.h"
examples/a.c|#include "base/bytes.h"
bench/a.c|#include "eventstore/append.h"
tests/fuzz/a.c|#include "codec/json_internal.h"
tests/fuzz/b.c|#include "../support.h"
VIOLATIONS

    mkdir "$tree/src/unheard"
    echo >"$tree/src/unheard/a.c"
    check_tree "$tree" | grep -q '^src/unheard/a.c:' || { echo "layers.sh: new area not found"; bad=1; }
    return "$bad"
}

if [ "${1:-}" = --self-test ]; then
    self_test
else
    violations=$(check_tree "${1:-$(dirname "$0")/..}")
    if [ -n "$violations" ]; then
        echo "$violations"
        exit 1
    fi
fi
