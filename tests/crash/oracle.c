#include "crash/oracle.h"

#include "crash/recorder.h"

#include <stele/verify.h>

#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What must hold at the moment of the cut. */
typedef struct expectation {
    int64_t acked_head;     /* told to be stored */
    int64_t required_head;  /* closed cleanly: there whatever the durability */
    int64_t attempted_head; /* nothing beyond */
    bool epoch_known;       /* the store had been opened before the cut */
    bool epoch_ends;        /* relaxed durability had promised more than the disk may hold */
    bool epoch_may_end;
} expectation;

void verdict_break(verdict *found, const char *format, ...)
{
    if (found->broken)
        return;
    found->broken = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(found->reason, sizeof(found->reason), format, arguments);
    va_end(arguments);
}

void verdict_break_status(verdict *found, const char *doing, stele_status status)
{
    verdict_break(found, "%s: %s: %s", doing, stele_status_name(status),
                  status < 0 ? stele_error_text() : "");
}

/* Whether the cut falls behind the beginning of a clean close that acknowledged this, as it does
 * for submissions, or came after it. */
static bool is_closing_after(const history *past, size_t acked_at, size_t cut)
{
    for (size_t i = 0; i < past->closing_count; i++)
        if (past->closings[i].ended_at >= acked_at && past->closings[i].begun_at <= cut)
            return true;
    return false;
}

/* Whether it was over before the cut; closing acknowledges what was submitted, too. */
static bool is_closed_after(const history *past, size_t acked_at, size_t cut)
{
    for (size_t i = 0; i < past->closing_count; i++)
        if (past->closings[i].ended_at >= acked_at && past->closings[i].ended_at <= cut)
            return true;
    return false;
}

static expectation expect_at(const oracle *judge, size_t cut)
{
    const history *past = judge->past;
    bool relaxed = judge->durability == STELE_DURABILITY_RELAXED;
    expectation expected = { .acked_head = past->base_head,
                             .required_head = past->base_head,
                             .attempted_head = past->base_head };
    bool unsettled = false;
    for (size_t i = 0; i < past->unit_count; i++) {
        const history_unit *unit = &past->units[i];
        if (unit->begun_at <= cut && unit->last_position > expected.attempted_head)
            expected.attempted_head = unit->last_position;
        bool closed = is_closed_after(past, unit->acked_at, cut);
        unsettled = unsettled || (unit->begun_at <= cut && !closed);
        if (unit->acked_at > cut)
            continue;
        if (unit->last_position > expected.acked_head)
            expected.acked_head = unit->last_position;
        if (closed && unit->last_position > expected.required_head)
            expected.required_head = unit->last_position;
        if (relaxed && !is_closing_after(past, unit->acked_at, cut))
            expected.epoch_ends = true;
    }
    expected.epoch_known = past->opened_at <= cut && past->epoch[0] != '\0';
    expected.epoch_may_end = relaxed && (unsettled || !is_closed_after(past, 0, cut));
    return expected;
}

static bool same_text(const char *left, const char *right)
{
    return left == NULL || right == NULL ? left == right : strcmp(left, right) == 0;
}

static void compare_record(const history *past, const stele_record *record, verdict *found)
{
    if (record->position > (int64_t)past->event_count) {
        verdict_break(found, "position %" PRId64 " was never written", record->position);
        return;
    }
    const history_event *event = &past->events[record->position - 1];
    if (!same_text(record->stream, event->stream) || !same_text(record->type, event->type)
        || record->version != event->version || !same_text(record->idempotency_key, event->key)
        || record->data_size != event->size || memcmp(record->data, event->data, event->size) != 0)
        verdict_break(found,
                      "position %" PRId64 " is %s %s version %" PRId64 " (%zu bytes, key %s), not"
                      " %s %s version %" PRId64 " (%zu bytes, key %s)",
                      record->position, record->stream, record->type, record->version,
                      record->data_size, record->idempotency_key ? record->idempotency_key : "-",
                      event->stream, event->type, event->version, event->size,
                      event->key ? event->key : "-");
}

