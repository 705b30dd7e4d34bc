/* The table of results, as text and as JSON, and the aims that it is compared with. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>
#include <stele/version.h>

#include "bench.h"

#define RESULTS_MAX 320

typedef struct result {
    char name[64];
    const char *unit;
    size_t count; /* of sides; 0: just `value` */
    double value;
    double bytes; /* of a unit; 0: that's not what it is about */
    struct {
        const char *label;
        double rate;
        double cpu;
    } sides[BENCH_CONTENDERS_MAX];
} result;

static result results[RESULTS_MAX];
static size_t result_count;
static bool printing = true;

/*
 * What the project wants to reach: ratios, so that they hold on any machine; of processor time
 * where nothing else is used. A row without `against` is about its value. Where hand-written code
 * has no checksums to make or verify, no names to look up and nothing to copy, it does less than
 * the format asks for: those rows are shown, and the aim is set against the row that does the same
 * work.
 */
static const struct aim {
    const char *name;
    const char *against;
    double bound;
    bool at_most;
} aims[] = {
    { "append-full-1", "with checksums", 0.90, false },
    { "append-full-10", "with checksums", 0.90, false },
    { "append-full-1000", "with checksums", 0.90, false },
    { "append-relaxed-1", "with checksums", 0.90, false },
    { "append-relaxed-10", "with checksums", 0.90, false },
    { "append-relaxed-1000", "with checksums", 0.90, false },
    { "keyed-relaxed", "random key by hand", 0.90, false },
    { "replay", "verified, named, copied", 0.80, false },
    { "replay-of-type", "all", 2.50, false },
    { "load-10", "verified, named, copied", 0.90, false },
    { "load-100", "verified, named, copied", 0.90, false },
    { "load-10000", "verified, named, copied", 0.90, false },
    { "codec-json-decode-200", "cJSON by hand", 3.00, false },
    { "codec-json-decode-2k", "cJSON by hand", 3.00, false },
    { "codec-json-encode-200", "cJSON by hand", 5.00, false },
    { "codec-json-encode-2k", "cJSON by hand", 5.00, false },
    { "codec-cbor-decode-200", "libcbor by hand", 1.50, false },
    { "codec-cbor-decode-2k", "libcbor by hand", 1.50, false },
    { "codec-cbor-encode-200", "libcbor by hand", 3.00, false },
    { "codec-cbor-encode-2k", "libcbor by hand", 3.00, false },
    { "execute-one-cached-full", "append", 0.80, false },
    { "execute-one-cached-relaxed", "append", 0.55, false },
    { "execute-one-cold-relaxed", "cold by hand", 0.75, false },
    { "execute-many-cached-relaxed", "append", 0.50, false },
    { "execute-many-cold-relaxed", "cold by hand", 0.55, false },
    { "fold-1000-typed", "verified, cJSON by hand", 1.00, false },
    { "fold-1000-raw", "verified, named, copied", 0.80, false },
    { "snapshot-save-relaxed", "with checksums", 0.75, false },
    { "snapshot-load", "with checksums", 0.35, false },
    { "state-put-relaxed", "with checksums", 0.80, false },
    { "state-get", "with checksums", 0.55, false },
    { "allocations-append, the library's", NULL, 0.01, true },
    { "allocations-replay, the library's", NULL, 0.01, true },
    { "file-size, of the payload", NULL, 1.40, true },
    { "shard-appends-relaxed, 1", "one store", 0.85, false },
    { "shard-put-relaxed", "entry of a store", 0.85, false },
    { "shard-put-relaxed, by its key", "entry of a store", 0.80, false },
    { "shard-descriptors, written and read once", NULL, 12, true },
    { "frame-append-relaxed-1", "plain", 0.40, false },
};

void bench_print_quietly(bool quiet)
{
    printing = !quiet;
}

static result *add_result(const char *name, const char *unit)
{
    if (result_count == RESULTS_MAX)
        bench_die("more than %d results", RESULTS_MAX);
    result *row = &results[result_count++];
    snprintf(row->name, sizeof(row->name), "%s", name);
    row->unit = unit;
    return row;
}

static result *add_race(const char *name, const char *unit, const bench_contender *contenders,
                        size_t count)
{
    result *row = add_result(name, unit);
    row->count = count;
    for (size_t i = 0; i < count; i++) {
        row->sides[i].label = contenders[i].label;
        row->sides[i].rate = contenders[i].rate;
        row->sides[i].cpu = contenders[i].cpu;
    }
    return row;
}

/* Of a race that only uses the processor: its time, which other work on the machine changes least.
 */
static double nanoseconds_of(const result *row, size_t side)
{
    return row->sides[side].cpu * 1e3;
}

static double megabytes_of(const result *row, size_t side)
{
    return row->bytes / row->sides[side].cpu;
}

