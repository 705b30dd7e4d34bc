#!/usr/bin/env bash
# Run the fuzzing targets of tests/fuzz. Behind `make fuzz`.
#
#   fuzz.sh BUILD TARGET...    run each target for its number of runs, two at a time
#   fuzz.sh --control BUILD    show that planted bugs are found
#   fuzz.sh --needs COMPILER   say whether the compiler has libFuzzer
#
# STELE_EFFORT=ci (half a minute) or long (half an hour); STELE_SEED=N repeats a run of effort ci, which
# always begins with the seeds. What a long run finds stays in BUILD/found/long, and the next goes on
# from there. Each target runs a given number of inputs; the time is only a ceiling, for machines
# that are much slower. An input that ends a target is kept in BUILD/crashes.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
memory_limits=(-rss_limit_mb=256 -malloc_limit_mb=64)
# What was freed is kept unused for a while, to find who uses it all the same; not for 256 MB.
export ASAN_OPTIONS=quarantine_size_mb=8:detect_leaks=1:detect_stack_use_after_return=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export UBSAN_OPTIONS=print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}

needs_libfuzzer() { # COMPILER
    local work
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # the path of now
    trap "rm -rf '$work'" EXIT
    echo 'int LLVMFuzzerTestOneInput(const char *data, unsigned long size);
          int LLVMFuzzerTestOneInput(const char *data, unsigned long size)
          { return data == 0 && size != 0; }' >"$work/target.c"
    if ! "$1" -fsanitize=fuzzer,address -o "$work/target" "$work/target.c" >"$work/log" 2>&1; then
        cat "$work/log" >&2
        echo "fuzz: $1 can't link with libFuzzer; 'make deps-dev' installs clang and its runtime" >&2
        exit 1
    fi
}

# How many inputs at effort ci: what takes about 12 seconds each.
runs_of() { # TARGET
    case $1 in
    json_gate) echo 250000 ;;
    json_tree) echo 300000 ;;
    cbor) echo 140000 ;;
    typed) echo 250000 ;;
    jsonl) echo 11000 ;;
    *) echo 100000 ;;
    esac
}

corpus_of() { # TARGET
    case $1 in
    json_* | control) echo json ;;
    *) echo "$1" ;;
    esac
}

figure() { # NAME LOG
    sed -n "s/^stat::$1: *//p" "$2" | tail -n 1
}

say_how_to_replay() { # BUILD TARGET LOG
    local input
    input=$(sed -n 's/.*Test unit written to //p' "$3" | tail -n 1)
    if [ -n "$input" ]; then
        echo "again: $1/fuzz_$2 $input"
        echo "or without libFuzzer: ${1%/fuzz}/tests/fuzz/$2 $input"
    fi
    echo "all of the log: $3"
}

