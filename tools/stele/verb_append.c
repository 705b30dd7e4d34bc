/*
 * append: one event, from the command line or from standard input.
 */
#include <inttypes.h>
#include <string.h>

#include "operand.h"
#include "options.h"
#include "place.h"
#include "tool.h"

static const column fields[] = {
    { .name = "stream" },
    { .name = "version" },
    { .name = "position" },
    { .name = "duplicate" },
};

static bool read_expected(const tool *of, int64_t *expected_out)
{
    const char *text = option_text(of, "expect");
    *expected_out = STELE_ANY;
    if (text == NULL || strcmp(text, "any") == 0)
        return true;
    if (strcmp(text, "none") == 0) {
        *expected_out = STELE_NO_STREAM;
        return true;
    }
    if (strcmp(text, "exists") == 0) {
        *expected_out = STELE_STREAM_EXISTS;
        return true;
    }
    if (text[0] < '0' || text[0] > '9') {
        report_error("--expect takes a version, any, none or exists, not '%s'", text);
        report_hint("stele append --help");
        return false;
    }
    return option_number(of, "expect", 0, INT64_MAX, expected_out);
}

/* All of the event but its data, and the limit, from the options. */
static bool read_event(const tool *of, stele_event *event, int64_t *event_size_max)
{
    event->type = of->operands[1];
    event->codec = option_text(of, "codec");
    event->metadata = option_text(of, "meta");
    event->metadata_size = event->metadata != NULL ? strlen(event->metadata) : 0;
    if (!option_number(of, "schema-version", 1, INT64_MAX, &event->schema_version)
        || !option_number(of, "event-size-max", 1, EVENT_SIZE_MOST, event_size_max))
        return false;

    const char *time = option_text(of, "time");
    if (time == NULL)
        return true;
    event->has_occurred_at = true;
    if (stele_time_parse(time, strlen(time), &event->occurred_at) == STELE_OK)
        return true;
    report_error("--time takes an RFC 3339 time, not '%s'", time);
    report_hint("such as 2026-05-17T09:30:00.25Z or 2026-05-17T11:30:00+02:00");
    return false;
}

static exit_code report_conflict(const stele_append *append, const stele_appended *appended)
{
    report_error("%s", stele_error_text());
    int64_t expected = append->expected_version;
    const char *stream = shell_word(append->stream);
    if (expected >= 0 && appended->stream_version > expected)
        report_hint("see what came since: stele read %s --from %" PRId64, stream, expected + 1);
    else if (appended->stream_version > 0)
        report_hint("see where it is: stele read %s --backward --limit 1", stream);
    else
        report_hint("the stream doesn't exist yet: --expect none");
    return EXIT_CONFLICT;
}

static exit_code append_event(tool *of, stele_store *store, const stele_append *append)
{
    stele_appended appended = { 0 };
    stele_status status = stele_store_append(store, append, &appended);
    if (status == STELE_CONFLICT)
        return report_conflict(append, &appended);
    if (status != STELE_OK) {
        exit_code code = report_status(status);
        if (status == STELE_TOO_LARGE)
            report_hint("--event-size-max raises the limit of an event's size");
        else if (status == STELE_ARCHIVED)
            report_hint("stele restore %s opens it again", shell_word(append->stream));
        else if (status == STELE_INVALID)
            report_hint("DATA is JSON unless --codec says otherwise; --codec raw takes any bytes");
        return code;
    }

    const cell cells[] = {
        text_cell(append->stream),
        number_cell(appended.stream_version),
        number_cell(appended.last_position),
        boolean_cell(appended.duplicate),
    };
    output_answer(&of->out, fields, cells, sizeof(cells) / sizeof(cells[0]));
    if (appended.erased)
        report_line("note: the event stored under this key was deleted since");
    return EXIT_OK;
}

exit_code run_append(tool *of)
{
    stele_event event = { 0 };
    stele_append append = STELE_APPEND_INIT;
    int64_t event_size_max = EVENT_SIZE_DEFAULT;
    if (!read_event(of, &event, &event_size_max) || !read_expected(of, &append.expected_version))
        return EXIT_USAGE;
    append.stream = of->operands[0];
    append.events = &event;
    append.event_count = 1;
    append.idempotency_key = option_text(of, "key");
    if (strcmp(append.stream, ALL_STREAMS) == 0) {
        report_error(ALL_STREAMS " stands for all streams, it can't be one");
        return EXIT_USAGE;
    }

    /* The store comes before the input: who named a wrong one needn't type the input first. */
    stele_store *store;
    exit_code code = open_store(of, (uint32_t)event_size_max, &store);
    if (code != EXIT_OK)
        return code;
    buffer input = { 0 };
    bool is_line = event.codec == NULL || strcmp(event.codec, "json") == 0;
    if (!take_data(of->operand_count > 2 ? of->operands[2] : NULL, (size_t)event_size_max, is_line,
                   &input, &event.data, &event.data_size))
        code = EXIT_OTHER;
    if (code == EXIT_OK)
        code = append_event(of, store, &append);
    close_store(of, store);
    buffer_dispose(&input);
    return code;
}
