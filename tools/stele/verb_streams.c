/*
 * streams and types: what is in a store, in numbers.
 */
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "place.h"
#include "streams.h"
#include "tool.h"

static const column stream_columns[] = {
    { .name = "stream" },
    { .name = "version", .right = true },
    { .name = "events", .right = true },
    { .name = "state" },
    { .name = "first" },
    { .name = "last" },
    { .name = "bytes", .right = true },
};

static const column type_columns[] = {
    { .name = "type" },
    { .name = "schema_version", .right = true },
    { .name = "events", .right = true },
};

/* The facts that outlive the next call: the names are copies. */
typedef struct stream_list {
    stele_stream_info *streams;
    size_t count;
    size_t capacity;
} stream_list;

exit_code check_stream(stele_store *store, const char *stream)
{
    stele_stream_info info;
    stele_status status = stele_store_stream(store, stream, &info);
    if (status == STELE_OK)
        return EXIT_OK;
    if (status != STELE_NOT_FOUND)
        return report_status(status);
    report_error("no stream '%s'", stream);
    report_hint("stele streams lists them");
    return EXIT_NOT_FOUND;
}

static const char *state_name(stele_stream_state state)
{
    switch (state) {
    case STELE_STREAM_ACTIVE: return "active";
    case STELE_STREAM_ARCHIVED: return "archived";
    case STELE_STREAM_TOMBSTONED: return "tombstoned";
    }
    return "unknown";
}

static bool print_stream(output *out, const stele_stream_info *info)
{
    char first[STELE_TIME_SIZE];
    char last[STELE_TIME_SIZE];
    stele_time_format(info->first_time, first);
    stele_time_format(info->last_time, last);
    const cell nothing = { .kind = CELL_NOTHING };
    const cell cells[] = {
        text_cell(info->stream),
        number_cell(info->version),
        number_cell(info->events),
        text_cell(state_name(info->state)),
        info->events > 0 ? text_cell(first) : nothing,
        info->events > 0 ? text_cell(last) : nothing,
        number_cell(info->bytes),
    };
    return output_row(out, cells);
}

/* Most first, then by name. */
static int compare_numbers(int64_t one, int64_t other, const char *one_name, const char *other_name)
{
    if (one != other)
        return one > other ? -1 : 1;
    return strcmp(one_name, other_name);
}

static int compare_events(const void *one, const void *other)
{
    const stele_stream_info *left = one;
    const stele_stream_info *right = other;
    return compare_numbers(left->events, right->events, left->stream, right->stream);
}

static int compare_last_times(const void *one, const void *other)
{
    const stele_stream_info *left = one;
    const stele_stream_info *right = other;
    return compare_numbers(left->last_time, right->last_time, left->stream, right->stream);
}

static void keep_stream(stream_list *list, const stele_stream_info *info)
{
    list->streams =
        grow(list->streams, &list->capacity, list->count + 1, sizeof(stele_stream_info));
    list->streams[list->count] = *info;
    list->streams[list->count].stream = copy_string(info->stream);
    list->streams[list->count].reason = NULL;
    list->count++;
}

static void dispose_list(stream_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free((char *)list->streams[i].stream);
    free(list->streams);
}

/* Print the streams as they come, or, when they are to be sorted, keep them in `list`. */
static stele_status take_streams(stele_streams *streams, output *out, stream_list *list)
{
    stele_status status;
    const stele_stream_info *info;
    while ((status = stele_streams_next(streams, &info)) == STELE_OK) {
        if (list != NULL)
            keep_stream(list, info);
        else if (!print_stream(out, info))
            break;
    }
    return status;
}

static void print_sorted(output *out, stream_list *list, const char *order, uint64_t limit)
{
    if (list->count > 0)
        qsort(list->streams, list->count, sizeof(stele_stream_info),
              strcmp(order, "events") == 0 ? compare_events : compare_last_times);
    for (size_t i = 0; i < list->count && (limit == 0 || i < limit); i++) {
        if (!print_stream(out, &list->streams[i]))
            break;
    }
}

static exit_code list_streams(tool *of, stele_store *store, int64_t limit)
{
    const char *order = option_text(of, "sort");
    bool sorted = order != NULL && strcmp(order, "name") != 0;
    stele_streams_read read = STELE_STREAMS_READ_INIT;
    read.prefix = option_text(of, "prefix");
    read.limit = sorted ? 0 : (uint64_t)limit;
    read.statistics = true;
    read.system = option_given(of, "system");

    stele_streams *streams = NULL;
    stele_status status = stele_store_streams(store, &read, &streams);
    if (status != STELE_OK)
        return report_status(status);
    exit_code code = EXIT_OK;
    stream_list list = { 0 };
    output_begin(&of->out, stream_columns, sizeof(stream_columns) / sizeof(stream_columns[0]));
    status = take_streams(streams, &of->out, sorted ? &list : NULL);
    if (status < 0)
        code = report_status(status);
    else if (sorted)
        print_sorted(&of->out, &list, order, (uint64_t)limit);
    output_end(&of->out);
    dispose_list(&list);
    stele_streams_close(streams);
    return code;
}

exit_code run_streams(tool *of)
{
    int64_t limit = 0;
    if (!option_number(of, "limit", 1, INT64_MAX, &limit))
        return EXIT_USAGE;
    stele_store *store;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = list_streams(of, store, limit);
    close_store(of, store);
    return code;
}

static exit_code list_types(tool *of, stele_store *store)
{
    stele_types *types = NULL;
    stele_status status = stele_store_types(store, &types);
    if (status != STELE_OK)
        return report_status(status);
    exit_code code = EXIT_OK;
    const stele_type_info *info;
    output_begin(&of->out, type_columns, sizeof(type_columns) / sizeof(type_columns[0]));
    while ((status = stele_types_next(types, &info)) == STELE_OK) {
        const cell cells[] = {
            text_cell(info->type),
            number_cell(info->schema_version),
            number_cell(info->events),
        };
        if (!output_row(&of->out, cells))
            break;
    }
    if (status < 0)
        code = report_status(status);
    output_end(&of->out);
    stele_types_close(types);
    return code;
}

exit_code run_types(tool *of)
{
    stele_store *store;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = list_types(of, store);
    close_store(of, store);
    return code;
}
