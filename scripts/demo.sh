#!/usr/bin/env bash
# Run the loan desk of examples/ on a log of loan applications.
#
#   [DATA=FILE.jsonl[.gz]] [OUT=json] demo.sh BUILD
#
# Without DATA the log is generated. The store stays in BUILD/demo, so a second run finds that it
# has every event already. Only the program writes to standard output.
set -euo pipefail

build=$1
data=${DATA:-}
folder=$build/demo
mkdir -p "$folder"

if [ -z "$data" ]; then
    data=$folder/loans.jsonl
    "$build/tests/loan_log" --applications 3000 --seed 1 >"$data.new"
    # Another log than last time: the old store would keep its events beside the new ones.
    cmp -s "$data.new" "$data" || rm -f "$folder"/loans.stele*
    mv "$data.new" "$data"
fi
if [ ! -r "$data" ]; then
    echo "demo: can't read '$data'" >&2
    exit 2
fi
data=$(cd "$(dirname "$data")" && pwd)/${data##*/}

name=${data##*/}
name=${name%.gz}
name=${name%.jsonl}
# Another content is another log, whatever its file is called.
name=$name-$(cksum <"$data" | cut -d' ' -f1)
program=("$build/examples/loan_desk")
[ "${OUT:-}" != json ] || program+=(--json)
program+=("$folder/$name.stele")

case $data in
*.gz) gzip -dc "$data" | "${program[@]}" - --source "$data" ;;
*) "${program[@]}" "$data" ;;
esac