/* The log is a beginning of what was attempted, event for event. */
static int64_t read_log(const history *past, stele_store *store, verdict *found)
{
    stele_read read = STELE_READ_INIT;
    read.keys = true;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    int64_t head = 0;
    stele_status status = stele_store_read(store, &read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        if (record->position != head + 1)
            verdict_break(found, "position %" PRId64 " follows %" PRId64, record->position, head);
        head = record->position;
        compare_record(past, record, found);
    }
    stele_cursor_close(cursor);
    if (status != STELE_DONE)
        verdict_break_status(found, "reading", status);
    int64_t told = -1;
    status = stele_store_head(store, &told);
    if (status != STELE_OK)
        verdict_break_status(found, "asking for the head", status);
    else if (told != head)
        verdict_break(found, "the head is %" PRId64 ", the last event %" PRId64, told, head);
    return head;
}

static void judge_head(const history *past, const expectation *expected, int64_t head,
                       verdict *found)
{
    found->lost = expected->acked_head > head ? expected->acked_head - head : 0;
    found->kept = expected->acked_head < head ? head - expected->acked_head : 0;
    if (head > expected->attempted_head)
        verdict_break(found, "the head is %" PRId64 ", attempted were %" PRId64, head,
                      expected->attempted_head);
    for (size_t i = 0; i < past->unit_count; i++)
        if (past->units[i].first_position <= head && past->units[i].last_position > head)
            verdict_break(found, "of a batch from %" PRId64 " to %" PRId64 " only a part is left",
                          past->units[i].first_position, past->units[i].last_position);
    if (head < expected->required_head)
        verdict_break(found, "the head is %" PRId64 ", but %" PRId64 " were closed cleanly", head,
                      expected->required_head);
    if (found->lost > 0 && !found->broken)
        snprintf(found->reason, sizeof(found->reason),
                 "the head is %" PRId64 ", acknowledged were %" PRId64, head, expected->acked_head);
}

static void judge_epoch(const history *past, const expectation *expected, stele_store *store,
                        verdict *found)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_status status = stele_store_describe(store, &info);
    if (status != STELE_OK) {
        verdict_break_status(found, "describing", status);
        return;
    }
    if (!expected->epoch_known)
        return;
    bool same = strcmp(info.epoch, past->epoch) == 0;
    if ((expected->epoch_ends || found->lost > 0) && same)
        verdict_break(found, "relaxed events may be gone, but the epoch is the old one");
    if (!expected->epoch_may_end && !same)
        verdict_break(found, "the epoch is a new one, although nothing may be gone");
}

void verdict_verify(verdict *found, stele_store *store, const char *when)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(store, NULL, &verify);
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK)
        if (check->failures > 0)
            verdict_break(found, "%s: check '%s' failed: %s", when, check->name, check->offender);
    stele_verify_close(verify);
    if (status != STELE_DONE)
        verdict_break_status(found, "verifying", status);
}

/* --- Going on --- */

/* The append whose first event is at `position`, as it was made. */
static stele_append remake_append(const history *past, int64_t position, stele_event *events)
{
    const history_event *first = &past->events[position - 1];
    stele_append append = STELE_APPEND_INIT;
    append.stream = first->stream;
    append.events = events;
    append.event_count = first->append_size;
    append.idempotency_key = first->key;
    for (size_t i = 0; i < append.event_count; i++) {
        events[i] = (stele_event){ 0 };
        events[i].type = first[i].type;
        events[i].data = first[i].data;
        events[i].data_size = first[i].size;
    }
    return append;
}

/* The same attempt again: a duplicate if it is stored, else stored now, at the end. */
static void retry(const history *past, stele_store *store, int64_t position, int64_t *head,
                  verdict *found)
{
    size_t size = past->events[position - 1].append_size;
    stele_event *events = calloc(size, sizeof(*events));
    if (events == NULL)
        abort();
    stele_append append = remake_append(past, position, events);
    stele_appended appended = { 0 };
    stele_status status = stele_store_append(store, &append, &appended);
    bool stored = position <= *head;
    int64_t first = stored ? position : *head + 1;
    if (status != STELE_OK)
        verdict_break_status(found, "retrying", status);
    else if (appended.duplicate != stored || appended.first_position != first
             || appended.last_position != first + (int64_t)size - 1)
        verdict_break(found,
                      "retrying position %" PRId64 " with head %" PRId64 " gave %" PRId64
                      " to %" PRId64 "%s",
                      position, *head, appended.first_position, appended.last_position,
                      appended.duplicate ? ", a duplicate" : "");
    else if (!stored)
        *head += (int64_t)size;
    free(events);
}