fuzz_one() { # BUILD TARGET; leaves BUILD/logs/TARGET.verdict
    local build=$1 target=$2 log=$1/logs/$2.log found=$1/found/$effort/$2
    local dictionary count seconds status=0 done_runs
    dictionary=$here/tests/fuzz/$(corpus_of "$target").dict
    count=$(($(runs_of "$target") * factor))
    mkdir -p "$found"
    [ "$effort" = long ] || rm -f "$found"/*
    SECONDS=0
    "$build/fuzz_$target" -seed="$seed" -runs="$count" -max_total_time="$ceiling" -max_len=4096 \
        -timeout=20 "${memory_limits[@]}" -print_final_stats=1 -dict="$dictionary" \
        -artifact_prefix="$build/crashes/$target-" "$found" \
        "$build/tests/fuzz/corpus/$(corpus_of "$target")" >"$log" 2>&1 </dev/null || status=$?
    seconds=$SECONDS
    done_runs=$(figure number_of_executed_units "$log")
    if [ "$status" -ne 0 ] || [ "${done_runs:-0}" -eq 0 ]; then
        {
            printf '  FAIL %s: status %d after %s runs\n' "$target" "$status" "${done_runs:-no}"
            grep -v '^#' "$log" | tail -n 60
            say_how_to_replay "$build" "$target" "$log"
        } >"$build/logs/$target.verdict"
        return
    fi
    printf '  ok   %s: %d runs, %d s, %s a second, %d seeds, %d finds, %s MB%s\n' "$target" \
        "$done_runs" "$seconds" "$(figure average_exec_per_sec "$log")" \
        "$(find "$build/tests/fuzz/corpus/$(corpus_of "$target")" -type f | wc -l)" \
        "$(find "$found" -type f | wc -l)" "$(figure peak_rss_mb "$log")" \
        "$([ "$done_runs" -ge "$count" ] || echo ", stopped at the ceiling of $ceiling s")" \
        >"$build/logs/$target.verdict"
}

# Wait until one of two lanes is free.
await_lane() {
    while [ "$(jobs -pr | wc -l)" -ge 2 ]; do
        sleep 0.1
    done
}

fuzz_all() { # BUILD TARGET...
    local build=$1 target failed=0 total=0
    shift
    for target in "$@"; do
        await_lane
        fuzz_one "$build" "$target" &
    done
    wait
    for target in "$@"; do
        cat "$build/logs/$target.verdict"
        grep -q '^  ok' "$build/logs/$target.verdict" || failed=1
        total=$((total + $(figure number_of_executed_units "$build/logs/$target.log" | grep . || echo 0)))
    done
    printf 'fuzz: %d runs in all, STELE_SEED=%s STELE_EFFORT=%s\n' "$total" "$seed" "$effort"
    return "$failed"
}

# A planted bug: no seed shows it, and a short run finds it, for the reason that is expected.
find_bug() { # BUILD BUG REASON; leaves BUILD/logs/control-BUG.verdict
    local build=$1 bug=$2 reason=$3 log=$1/logs/control-$2.log found=$1/found/ci/control-$2
    local seeds=$1/tests/fuzz/corpus/json
    export STELE_FUZZ_CONTROL=$bug
    rm -rf "$found" && mkdir -p "$found"
    {
        if ! "$build/fuzz_control" -runs=0 "$seeds" >"$log" 2>&1 </dev/null; then
            printf '  FAIL control %s: a seed shows it already\n' "$bug"
        elif "$build/fuzz_control" -seed="$seed" -runs=5000000 -max_total_time=200 \
            "${memory_limits[@]}" -dict="$here/tests/fuzz/json.dict" \
            -artifact_prefix="$build/crashes/control-$bug-" "$found" "$seeds" >"$log" 2>&1 </dev/null; then
            printf '  FAIL control %s: not found\n' "$bug"
        elif ! grep -q "$reason" "$log"; then
            printf '  FAIL control %s: found something else\n' "$bug"
            tail -n 40 "$log"
        else
            printf '  ok   control %s: found, %s runs\n' "$bug" \
                "$(sed -n 's/^#\([0-9]*\).*/\1/p' "$log" | tail -n 1)"
            rm -f "$build/crashes/control-$bug-"*
        fi
    } >"$build/logs/control-$bug.verdict"
}

control() { # BUILD
    local bug failed=0
    local -A reasons=(
        [claim]='not so: claim'
        [overread]='AddressSanitizer: heap-buffer-overflow'
        [leak]='LeakSanitizer: detected memory leaks'
    )
    for bug in "${!reasons[@]}"; do
        await_lane
        find_bug "$1" "$bug" "${reasons[$bug]}" &
    done
    wait
    for bug in "${!reasons[@]}"; do
        cat "$1/logs/control-$bug.verdict"
        grep -q '^  ok' "$1/logs/control-$bug.verdict" || failed=1
    done
    return "$failed"
}

effort=${STELE_EFFORT:-ci}
case $effort in
ci) factor=1 ceiling=60 ;;
long) factor=30 ceiling=700 ;;
*) echo "fuzz: STELE_EFFORT is ci or long, not $effort" >&2; exit 1 ;;
esac
# libFuzzer's seeds have 32 bits, and 0 means one of its own.
seed=${STELE_SEED:-$((($(date +%s) * 1000 + $$ % 1000) % 4294967295 + 1))}

if [ "${1:-}" = --needs ]; then
    needs_libfuzzer "$2"
    exit
fi
what=fuzz_all
if [ "${1:-}" = --control ]; then
    what=control
    shift
fi
build=$(cd "$1" && pwd)
shift
mkdir -p "$build/logs" "$build/crashes"
"$what" "$build" "$@"
