#!/bin/sh
# Write the library as two files, FOLDER/stele.h and FOLDER/stele.c, that need only each other,
# SQLite, xxHash and the codecs' libraries.
#
#   amalgamate.sh FOLDER
#
# stele.h is include/stele.h with every public header in the place of its first #include. stele.c
# is all of src/, lower layers first, each private header in the place of its first #include.
set -eu

folder=$1
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$root"

# The order of src/: the layers everything stands on, the siblings, then what composes them.
sources() {
    for area in base sqlite store; do
        find "src/$area" -name '*.c' 2>/dev/null | LC_ALL=C sort
    done
    find src -name '*.c' | LC_ALL=C sort | grep -vE '^src/(base|sqlite|store|shard)/' || :
    find src/shard -name '*.c' 2>/dev/null | LC_ALL=C sort
}

# Features of the system's headers are asked for before the first of them, so once for all.
feature_macros() {
    echo '#define _POSIX_C_SOURCE 200809L'
    find src -name '*.[ch]' | LC_ALL=C sort | xargs cat |
        sed -n 's/^# *define  *\(_[A-Z0-9_]*_\(SOURCE\|BITS\)\)\( *[0-9][0-9A-Za-z]*\)\{0,1\}.*$/#define \1\3/p' |
        grep -v '_POSIX_C_SOURCE' | LC_ALL=C sort -u
}

guarded() {
    while read -r define name value; do
        printf '#ifndef %s\n%s\n#endif\n' "$name" "$define $name${value:+ $value}"
    done
}

# Print the files given, following the includes that are ours.
join() { # public|private FILE...
    kind=$1
    shift
    awk -v kind="$kind" '
        function path_of(line, from,    path) {
            path = line
            sub(/^[^"<]*["<]/, "", path)
            sub(/[">].*$/, "", path)
            if (line ~ /^[^"]*</)
                return path ~ /^stele(\/|\.h$)/ ? "include/" path : ""
            if (path !~ /\//) {
                sub(/[^\/]*$/, "", from)
                return from path
            }
            return "src/" path
        }

        # Follows no include into a file that was printed before.
        function print_file(path,    line, target, status) {
            printed[path] = 1
            print "/* ---- " path " ---- */"
            while ((status = (getline line < path)) > 0) {
                if (line ~ /^[ \t]*#[ \t]*include[ \t]*["<]/) {
                    target = path_of(line, path)
                    if (target == "")
                        print line
                    else if (kind == "private" && target ~ /^include\//)
                        continue
                    else if (!(target in printed))
                        print_file(target)
                } else if (line !~ /^#[ \t]*define[ \t]+_[A-Z0-9_]*_(SOURCE|BITS)/)
                    print line
            }
            if (status < 0) {
                print "amalgamate: can not read " path > "/dev/stderr"
                exit 1
            }
            close(path)
        }

        BEGIN {
            for (i = 1; i < ARGC; i++)
                print_file(ARGV[i])
        }' "$@"
}

{
    echo '/* stele, the public headers in one file. Generated; change include/ instead. */'
    join public include/stele.h
} >"$folder/stele.h.new"

{
    echo '/* stele, the library in one file. Generated; change src/ instead. */'
    feature_macros | guarded
    echo '#include "stele.h"'
    # shellcheck disable=SC2046 # one argument a file; the project's names hold no blanks
    join private $(sources)
} >"$folder/stele.c.new"

# stele.h last: make takes it to be made from stele.c, so it must not look older.
mv "$folder/stele.c.new" "$folder/stele.c"
mv "$folder/stele.h.new" "$folder/stele.h"
touch "$folder/stele.h"