/* Each key that is stored answers as before; the first that isn't is new. */
static void retry_keys(const history *past, stele_store *store, int64_t *head, verdict *found)
{
    const int64_t log_end = *head;
    for (int64_t at = log_end, tried = 0; at > 0 && tried < 3 && !found->broken; at--) {
        if (past->events[at - 1].key != NULL) {
            retry(past, store, at, head, found);
            tried++;
        }
    }
    for (int64_t at = log_end; at < (int64_t)past->event_count && !found->broken; at++) {
        if (past->events[at].key != NULL) {
            retry(past, store, at + 1, head, found);
            break;
        }
    }
}

/* A new event, to a stream whose version is known. */
static void append_new(const history *past, stele_store *store, int64_t log_end, int64_t *head,
                       verdict *found)
{
    bool used = *head != log_end; /* by a retry, which may have moved any stream */
    const char *stream = log_end > 0 && !used ? past->events[log_end - 1].stream : "after-cut";
    stele_event event = { 0 };
    event.type = "went-on";
    event.data = "{}";
    event.data_size = 2;
    stele_append append = STELE_APPEND_INIT;
    append.stream = stream;
    append.expected_version = history_version(past, stream, log_end);
    append.events = &event;
    append.event_count = 1;
    stele_appended appended = { 0 };
    stele_status status = stele_store_append(store, &append, &appended);
    if (status != STELE_OK)
        verdict_break_status(found, "appending after the cut", status);
    else if (appended.last_position != *head + 1)
        verdict_break(found, "the append after the cut is at %" PRId64 ", the head was %" PRId64,
                      appended.last_position, *head);
    else
        *head += 1;
}

static void ask_sqlite(const char *path, int64_t head, verdict *found)
{
    sqlite3 *plain = NULL;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_open_v2(path, &plain, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(plain,
                                  "SELECT integrity_check, (SELECT count(*) FROM events)"
                                  " FROM pragma_integrity_check",
                                  -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        verdict_break(found, "plain SQLite: %s", sqlite3_errmsg(plain));
    else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0
             || sqlite3_column_int64(statement, 1) != head)
        verdict_break(found, "plain SQLite: %s, %lld events of %" PRId64,
                      (const char *)sqlite3_column_text(statement, 0),
                      sqlite3_column_int64(statement, 1), head);
    sqlite3_finalize(statement);
    sqlite3_close(plain);
}

static stele_store *open_again(const oracle *judge, const char *path, verdict *found)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = judge->durability;
    stele_store *store = NULL;
    stele_status status = stele_store_open(path, &options, &store);
    if (status != STELE_OK)
        verdict_break_status(found, "opening", status);
    return store;
}

verdict oracle_judge(const oracle *judge, const char *path, size_t cut, unsigned boot,
                     bool thorough)
{
    verdict found = { 0 };
    expectation expected = expect_at(judge, cut);
    recorder_set_boot(boot);
    stele_store *store = open_again(judge, path, &found);
    if (store == NULL)
        return found;

    int64_t log_end = read_log(judge->past, store, &found);
    int64_t head = log_end;
    judge_head(judge->past, &expected, log_end, &found);
    if (!found.broken && (judge->durability == STELE_DURABILITY_RELAXED || found.lost == 0))
        judge_epoch(judge->past, &expected, store, &found);
    verdict_verify(&found, store, "after the cut");
    if (!found.broken && judge->check != NULL)
        judge->check(judge->context, store, log_end, &found);
    if (!found.broken)
        retry_keys(judge->past, store, &head, &found);
    if (!found.broken)
        append_new(judge->past, store, log_end, &head, &found);
    stele_store_close(store);
    if (!thorough || found.broken)
        return found;

    ask_sqlite(path, head, &found);
    store = open_again(judge, path, &found);
    if (store != NULL)
        verdict_verify(&found, store, "opened again");
    stele_store_close(store);
    return found;
}
