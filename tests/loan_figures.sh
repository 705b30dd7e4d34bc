#!/bin/sh
# The figures of a log of loan applications, one a line, in the order of their names: what
# `projection_worker --report` has to write. Counted from the lines alone, by other means.
#
#   loan_figures.sh LOG
#
# The log is in the form that loan_log writes: one event a line, each application submitted once,
# its data without nested objects; the event of line N has position N.
set -eu

LC_ALL=C
export LC_ALL

# shellcheck disable=SC2016 # awk's, not the shell's
count='
# The text of a member, with its escapes; "" where there is none. Members of the data have unique
# names.
function member(name, start, at) {
    start = index($0, "\"" name "\":\"")
    if (start == 0) return ""
    start += length(name) + 4
    for (at = start; substr($0, at, 1) != "\""; at++)
        if (substr($0, at, 1) == "\\") at++
    return substr($0, start, at - start)
}

function hex(digits, number, i) {
    number = 0
    for (i = 1; i <= length(digits); i++)
        number = number * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
    return number
}

function shown(byte) {
    if (byte < 32 || byte > 126 || byte == 92) return sprintf("\\x%02x", byte)
    return sprintf("%c", byte)
}

# As UTF-8; below 65536.
function character(number) {
    if (number < 128) return shown(number)
    if (number < 2048) return shown(192 + int(number / 64)) shown(128 + number % 64)
    return shown(224 + int(number / 4096)) shown(128 + int(number / 64) % 64) \
        shown(128 + number % 64)
}

# What a string of JSON says, each byte that is not a plain character as \xNN.
function spoken(text, result, at, letter) {
    result = ""
    for (at = 1; at <= length(text); at++) {
        letter = substr(text, at, 1)
        if (letter != "\\") {
            result = result shown(code[letter])
            continue
        }
        letter = substr(text, ++at, 1)
        if (letter == "u") {
            result = result character(hex(substr(text, at + 1, 4)))
            at += 4
        } else {
            result = result shown(code[letter])
        }
    }
    return result
}

# Milliseconds from "2011-09-30T22:38:44.546Z".
function milliseconds(time, year, month, days) {
    year = substr(time, 1, 4) + 0
    month = substr(time, 6, 2) + 0
    if (month < 3) { year--; month += 12 }
    days = 365 * year + int(year / 4) - int(year / 100) + int(year / 400) \
        + int((153 * (month - 3) + 2) / 5) + substr(time, 9, 2)
    return ((days * 24 + substr(time, 12, 2)) * 60 + substr(time, 15, 2)) * 60000 \
        + substr(time, 18, 2) * 1000 + substr(substr(time, 21, length(time) - 21) "000", 1, 3)
}

function millionths(amount, point) {
    point = index(amount, ".")
    if (point == 0) return amount * 1000000
    return substr(amount, 1, point - 1) * 1000000 + substr(substr(amount, point + 1) "000000", 1, 6)
}

BEGIN {
    for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i
}

{
    stream = member("stream")
    type = member("type")
    applications[stream]
    type_events[type]++
    type_positions[type] += NR
    positions += NR
    resource_events[spoken(member("resource"))]++
    if (type == "A_SUBMITTED") {
        submitted_at[stream] = milliseconds(member("time"))
        amount[stream] = millionths(member("amount_req"))
    } else if (type == "O_CREATED") {
        offers++
        offered[stream]
    } else if (type == "A_APPROVED" || type == "A_DECLINED" || type == "A_CANCELLED") {
        outcome[stream] = tolower(substr(type, 3))
        decided_at[stream] = milliseconds(member("time"))
    }
}

function size(list, key, n) {
    n = 0
    for (key in list) n++
    return n
}

END {
    print "count events " NR
    printf "count positions %.0f\n", positions
    print "count applications " size(applications)
    print "count submitted " size(submitted_at)
    print "count offers " offers + 0
    print "count offered " size(offered)
    for (stream in applications) {
        kind = stream in outcome ? outcome[stream] : "undecided"
        number[kind]++
        asked[kind] += amount[stream]
        if (stream in outcome) printf "lead %.0f\n", decided_at[stream] - submitted_at[stream]
    }
    split("approved declined cancelled undecided", kinds, " ")
    for (i = 1; i <= 4; i++)
        printf "say outcome %s\t%.0f\t%.0f\n", kinds[i], number[kinds[i]], asked[kinds[i]]
    for (type in type_events)
        printf "say type %s\t%.0f\t%.0f\n", type, type_events[type], type_positions[type]
    for (resource in resource_events)
        printf "say resource %s\t%.0f\n", resource, resource_events[resource]
}'

# shellcheck disable=SC2016
write='
$1 == "lead" { leads[++count] = $2 }
$1 == "count" { print $2 "\t" $3 }
$1 == "say" { print substr($0, 5) }
function rank(percent, place) {
    place = int(count * percent / 100)
    if (place * 100 < count * percent) place++
    return place
}
END {
    printf "lead_ms p50\t%.0f\n", leads[rank(50)]
    printf "lead_ms p90\t%.0f\n", leads[rank(90)]
}'

# The times are numbers in the second column, in order for the ranks.
awk "$count" "$1" | sort -k2,2n | awk "$write" | sort
