/*
 * Importing lines of JSON: good lines are stored in order, bad ones are reported and skipped.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele.h>

/* The text still to be read; a program would rather hold a FILE here. */
typedef struct text_input {
    const char *text;
} text_input;

static stele_status read_input(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    text_input *input = context;
    size_t size = strlen(input->text);
    *size_out = size < capacity ? size : capacity;
    memcpy(buffer, input->text, *size_out);
    input->text += *size_out;
    return STELE_OK;
}

static void report_bad_line(void *context, uint64_t line, const char *reason)
{
    (void)context;
    printf("line %" PRIu64 ": %s\n", line, reason);
}

static stele_status import_lines(stele_store *store, const char *text)
{
    text_input input = { .text = text };
    stele_imported imported;
    stele_import import = STELE_IMPORT_INIT;
    import.source = "orders.jsonl"; /* so that a second run adds nothing */
    import.read = read_input;
    import.reject = report_bad_line;
    import.context = &input;
    stele_status status = stele_store_import(store, &import, &imported);
    if (status == STELE_OK)
        printf("%" PRIu64 " stored, %" PRIu64 " known, %" PRIu64 " bad\n", imported.appended,
               imported.duplicates, imported.rejected);
    return status;
}

int main(void)
{
    static const char lines[] =
        "{\"stream\":\"order-1\",\"type\":\"placed\",\"data\":{\"total\":\"49.90\"}}\n"
        "{\"stream\":\"order-1\",\"time\":\"2026-05-17T09:30:00Z\"}\n"
        "{\"stream\":\"order-1\",\"type\":\"paid\",\"time\":\"2026-05-17T09:30:00Z\"}\n";
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    for (int run = 0; run < 2 && status == STELE_OK; run++)
        status = import_lines(store, lines);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
