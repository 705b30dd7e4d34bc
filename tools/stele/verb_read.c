/*
 * read: the events of a stream, or all.
 */
#include <stdlib.h>
#include <string.h>

#include "archives.h"
#include "options.h"
#include "place.h"
#include "plugin.h"
#include "records.h"
#include "streams.h"
#include "tool.h"

/* A read whose categories the tool filters, when there is more than one: the library takes one. */
typedef struct filtered_read {
    stele_read read;
    const char **types;
    const char **categories;
    size_t category_count;
    uint64_t limit; /* of rows after the filter; 0: the library's, or none */
} filtered_read;

static bool is_wanted(const filtered_read *of, const char *stream)
{
    if (of->category_count < 2)
        return true;
    size_t size = strcspn(stream, "-");
    for (size_t i = 0; i < of->category_count; i++) {
        if (strlen(of->categories[i]) == size && memcmp(of->categories[i], stream, size) == 0)
            return true;
    }
    return false;
}

/* Fill `to` from the options; its lists are the caller's to free. */
static bool read_options(const tool *of, filtered_read *to)
{
    *to = (filtered_read){ .read = STELE_READ_INIT };
    stele_read *read = &to->read;
    int64_t limit = 0;
    if (!option_number(of, "limit", 1, INT64_MAX, &limit)
        || !option_number(of, "from", 0, INT64_MAX, &read->from_version)
        || !option_number(of, "to", 1, INT64_MAX, &read->to_version)
        || !option_number(of, "after", 0, INT64_MAX, &read->after_position))
        return false;
    if (strcmp(of->operands[0], ALL_STREAMS) != 0)
        read->stream = of->operands[0];
    read->direction = option_given(of, "backward") ? STELE_BACKWARD : STELE_FORWARD;
    read->system = option_given(of, "system");

    size_t capacity = 0;
    to->types = grow(NULL, &capacity, of->given_count, sizeof(const char *));
    capacity = 0;
    to->categories = grow(NULL, &capacity, of->given_count, sizeof(const char *));
    read->type_count = option_list(of, "type", to->types);
    read->types = read->type_count > 0 ? to->types : NULL;
    to->category_count = option_list(of, "category", to->categories);
    if (to->category_count == 1)
        read->category = to->categories[0];
    if (to->category_count < 2)
        read->limit = (uint64_t)limit;
    else
        to->limit = (uint64_t)limit;
    return true;
}

static stele_status print_wanted(const filtered_read *filtered, stele_cursor *cursor, records *rows)
{
    stele_status status = STELE_OK;
    uint64_t count = 0;
    while (status == STELE_OK && (filtered->limit == 0 || count < filtered->limit)) {
        const stele_record *record;
        status = stele_cursor_next(cursor, &record);
        if (status != STELE_OK || !is_wanted(filtered, record->stream))
            continue;
        status = records_write(rows, record);
        count++;
    }
    return status;
}

static exit_code print_records(tool *of, stele_store *store, filtered_read *filtered)
{
    filtered->read.keys = records_show_keys(&of->out);
    stele_cursor *cursor = NULL;
    stele_status status = stele_store_read(store, &filtered->read, &cursor);
    if (status != STELE_OK)
        return report_status(status);

    records rows;
    exit_code code = records_begin(&rows, &of->out, option_given(of, "lib") ? store : NULL);
    if (code == EXIT_OK) {
        status = print_wanted(filtered, cursor, &rows);
        if (status < 0)
            code = report_read_status(status);
        records_end(&rows);
        report_skipped(stele_cursor_skipped(cursor));
    }
    stele_cursor_close(cursor);
    return code;
}

exit_code run_read(tool *of)
{
    filtered_read filtered;
    if (!plugins_can_show(of) || !read_options(of, &filtered))
        return EXIT_USAGE;
    stele_store *store;
    attached archives = { 0 };
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = attach_archives(of, store, &archives);
    if (code == EXIT_OK)
        code = load_plugins(of, store);
    if (code == EXIT_OK && filtered.read.stream != NULL)
        code = check_stream(store, filtered.read.stream);
    if (code == EXIT_OK)
        code = print_records(of, store, &filtered);
    close_store(of, store);
    close_attached(&archives);
    free(filtered.types);
    free(filtered.categories);
    return code;
}
