/*
 * tail: the newest events, and those that come.
 */
#include <poll.h>
#include <unistd.h>

#include "archives.h"
#include "interrupt.h"
#include "options.h"
#include "place.h"
#include "plugin.h"
#include "records.h"
#include "tool.h"

#define LAST_DEFAULT 10
/* A signal may come right before the wait; and how soon a busy file is read again. */
#define LOOK_MS  1000
#define RETRY_MS 20

/* The position after which the last `count` events are, the library's own aside. */
static stele_status find_last(stele_store *store, int64_t count, int64_t *after_out)
{
    stele_status status = stele_store_head(store, after_out);
    if (status != STELE_OK || count == 0)
        return status;
    stele_read read = STELE_READ_INIT;
    read.direction = STELE_BACKWARD;
    read.limit = (uint64_t)count;
    stele_cursor *cursor = NULL;
    status = stele_store_read(store, &read, &cursor);
    if (status != STELE_OK)
        return status;
    const stele_record *record;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK)
        *after_out = record->position - 1;
    stele_cursor_close(cursor);
    return status < 0 ? status : STELE_OK;
}

/* Print what is after `*after`, and move it to the head. */
static stele_status print_new(stele_store *store, records *rows, int64_t *after)
{
    stele_read read = STELE_READ_INIT;
    read.after_position = *after;
    read.keys = records_show_keys(rows->out);
    stele_cursor *cursor = NULL;
    stele_status status = stele_store_read(store, &read, &cursor);
    const stele_record *record;
    while (status == STELE_OK) {
        status = stele_cursor_next(cursor, &record);
        if (status == STELE_OK)
            status = records_write(rows, record);
    }
    if (status >= 0) {
        int64_t scanned = stele_cursor_scanned(cursor);
        *after = scanned > *after ? scanned : *after;
        output_flush(rows->out);
    }
    report_skipped(stele_cursor_skipped(cursor));
    stele_cursor_close(cursor);
    return status < 0 ? status : STELE_OK;
}

/* Print what comes, until Ctrl-C, or until nobody reads the output. */
static exit_code follow_listener(const tool *of, stele_store *store, stele_listener *listener,
                                 int descriptor, records *rows, int64_t after)
{
    exit_code code = EXIT_OK;
    stele_wait look = STELE_WAIT_INIT;
    look.timeout_ms = 0;
    while (code == EXIT_OK && !was_interrupted() && !output_is_unread()) {
        int64_t head = 0;
        stele_status status = stele_listener_wait(listener, &look, &head);
        if (status >= 0 && head > after)
            status = print_new(store, rows, &after);
        else if (status >= 0)
            code = see_move(of);
        if (status < 0 && status != STELE_BUSY)
            return report_status(status);
        struct pollfd watched[2] = { { .fd = STDOUT_FILENO },
                                     { .fd = descriptor, .events = POLLIN } };
        if (code == EXIT_OK)
            poll(watched, 2, status == STELE_BUSY ? RETRY_MS : LOOK_MS);
    }
    return code;
}

static exit_code follow(const tool *of, stele_store *store, records *rows, int64_t after)
{
    stele_notifier *notifier = NULL;
    stele_listener *listener = NULL;
    int descriptor = -1;
    stele_status status = stele_store_notifier(store, &notifier);
    if (status == STELE_OK)
        status = stele_listener_open(notifier, after, &listener);
    if (status == STELE_OK)
        status = stele_listener_descriptor(listener, &descriptor);
    exit_code code = status == STELE_OK
                         ? follow_listener(of, store, listener, descriptor, rows, after)
                         : report_status(status);
    stele_listener_close(listener);
    return code == EXIT_OK && was_interrupted() ? EXIT_INTERRUPTED : code;
}

static exit_code print_tail(tool *of, stele_store *store, int64_t after, int64_t last)
{
    stele_status status = STELE_OK;
    if (after < 0)
        status = find_last(store, last, &after);
    if (status != STELE_OK)
        return report_status(status);

    records rows;
    exit_code code = records_begin(&rows, &of->out, option_given(of, "lib") ? store : NULL);
    if (code != EXIT_OK)
        return code;
    status = print_new(store, &rows, &after);
    if (status != STELE_OK)
        code = report_status(status);
    else if (option_given(of, "follow"))
        code = follow(of, store, &rows, after);
    records_end(&rows);
    return code;
}

exit_code run_tail(tool *of)
{
    int64_t after = -1;
    int64_t last = LAST_DEFAULT;
    if (!option_number(of, "after", 0, INT64_MAX, &after)
        || !option_number(of, "last", 0, INT64_MAX, &last))
        return EXIT_USAGE;
    if (option_given(of, "follow") && of->out.format == OUTPUT_JSON) {
        report_error("tail -f has no end, so it can't print json");
        report_hint("-o jsonl");
        return EXIT_USAGE;
    }
    if (!plugins_can_show(of))
        return EXIT_USAGE;
    if (option_given(of, "follow")) {
        watch_interrupt();
        watch_termination();
    }

    stele_store *store;
    attached archives = { 0 };
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = attach_archives(of, store, &archives);
    if (code == EXIT_OK)
        code = load_plugins(of, store);
    if (code == EXIT_OK)
        code = print_tail(of, store, after, last);
    close_store(of, store);
    close_attached(&archives);
    return code;
}
