#!/bin/sh
# Install what the project needs, where apt-get is; elsewhere name it.
#
#   deps.sh build      to build and test
#   deps.sh develop    that, and what `make lint` and `make sanitize` use
#
# Does nothing when nothing is missing.
set -eu

purpose=${1:-build}
missing=''

has_command() { command -v "$1" >/dev/null 2>&1; }
has_library() { has_command pkg-config && pkg-config --exists "$1"; }
has_fuzzer_runtime() {
    has_command clang && find "$(clang -print-resource-dir)/lib" -name 'libclang_rt.fuzzer*' |
        grep -q .
}

# need TEST ARGUMENT APT DNF PACMAN APK BREW; '-' where the system itself has it
need() {
    "$1" "$2" && return
    missing="$missing$3 $4 $5 $6 $7
"
}

compiler=cc
has_command cc || compiler=gcc
need has_command "$compiler" gcc gcc gcc gcc gcc
[ -e /usr/include/stdio.h ] || ! has_command apt-get || need false '' libc6-dev - - - -
need has_command make make make make make make
need has_command bash bash bash bash bash bash
need has_command gzip gzip gzip gzip gzip gzip
need has_command pkg-config pkg-config pkgconf pkgconf pkgconf pkgconf
need has_library sqlite3 libsqlite3-dev sqlite-devel sqlite sqlite-dev sqlite
need has_library libcjson libcjson-dev cjson-devel cjson cjson-dev cjson
need has_library libcbor libcbor-dev libcbor-devel libcbor libcbor-dev libcbor
need has_library libxxhash libxxhash-dev xxhash-devel xxhash xxhash-dev xxhash
need has_library check check check-devel check check-dev check
# A test makes a locale with a decimal comma from its source.
[ -e /usr/share/i18n/locales/de_DE ] || ! has_command apt-get || need false '' locales - - - -

if [ "$purpose" = develop ]; then
    need has_command g++ g++ gcc-c++ gcc g++ gcc
    need has_command clang clang clang clang clang llvm
    need has_command clang-tidy clang-tidy clang-tools-extra clang clang-extra-tools llvm
    need has_command clang-format clang-format clang-tools-extra clang clang-extra-tools clang-format
    need has_command cppcheck cppcheck cppcheck cppcheck cppcheck cppcheck
    need has_fuzzer_runtime '' libclang-rt-dev compiler-rt compiler-rt compiler-rt llvm
    need has_command shellcheck shellcheck ShellCheck shellcheck shellcheck shellcheck
    need has_command mandoc mandoc mandoc mandoc mandoc mandoc
    need has_command valgrind valgrind valgrind valgrind valgrind valgrind
    need has_command sqlite3 sqlite3 sqlite sqlite sqlite sqlite
    need has_command git git git git git git
fi

# The missing packages by their names in one package manager, on one line.
missing_in() { # COLUMN
    printf '%s' "$missing" |
        awk -v column="$1" '$column != "-" && !seen[$column]++ { printf "%s ", $column }'
}

name_them() { # COLUMN COMMAND
    echo "deps: run: $2 $(missing_in "$1")" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif has_command sudo; then
        sudo "$@"
    else
        echo "deps: not root and no sudo; run: $*" >&2
        return 1
    fi
}

apt_install() {
    as_root apt-get update &&
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends "$@"
}

if [ -z "$missing" ]; then
    exit 0
elif has_command apt-get; then
    # shellcheck disable=SC2046 # one argument a package
    apt_install $(missing_in 1) >&2
elif has_command dnf; then
    name_them 2 'dnf install'
elif has_command pacman; then
    name_them 3 'pacman -S'
elif has_command apk; then
    name_them 4 'apk add build-base'
elif has_command brew; then
    name_them 5 'brew install'
else
    name_them 1 '(the package manager, which names these like Debian:)'
fi
