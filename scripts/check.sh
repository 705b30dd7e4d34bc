#!/usr/bin/env bash
# Run test programs, several at a time, and add up their tests.
#
#   check.sh [--also COMMAND]... [--fixed-addresses] BUILD PROGRAM...
#
# Prints a line for each program, then all that the failed ones printed, then, as the last line,
# the totals of single tests: "N passed, N failed, N skipped". Fails when a test failed. COMMAND
# counts as one test that fails when the command does. A line that a program prints with "note: " is
# shown before the totals. A skip counts as a failure unless
# tests/skips.txt lists it. --fixed-addresses is for the thread sanitizer, which can't place its
# memory on kernels that randomise addresses more than it knows of.
#
# CHECK_JOBS is how many run at once; CHECK_LIMIT how many seconds a program may take.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
also=()
launcher=()
while [ $# -gt 0 ]; do
    case $1 in
    --also) also+=("$2"); shift 2 ;;
    --fixed-addresses)
        if setarch "$(uname -m)" -R true 2>/dev/null; then
            launcher=(setarch "$(uname -m)" -R)
        fi
        shift ;;
    *) break ;;
    esac
done
build=$(cd "$1" && pwd)
shift

work=$(mktemp -d)
trap 'rm -rf "$work" || true' EXIT
trap 'exit 130' INT TERM

export STELE_BUILD=$build STELE_TOOL=$build/stele
ulimit -c 0
if command -v timeout >/dev/null; then
    launcher=(timeout --signal=ABRT --kill-after=10 "${CHECK_LIMIT:-600}"
              ${launcher[@]+"${launcher[@]}"})
fi

# What to run, one a line: number, name, kind, command or program.
plan() {
    local number=0 item name
    for item in ${also[@]+"${also[@]}"}; do
        number=$((number + 1))
        printf '%d\t%s\t%s\t%s\n' "$number" "${item#scripts/}" command "$item"
    done
    for item in "$@"; do
        number=$((number + 1))
        name=${item##*/}
        case $item in */amalgamation/*) name=amalgamation/$name ;; esac
        printf '%d\t%s\t%s\t%s\n' "$number" "$name" program "$item"
    done
}

is_listed() { # PROGRAM TEST
    local glob rest
    while read -r glob rest; do
        case $glob in '' | '#'*) continue ;; esac
        # shellcheck disable=SC2254 # a pattern is what it is
        case $2 in $glob) return 0 ;; esac
        # shellcheck disable=SC2254
        case ${1##*/}/$2 in $glob) return 0 ;; esac
    done <"$root/tests/skips.txt"
    return 1
}

run_one() { # NUMBER NAME KIND WHAT; leaves output, and a result "PASSED FAILED SKIPPED"
    local number=$1 name=$2 kind=$3 what=$4 status=0 started=$SECONDS
    local total=1 failed=0 skipped=0 line='' test='' reason=''
    local home=$work/$number output=$work/$number.output skips=$work/$number.skips
    mkdir "$home"
    : >"$skips"
    if [ "$kind" = command ]; then
        (cd "$root" && bash -c "$what") >"$output" 2>&1 </dev/null || status=$?
        [ "$status" -eq 0 ] || failed=1
    else
        TMPDIR=$home STELE_SKIP_FILE=$skips ${launcher[@]+"${launcher[@]}"} "$what" >"$output" 2>&1 </dev/null ||
            status=$?
        line=$(sed -n 's/^# stele-tests \([0-9]* [0-9]* [0-9]*\)$/\1/p' "$output" | tail -n 1)
        if [ -z "$line" ]; then
            echo "$name ended with status $status before its last line" >>"$output"
            total=1 failed=1
        else
            read -r total failed _ <<<"$line"
            if [ "$total" -eq 0 ]; then
                echo "$name ran no test" >>"$output"
                total=1 failed=1
            elif [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
                echo "$name ended with status $status although its tests passed" >>"$output"
                total=$((total + 1)) failed=1
            fi
        fi
        while IFS= read -r line; do
            test=${line%%:*} reason=${line#*: }
            if is_listed "$name" "$test"; then
                skipped=$((skipped + 1))
                echo "skipped: $test: $reason" >>"$work/$number.notes"
            else
                failed=$((failed + 1))
                echo "$test: skipped, but tests/skips.txt doesn't list it: $reason" >>"$output"
            fi
        done <"$skips"
        sed -n 's/^note: //p' "$output" >>"$work/$number.notes"
    fi
    # Not while a process that it left behind writes there.
    if ! { chmod -R u+rwx "$home" && rm -rf "$home"; } 2>/dev/null; then
        echo "its files could not be removed: does it leave a process behind?" >>"$work/$number.notes"
    fi

    local passed=$((total - failed - skipped))
    [ "$passed" -ge 0 ] || passed=0
    echo "$passed $failed $skipped" >"$work/$number.result"
    line="ok  "
    [ "$failed" -eq 0 ] || line="FAIL"
    printf '  %s %s: %d of %d, %d s\n' "$line" "$name" "$passed" "$total" "$((SECONDS - started))"
}

# Half of their time most tests wait for the disk.
jobs=${CHECK_JOBS:-$((2 * $(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)))}
plan "$@" >"$work/plan"
while IFS=$'\t' read -r number name kind what; do
    while [ "$(jobs -pr | wc -l)" -ge "$jobs" ]; do
        sleep 0.02
    done
    run_one "$number" "$name" "$kind" "$what" &
done <"$work/plan"
wait

passed=0 failed=0 skipped=0
while IFS=$'\t' read -r number name kind what; do
    p=0 f=1 s=0
    [ ! -f "$work/$number.result" ] || read -r p f s <"$work/$number.result"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$f" -gt 0 ]; then
        printf '\n--- %s: %s %s\n' "$name" "$kind" "$what"
        cat "$work/$number.output"
    fi
    [ ! -f "$work/$number.notes" ] || sed "s|^|  $name |" "$work/$number.notes"
done <"$work/plan"

printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
