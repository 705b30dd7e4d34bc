/*
 * The library against hand-written C on the same SQLite, schema, pragmas and durability, in one
 * run. What it measures and how to read it: docs/performance.md.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const struct bench_case {
    const char *name;
    void (*run)(const bench_settings *settings, const bench_workload *workload);
} cases[] = {
    { "append", bench_case_append },       { "keyed", bench_case_keyed },
    { "replay", bench_case_replay },       { "filters", bench_case_filters },
    { "loads", bench_case_loads },         { "memory", bench_case_memory },
    { "layouts", bench_case_key_layouts }, { "threads", bench_case_threads },
    { "processes", bench_case_processes }, { "wal", bench_case_wal },
    { "codec", bench_case_codec },         { "upkeep", bench_case_upkeep },
    { "aggregate", bench_case_aggregate }, { "commands", bench_case_commands },
    { "state", bench_case_state },         { "notify", bench_case_notify },
    { "subscribe", bench_case_subscribe }, { "shards", bench_case_shards },
    { "frames", bench_case_frames },
};

#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

typedef struct bench_arguments {
    bench_settings settings;
    const char *folder;
    bool json;
    bool check;
    bool wanted[CASE_COUNT];
} bench_arguments;

static void print_usage(FILE *out)
{
    fprintf(out, "usage: bench [--quick] [--check] [--json] [--rounds N] [--seed N] [--folder DIR]"
                 " [CASE...]\n"
                 "cases:");
    for (size_t i = 0; i < CASE_COUNT; i++)
        fprintf(out, " %s", cases[i].name);
    fprintf(out, "\n"
                 "--check compares with the aims and exits 1 when one is missed. Files are made"
                 " in a folder\ninside DIR ($TMPDIR or /tmp), which should be on a disk, and"
                 " removed.\n");
}

static _Noreturn void refuse_arguments(void)
{
    print_usage(stderr);
    exit(2);
}

static uint64_t parse_number(const char *text, uint64_t highest)
{
    char *end = NULL;
    uint64_t number = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || number < 1 || number > highest)
        refuse_arguments();
    return number;
}

static void want_case(bench_arguments *arguments, const char *name)
{
    for (size_t i = 0; i < CASE_COUNT; i++) {
        if (strcmp(cases[i].name, name) == 0) {
            arguments->wanted[i] = true;
            return;
        }
    }
    refuse_arguments();
}

static void parse_arguments(int count, char **texts, bench_arguments *arguments)
{
    static const struct option options[] = {
        { "quick", no_argument, NULL, 'q' },      { "check", no_argument, NULL, 'c' },
        { "json", no_argument, NULL, 'j' },       { "rounds", required_argument, NULL, 'r' },
        { "seed", required_argument, NULL, 's' }, { "folder", required_argument, NULL, 'f' },
        { "help", no_argument, NULL, 'h' },       { NULL, 0, NULL, 0 },
    };
    int letter;
    while ((letter = getopt_long(count, texts, "", options, NULL)) != -1) {
        switch (letter) {
        case 'q': arguments->settings.quick = true; break;
        case 'c': arguments->check = true; break;
        case 'j': arguments->json = true; break;
        case 'r': arguments->settings.rounds = (int)parse_number(optarg, BENCH_ROUNDS_MAX); break;
        case 's': arguments->settings.seed = parse_number(optarg, UINT64_MAX); break;
        case 'f': arguments->folder = optarg; break;
        case 'h': print_usage(stdout); exit(EXIT_SUCCESS);
        default: refuse_arguments();
        }
    }
    for (int i = optind; i < count; i++)
        want_case(arguments, texts[i]);
    for (size_t i = 0; i < CASE_COUNT && optind == count; i++)
        arguments->wanted[i] = true;
}

int main(int argument_count, char **argument_texts)
{
    const char *temporary = getenv("TMPDIR");
    bench_arguments arguments = { .settings = { .rounds = 5, .seed = 20240229 },
                                  .folder = temporary == NULL ? "/tmp" : temporary };
    parse_arguments(argument_count, argument_texts, &arguments);
    if (arguments.settings.quick && arguments.settings.rounds > 3)
        arguments.settings.rounds = 3;

    bench_count_allocations();
    static bench_workload workload;
    bench_workload_init(&workload, arguments.settings.seed);
    bench_make_folder(arguments.folder);
    bench_print_quietly(arguments.json);
    bench_print_header(&arguments.settings);
    for (size_t i = 0; i < CASE_COUNT; i++)
        if (arguments.wanted[i])
            cases[i].run(&arguments.settings, &workload);
    if (arguments.json)
        bench_print_json(&arguments.settings);
    int missed = arguments.check ? bench_check_aims() : 0;
    bench_workload_dispose(&workload);
    return missed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
