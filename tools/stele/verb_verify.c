/*
 * verify: every check, or those asked for, and whether all hold.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "archives.h"
#include "interrupt.h"
#include "confirm.h"
#include "longwork.h"
#include "options.h"
#include "place.h"
#include "tool.h"

static const column check_columns[] = {
    { .name = "check" },
    { .name = "ok" },
    { .name = "count", .right = true },
    { .name = "failed", .right = true },
    { .name = "first", .may_be_cut = true },
    { .name = "repaired" },
};

/* The outcomes that outlive the next check: their texts are copies. */
typedef struct check_list {
    stele_check *checks;
    size_t count;
    size_t capacity;
    bool ok;
} check_list;

static void keep_check(check_list *list, const stele_check *check)
{
    list->checks = grow(list->checks, &list->capacity, list->count + 1, sizeof(stele_check));
    list->checks[list->count++] = (stele_check){
        .name = copy_string(check->name),
        .count = check->count,
        .failures = check->failures,
        .offender = copy_string(check->offender),
        .repaired = check->repaired,
    };
    if (check->failures > 0)
        list->ok = false;
}

static void dispose_checks(check_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free((char *)list->checks[i].name);
        free((char *)list->checks[i].offender);
    }
    free(list->checks);
}

static stele_status run_checks(stele_store *store, const stele_verify_options *options,
                               check_list *list)
{
    stele_verify *verify = NULL;
    stele_status status = stele_verify_open(store, options, &verify);
    const stele_check *check;
    while (status == STELE_OK) {
        status = stele_verify_next(verify, &check);
        if (status == STELE_OK)
            keep_check(list, check);
    }
    stele_verify_close(verify);
    report_progress_end();
    return status < 0 ? status : STELE_OK;
}

/* The digest is a field of the JSON object, and a line of its own elsewhere. */
static void print_digest(const output *out, const char *digest)
{
    switch (out->format) {
    case OUTPUT_TABLE: printf("\ndigest  %s\n", digest); break;
    case OUTPUT_PLAIN: printf("digest\t%s\n", digest); break;
    case OUTPUT_JSONL: printf("{\"digest\":\"%s\"}\n", digest); break;
    case OUTPUT_JSON: break;
    }
}

static void print_checks(output *out, const check_list *list, const char *digest)
{
    buffer head = { 0 };
    buffer_format(&head, "\"ok\":%s,", list->ok ? "true" : "false");
    if (digest[0] != '\0')
        buffer_format(&head, "\"digest\":\"%s\",", digest);
    out->json_head = head.bytes;
    output_begin(out, check_columns, sizeof(check_columns) / sizeof(check_columns[0]));
    for (size_t i = 0; i < list->count; i++) {
        const stele_check *check = &list->checks[i];
        const cell cells[] = {
            text_cell(check->name),
            boolean_cell(check->failures == 0),
            number_cell((int64_t)check->count),
            number_cell((int64_t)check->failures),
            text_cell(check->offender),
            boolean_cell(check->repaired),
        };
        output_row(out, cells);
    }
    output_end(out);
    if (digest[0] != '\0')
        print_digest(out, digest);
    out->json_head = "";
    buffer_dispose(&head);
}

/* The digest asks nobody meanwhile: a Ctrl-C is heard when it is there. */
static exit_code add_digest(stele_store *store, const check_list *list, char digest[17])
{
    stele_status status = stele_store_digest(store, digest);
    if (status == STELE_OK)
        return was_interrupted() ? report_interrupted_work("hashing the log") : EXIT_OK;
    digest[0] = '\0';
    /* Of a damaged log that says nothing new. */
    return list->ok ? report_status(status) : EXIT_OK;
}

static exit_code judge_checks(const tool *of, const check_list *list)
{
    if (list->ok)
        return EXIT_OK;
    report_error("the store is damaged");
    report_hint(
        option_given(of, "repair")
            ? "what is left can't be built anew: take it from a backup"
            : "the rows that aren't ok name the first damage; --repair builds indexes anew");
    return EXIT_DAMAGED;
}

static exit_code verify_store(tool *of, stele_store *store, const stele_verify_options *options)
{
    check_list list = { .ok = true };
    char digest[17] = "";
    exit_code code = EXIT_OK;
    stele_status status = run_checks(store, options, &list);
    if (status == STELE_CANCELLED)
        code = report_interrupted_work("verifying");
    else if (status != STELE_OK)
        code = report_status(status);
    else if (option_given(of, "digest"))
        code = add_digest(store, &list, digest);
    if (code == EXIT_OK || list.count > 0)
        print_checks(&of->out, &list, digest);
    if (code == EXIT_OK)
        code = judge_checks(of, &list);
    dispose_checks(&list);
    return code;
}

static exit_code open_to_repair(const tool *of, stele_store **store_out)
{
    *store_out = NULL;
    const char *path = NULL;
    exit_code code = find_store(of, false, &path);
    if (code != EXIT_OK)
        return code;
    if (of->immutable) {
        report_error("--immutable is for looking only, and --repair writes");
        return EXIT_USAGE;
    }
    code = confirm(of, "build damaged indexes of the store anew, and drop damaged snapshots?");
    if (code != EXIT_OK)
        return code;
    stele_options options = STELE_OPTIONS_INIT;
    options.must_exist = true;
    stele_status status = open_found(of, &options, store_out);
    return status == STELE_OK ? EXIT_OK : report_unfound(of, status);
}

exit_code run_verify(tool *of)
{
    stele_work work;
    stele_verify_options options = STELE_VERIFY_INIT;
    if (!take_work(of, &work))
        return EXIT_USAGE;
    const char **names = calloc(of->given_count + 1, sizeof(*names));
    if (names == NULL)
        return EXIT_OTHER;
    options.work = &work;
    options.names = names;
    options.name_count = option_list(of, "check", names);
    options.repair = option_given(of, "repair");

    stele_store *store = NULL;
    attached archives = { 0 };
    exit_code code = options.repair ? open_to_repair(of, &store) : open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = attach_archives(of, store, &archives);
    if (code == EXIT_OK)
        code = verify_store(of, store, &options);
    close_store(of, store);
    close_attached(&archives);
    free(names);
    return code;
}