static void print_race(const result *row)
{
    if (!printing)
        return;
    if (row->bytes > 0)
        printf("%s (%s, of %.0f bytes)\n", row->name, row->unit, row->bytes);
    else
        printf("%s (%s)\n", row->name, row->unit);
    for (size_t i = 0; i < row->count; i++) {
        printf("    %-28s %12.0f", row->sides[i].label, row->sides[i].rate);
        if (row->bytes > 0)
            printf(" %9.0f ns %7.1f MB/s", nanoseconds_of(row, i), megabytes_of(row, i));
        else
            printf(" %9.3f us", row->sides[i].cpu);
        if (i > 0)
            printf("   x %.2f, of cpu %.2f", row->sides[0].rate / row->sides[i].rate,
                   row->sides[i].cpu / row->sides[0].cpu);
        printf("\n");
    }
    fflush(stdout);
}

void bench_report(const char *name, const char *unit, const bench_contender *contenders,
                  size_t count)
{
    print_race(add_race(name, unit, contenders, count));
}

void bench_report_bytes(const char *name, const bench_contender *contenders, size_t count,
                        double size)
{
    result *row = add_race(name, "events/s", contenders, count);
    row->bytes = size;
    print_race(row);
}

void bench_report_value(const char *name, const char *unit, double value)
{
    add_result(name, unit)->value = value;
    if (printing)
        printf("%-44s %.4g %s\n", name, value, unit);
}

void bench_print_header(const bench_settings *settings)
{
    if (printing)
        printf("stele %d.%d.%d, SQLite %s, %d rounds, seed %" PRIu64 "\n", STELE_VERSION_MAJOR,
               STELE_VERSION_MINOR, STELE_VERSION_PATCH, sqlite3_libversion(), settings->rounds,
               settings->seed);
}

static void print_json_row(const result *row)
{
    printf("{\"name\":\"%s\",\"unit\":\"%s\"", row->name, row->unit);
    if (row->count == 0)
        printf(",\"value\":%.6g", row->value);
    if (row->bytes > 0)
        printf(",\"bytes\":%.6g", row->bytes);
    for (size_t i = 0; i < row->count; i++) {
        printf("%s{\"label\":\"%s\",\"rate\":%.6g,\"cpu_us\":%.6g", i == 0 ? ",\"sides\":[" : ",",
               row->sides[i].label, row->sides[i].rate, row->sides[i].cpu);
        if (row->bytes > 0)
            printf(",\"ns\":%.6g,\"mb_s\":%.6g", nanoseconds_of(row, i), megabytes_of(row, i));
        if (i > 0)
            printf(",\"ratio\":%.4f,\"cpu_ratio\":%.4f", row->sides[0].rate / row->sides[i].rate,
                   row->sides[i].cpu / row->sides[0].cpu);
        printf("}%s", i + 1 == row->count ? "]" : "");
    }
    printf("}");
}

void bench_print_json(const bench_settings *settings)
{
    printf("{\"v\":1,\"stele\":\"%d.%d.%d\",\"sqlite\":\"%s\",\"seed\":%" PRIu64
           ",\"rounds\":%d,\"quick\":%s,\"rows\":[",
           STELE_VERSION_MAJOR, STELE_VERSION_MINOR, STELE_VERSION_PATCH, sqlite3_libversion(),
           settings->seed, settings->rounds, settings->quick ? "true" : "false");
    for (size_t i = 0; i < result_count; i++) {
        if (i > 0)
            printf(",");
        print_json_row(&results[i]);
    }
    printf("]}\n");
}

static bool measure_aim(const struct aim *aim, double *reached_out)
{
    for (size_t i = 0; i < result_count; i++) {
        const result *row = &results[i];
        if (strcmp(row->name, aim->name) != 0)
            continue;
        *reached_out = row->value;
        if (aim->against == NULL)
            return true;
        for (size_t side = 1; side < row->count; side++) {
            *reached_out = row->bytes > 0 ? row->sides[side].cpu / row->sides[0].cpu
                                          : row->sides[0].rate / row->sides[side].rate;
            if (strcmp(row->sides[side].label, aim->against) == 0)
                return true;
        }
    }
    return false;
}

int bench_check_aims(void)
{
    int missed = 0;
    for (size_t i = 0; i < sizeof(aims) / sizeof(aims[0]); i++) {
        const struct aim *aim = &aims[i];
        double reached = 0;
        if (!measure_aim(aim, &reached))
            continue;
        bool met = aim->at_most ? reached <= aim->bound : reached >= aim->bound;
        missed += !met;
        fprintf(stderr, "%-6s %s%s%s: %.3g, aim %s %.3g\n", met ? "met" : "MISSED", aim->name,
                aim->against == NULL ? "" : " against ", aim->against == NULL ? "" : aim->against,
                reached, aim->at_most ? "at most" : "at least", aim->bound);
    }
    return missed;
}
