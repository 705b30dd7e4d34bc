/*
 * verify: every check, and whether all hold.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "tool.h"

static const column check_columns[] = {
    { .name = "check" },
    { .name = "ok" },
    { .name = "count", .right = true },
    { .name = "failed", .right = true },
    { .name = "first", .may_be_cut = true },
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

static stele_status run_checks(stele_store *store, check_list *list)
{
    stele_verify *verify = NULL;
    stele_status status = stele_verify_open(store, &verify);
    const stele_check *check;
    while (status == STELE_OK) {
        report_progress("verifying: %zu checks done", list->count);
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
        };
        output_row(out, cells);
    }
    output_end(out);
    if (digest[0] != '\0')
        print_digest(out, digest);
    out->json_head = "";
    buffer_dispose(&head);
}

static exit_code verify_store(tool *of, stele_store *store)
{
    check_list list = { .ok = true };
    char digest[17] = "";
    exit_code code = EXIT_OK;
    stele_status status = run_checks(store, &list);
    if (status != STELE_OK)
        code = report_status(status);
    if (status == STELE_OK && option_given(of, "digest")) {
        status = stele_store_digest(store, digest);
        if (status != STELE_OK && list.ok)
            code = report_status(status);
        if (status != STELE_OK)
            digest[0] = '\0';
    }
    if (code == EXIT_OK || list.count > 0)
        print_checks(&of->out, &list, digest);
    if (code == EXIT_OK && !list.ok) {
        report_error("the store is damaged");
        report_hint("the rows that aren't ok name the first damage");
        code = EXIT_DAMAGED;
    }
    dispose_checks(&list);
    return code;
}

exit_code run_verify(tool *of)
{
    stele_store *store;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = verify_store(of, store);
    stele_store_close(store);
    return code;
}
