#!/usr/bin/env bash
# Everything about the project that can be checked without running it. Behind `make lint`.
#
#   lint.sh FOLDER     build in FOLDER
set -euo pipefail

folder=$1
cd "$(dirname "$0")/.."
mkdir -p "$folder"
processors=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
make=("${MAKE:-make}")
case ${MAKEFLAGS:-} in
*jobserver*) ;;
*) make+=("-j$processors") ;;
esac

failures=()
step() { # NAME COMMAND...
    local name=$1 started=$SECONDS verdict=ok
    shift
    if ! "$@" >"$folder/log" 2>&1; then
        verdict=FAIL
        failures+=("$name")
    fi
    printf '  %-4s %s (%d s)\n' "$verdict" "$name" "$((SECONDS - started))"
    if [ "$verdict" = FAIL ] || grep -q 'lines in one' "$folder/log"; then
        cat "$folder/log" >&2
    fi
}

check_format() {
    scripts/c-files.sh | xargs clang-format --dry-run -Werror
}

check_shell() {
    local scripts=(scripts/*.sh) script
    for script in .ci/run tests/*.sh tests/*/*.sh; do
        [ ! -f "$script" ] || scripts+=("$script")
    done
    shellcheck "${scripts[@]}"
}

check_manual() {
    local pages=(docs/man/*.[1-8])
    [ -e "${pages[0]}" ] || return 0
    mandoc -T lint -W warning "${pages[@]}"
}

build_with() { # COMPILER
    "${make[@]}" -s O="$folder/$1" CC="$1" CFLAGS='-O2 -g' WERROR=1 objects
}

check_exports() {
    local compiler
    for compiler in gcc clang; do
        scripts/exports.sh "$folder/$compiler/libstele.so" || return 1
    done
}

check_tidy() {
    local options=(-std=c11 -D_POSIX_C_SOURCE=200809L -Iinclude -Isrc) option
    for option in $(pkg-config --cflags sqlite3 libcjson libcbor libxxhash); do
        options+=("$option")
    done
    # clang-tidy counts suppressed warnings on standard error; what it found is on standard output.
    # The analyzer follows the paths through a function until it has seen so many states.
    [ "${STELE_EFFORT:-ci}" = long ] ||
        options+=(-Xclang -analyzer-config -Xclang max-nodes=50000)
    scripts/c-files.sh | grep -E '^(src|tools|examples|docs|bench)/.*[.]c$' |
        xargs -P "$processors" -I '{}' clang-tidy --quiet '{}' -- "${options[@]}" 2>/dev/null
}

step 'shell scripts' check_shell
step 'layers' scripts/layers.sh
step 'sizes of functions and files' scripts/sizes.sh
step 'format' check_format
step 'manual pages' check_manual
step 'public headers alone' scripts/headers.sh
step 'build with gcc' build_with gcc
step 'build with clang' build_with clang
step 'exported names' check_exports
step 'clang-tidy' check_tidy

if [ ${#failures[@]} -gt 0 ]; then
    printf 'lint: failed:'
    printf ' %s;' "${failures[@]}"
    printf '\n'
    exit 1
fi
echo 'lint: no complaints'
