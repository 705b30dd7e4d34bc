/**
 * @file tests/every_call.h
 * Every public call that takes a store or a handle made from one, as a function that a thread can
 * make over and over on the store of the running test.
 */
#ifndef STELE_TESTS_EVERY_CALL_H
#define STELE_TESTS_EVERY_CALL_H

#include "contract.h"

#include <stele/jsonl.h>
#include <stele/lifecycle.h>
#include <stele/submit.h>
#include <stele/typed.h>
#include <stele/verify.h>

#include <pthread.h>
#include <stdatomic.h>

enum { EVENTS_BEFORE = 40 };

/* A thread that makes one call over and over. Check's assertions stay on the test's thread. */
typedef struct caller {
    pthread_t thread;
    stele_status (*call)(struct caller *self);
    char stream[16];
    stele_status status;
    char reason[256];
    int64_t stored;    /* events that were acknowledged */
    int64_t submitted; /* with a callback */
    atomic_int_fast64_t told;
    atomic_int_fast64_t told_ok;
} caller;

static inline stele_event some_event(void)
{
    return make_event("noted", "{\"n\":1}");
}

/* What the calls below find in the store: `before-1`, in one commit. */
static inline void fill_before(void)
{
    stele_event events[EVENTS_BEFORE];
    for (size_t i = 0; i < EVENTS_BEFORE; i++)
        events[i] = some_event();
    stele_append append = make_append("before-1", STELE_ANY, events, EVENTS_BEFORE);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
}

/* --- Calls that write --- */

static inline stele_status call_append(caller *self)
{
    stele_event event = some_event();
    stele_append append = make_append(self->stream, STELE_ANY, &event, 1);
    stele_status status = stele_store_append(store, &append, NULL);
    self->stored += status == STELE_OK;
    return status;
}

static inline stele_status call_append_many(caller *self)
{
    stele_event event = some_event();
    stele_append appends[2] = { make_append(self->stream, STELE_ANY, &event, 1),
                                make_append("both-1", STELE_ANY, &event, 1) };
    stele_status status = stele_store_append_many(store, appends, 2, NULL, NULL);
    self->stored += status == STELE_OK ? 2 : 0;
    return status;
}

static inline stele_status call_save(caller *self)
{
    return stele_checkpoint_save(store, self->stream, 1);
}

/* Whoever else is at it may have been faster: only what is wrong counts. */
static inline stele_status call_move_and_own(caller *self)
{
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    stele_checkpoint_claimed claimed = { 0 };
    char name[32];
    snprintf(name, sizeof(name), "%s/moved", self->stream);
    move.to = 1;
    claim.owner = self->stream;
    stele_status status = stele_checkpoint_claim_take(store, name, &claim, &claimed);
    move.generation = claimed.generation;
    if (status == STELE_OK)
        status = stele_checkpoint_advance(store, name, &move, NULL);
    if (status == STELE_OK)
        status = stele_checkpoint_claim_renew(store, name, claimed.generation, 1000);
    if (status == STELE_OK)
        status = stele_checkpoint_claim_release(store, name, claimed.generation);
    return status == STELE_OK ? stele_checkpoint_reset(store, name, NULL) : status;
}

static inline stele_status call_transfer(caller *self)
{
    stele_status status = call_append(self);
    return status == STELE_OK ? stele_store_transfer(store, NULL, NULL) : status;
}

static const char import_lines[] = "{\"stream\":\"import-1\",\"type\":\"noted\",\"data\":{}}\n"
                                   "{\"stream\":\"import-1\",\"type\":\"noted\",\"data\":{}}\n"
                                   "{\"stream\":\"import-2\",\"type\":\"noted\",\"data\":{}}\n";

static inline stele_status give_lines(void *context, void *buffer, size_t capacity,
                                      size_t *size_out)
{
    bool *given = context;
    *size_out = *given ? 0 : sizeof(import_lines) - 1;
    ck_assert_uint_le(*size_out, capacity);
    memcpy(buffer, import_lines, *size_out);
    *given = true;
    return STELE_OK;
}

static inline stele_status call_import(caller *self)
{
    bool given = false;
    stele_import import = STELE_IMPORT_INIT;
    import.batch_size = 1;
    import.read = give_lines;
    import.context = &given;
    stele_imported imported = { 0 };
    stele_status status = stele_store_import(store, &import, &imported);
    self->stored += (int64_t)imported.appended; /* also of one that was cut short */
    return status;
}

/* --- Submissions --- */

static inline stele_status submit_one(caller *self, const stele_submit *submit,
                                      stele_ticket **ticket_out)
{
    stele_event event = some_event();
    stele_append append = make_append(self->stream, STELE_ANY, &event, 1);
    return stele_store_submit(store, &append, submit, ticket_out);
}

/* What was taken gets its verdict, closed or not. */
static inline stele_status call_ticket_wait(caller *self)
{
    stele_ticket *ticket = NULL;
    const stele_verdict *verdict = NULL;
    stele_status status = submit_one(self, NULL, &ticket);
    if (status == STELE_OK)
        status = stele_ticket_wait(ticket, NULL, &verdict);
    if (status == STELE_OK)
        status = verdict->status;
    self->stored += status == STELE_OK;
    stele_ticket_close(ticket);
    return status;
}

static inline stele_status call_submit_and_forget(caller *self)
{
    stele_ticket *ticket = NULL;
    stele_status status = submit_one(self, NULL, &ticket);
    self->stored += status == STELE_OK;
    stele_ticket_close(ticket);
    return status;
}

static inline void count_verdict(void *context, const stele_verdict *verdict)
{
    caller *self = context;
    atomic_fetch_add(&self->told, 1);
    atomic_fetch_add(&self->told_ok, verdict->status == STELE_OK);
}

static inline stele_status call_submit_with_callback(caller *self)
{
    stele_submit submit = STELE_SUBMIT_INIT;
    submit.callback = count_verdict;
    submit.context = self;
    stele_status status = submit_one(self, &submit, NULL);
    self->submitted += status == STELE_OK;
    return status;
}

static inline stele_status call_flush(caller *self)
{
    stele_status status = call_submit_with_callback(self);
    return status == STELE_OK ? stele_store_flush(store, NULL) : status;
}

/* The tickets are their submitters' to close, whoever is told of them here. */
static inline stele_status call_completed(caller *self)
{
    int descriptor = -1;
    stele_ticket *ticket = NULL, *completed = NULL;
    stele_status status = submit_one(self, NULL, &ticket);
    self->stored += status == STELE_OK;
    if (status == STELE_OK)
        status = stele_store_completion_fd(store, &descriptor);
    if (status == STELE_OK)
        status = stele_store_flush(store, NULL);
    if (status == STELE_OK)
        status = stele_store_completed(store, &completed);
    stele_ticket_close(ticket);
    return status;
}

/* --- Calls that read --- */

static inline stele_status call_read(caller *self)
{
    (void)self;
    stele_read read = STELE_READ_INIT;
    read.page_count_max = 7;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    stele_status status = stele_store_read(store, &read, &cursor);
    while (status == STELE_OK)
        status = stele_cursor_next(cursor, &record);
    stele_cursor_close(cursor);
    return status;
}

static inline stele_status call_read_missed(caller *self)
{
    (void)self;
    stele_append append = make_append("before-1", 1, NULL, 0);
    stele_appended appended = { .stream_version = EVENTS_BEFORE, .condition = -1 };
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    stele_status status = stele_store_read_missed(store, &append, &appended, &cursor);
    while (status == STELE_OK)
        status = stele_cursor_next(cursor, &record);
    stele_cursor_close(cursor);
    return status;
}

static inline stele_status call_head(caller *self)
{
    (void)self;
    int64_t head = 0;
    return stele_store_head(store, &head);
}

static inline stele_status call_stream(caller *self)
{
    (void)self;
    stele_stream_info info = { 0 };
    return stele_store_stream(store, "before-1", &info);
}

static inline stele_status call_key(caller *self)
{
    stele_key_info info;
    return stele_store_key(store, self->stream, &info);
}

static inline stele_status call_streams(caller *self)
{
    (void)self;
    stele_streams *streams = NULL;
    const stele_stream_info *info = NULL;
    stele_status status = stele_store_streams(store, NULL, &streams);
    while (status == STELE_OK)
        status = stele_streams_next(streams, &info);
    stele_streams_close(streams);
    return status;
}

static inline stele_status call_types(caller *self)
{
    (void)self;
    stele_types *types = NULL;
    const stele_type_info *info = NULL;
    stele_status status = stele_store_types(store, &types);
    while (status == STELE_OK)
        status = stele_types_next(types, &info);
    stele_types_close(types);
    return status;
}

static inline stele_status call_verify(caller *self)
{
    (void)self;
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(store, NULL, &verify);
    while (status == STELE_OK)
        status = stele_verify_next(verify, &check);
    stele_verify_close(verify);
    return status;
}

static inline stele_status call_digest(caller *self)
{
    (void)self;
    char digest[17];
    return stele_store_digest(store, digest);
}

static inline stele_status call_describe(caller *self)
{
    (void)self;
    stele_store_info info = STELE_STORE_INFO_INIT;
    return stele_store_describe(store, &info);
}

static inline stele_status call_load(caller *self)
{
    stele_checkpoint checkpoint = { 0 };
    return stele_checkpoint_load(store, self->stream, &checkpoint);
}

/* --- Codecs and types: nothing is registered, and so it stays --- */

static inline stele_status call_lookups(caller *self)
{
    (void)self;
    const stele_codec *codec = NULL;
    const char *name = NULL;
    stele_registered registered = { 0 };
    const stele_type *type = NULL;
    stele_status status = stele_store_codec(store, "cbor", &codec);
    if (status == STELE_OK)
        status = stele_store_codec_at(store, 0, &name);
    if (status == STELE_OK)
        status = stele_store_check_payload(store, "cbor", "\xA0", 1, 9);
    if (status == STELE_OK)
        status = stele_store_registered(store, 0, &registered);
    if (status == STELE_DONE)
        status = stele_store_type(store, "noted", 1, &type);
    return status == STELE_UNKNOWN_TYPE ? STELE_OK : status;
}

static const stele_field kept_fields[] = { STELE_F(stele_stream_info, version, "n", 0) };
STELE_TYPE(kept_type, stele_stream_info, "Kept", 1, kept_fields);

/* Encoding comes before anything else, and ends it here. */
static inline stele_status call_encode(caller *self)
{
    stele_stream_info value = { 0 };
    stele_typed_event typed = { .struct_size = sizeof(stele_typed_event),
                                .type = &kept_type,
                                .value = &value };
    stele_append append = STELE_APPEND_INIT;
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_event event;
    append.stream = self->stream;
    stele_status status = stele_event_encode(store, &typed, &buffer, &event, NULL);
    if (status == STELE_UNKNOWN_TYPE)
        status = stele_append_typed(store, &append, &typed, 1, NULL);
    return status == STELE_UNKNOWN_TYPE ? STELE_OK : status;
}

static inline stele_status call_decode(caller *self)
{
    stele_record record = { .type = "noted", .codec = "json", .schema_version = 1, .data = "{}" };
    stele_decoded *held_here = NULL;
    record.stream = self->stream;
    stele_status status = stele_record_decode(store, &record, &held_here);
    for (int i = 0; i < 3 && status == STELE_UNKNOWN_TYPE; i++)
        status = stele_record_decode(store, &record, &held_here);
    stele_decoded_close(held_here);
    stele_stream_info value;
    if (status == STELE_UNKNOWN_TYPE)
        status = stele_record_decode_as(store, &record, &kept_type, &value, NULL);
    if (status == STELE_INVALID)
        return STELE_OK;
    return status == STELE_UNKNOWN_TYPE ? STELE_OK : status;
}

/* --- Calls in a transaction --- */

static inline stele_status drain_in(stele_transaction *transaction)
{
    stele_append missed = make_append("before-1", 1, NULL, 0);
    stele_appended appended = { .stream_version = EVENTS_BEFORE, .condition = -1 };
    stele_cursor *cursors[2] = { NULL, NULL };
    const stele_record *record = NULL;
    stele_status status = stele_transaction_read(transaction, NULL, &cursors[0]);
    if (status == STELE_OK)
        status = stele_transaction_read_missed(transaction, &missed, &appended, &cursors[1]);
    while (status == STELE_OK)
        status = stele_cursor_next(cursors[0], &record);
    while (status == STELE_OK || status == STELE_DONE) {
        status = stele_cursor_next(cursors[1], &record);
        if (status == STELE_DONE)
            break;
    }
    stele_cursor_close(cursors[0]);
    stele_cursor_close(cursors[1]);
    return status == STELE_DONE ? STELE_OK : status;
}

static inline stele_status list_in(stele_transaction *transaction)
{
    stele_streams *streams = NULL;
    stele_types *types = NULL;
    stele_stream_info info = { 0 };
    const stele_stream_info *stream = NULL;
    const stele_type_info *type = NULL;
    stele_status status = stele_transaction_stream(transaction, "before-1", &info);
    if (status == STELE_OK)
        status = stele_transaction_streams(transaction, NULL, &streams);
    while (status == STELE_OK)
        status = stele_streams_next(streams, &stream);
    if (status == STELE_DONE)
        status = stele_transaction_types(transaction, &types);
    while (status == STELE_OK)
        status = stele_types_next(types, &type);
    stele_streams_close(streams);
    stele_types_close(types);
    return status == STELE_DONE ? STELE_OK : status;
}

static inline stele_status write_in(stele_transaction *transaction, const char *stream)
{
    stele_event event = some_event();
    stele_append append = make_append(stream, STELE_ANY, &event, 1);
    stele_checkpoint checkpoint = { 0 };
    stele_key_info info;
    int64_t head = 0;
    stele_status status = stele_transaction_append(transaction, &append, NULL);
    if (status == STELE_OK)
        status = stele_transaction_append_many(transaction, &append, 1, NULL, NULL);
    if (status == STELE_OK)
        status = stele_transaction_head(transaction, &head);
    if (status == STELE_OK)
        status = stele_transaction_key(transaction, stream, &info);
    if (status == STELE_OK)
        status = stele_transaction_checkpoint_save(transaction, stream, head);
    if (status == STELE_OK)
        status = stele_transaction_checkpoint_load(transaction, stream, &checkpoint);
    return status;
}

static inline stele_status call_transaction(caller *self)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(store, &transaction);
    if (status == STELE_OK)
        status = write_in(transaction, self->stream);
    if (status == STELE_OK)
        status = drain_in(transaction);
    if (status == STELE_OK)
        status = list_in(transaction);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    self->stored += status == STELE_OK ? 2 : 0;
    stele_transaction_end(transaction);
    return status;
}

/* Nothing of the borrowed connection is used while another thread may close it. */
static inline stele_status call_rolled_back(caller *self)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin_wait(store, NULL, &transaction);
    if (status == STELE_OK)
        status = write_in(transaction, self->stream);
    if (status == STELE_OK)
        (void)stele_transaction_sqlite(transaction);
    stele_transaction_end(transaction);
    return status;
}

static inline stele_status call_archives(caller *self)
{
    (void)self;
    stele_archives *archives = NULL;
    const stele_archived *archived = NULL;
    stele_status status = stele_store_archives(store, &archives);
    while (status == STELE_OK)
        status = stele_archives_next(archives, &archived);
    stele_archives_close(archives);
    return status == STELE_DONE ? STELE_OK : status;
}

static inline stele_status call_checkpoints(caller *self)
{
    (void)self;
    stele_checkpoints *checkpoints = NULL;
    const stele_checkpoint_info *info = NULL;
    stele_status status = stele_store_checkpoints(store, &checkpoints);
    while (status == STELE_OK)
        status = stele_checkpoints_next(checkpoints, &info);
    stele_checkpoints_close(checkpoints);
    return status == STELE_DONE ? STELE_OK : status;
}

static inline stele_status call_resume(caller *self)
{
    (void)self;
    return stele_store_resume(store, NULL, NULL);
}

#include "every_notify_call.h"
#include "every_point_call.h"

static const struct {
    const char *name;
    stele_status (*call)(caller *self);
} every_call[] = {
    { "append", call_append },
    { "append_many", call_append_many },
    { "checkpoint_save", call_save },
    { "checkpoint_advance, claim", call_move_and_own },
    { "transfer", call_transfer },
    { "import", call_import },
    { "ticket_wait", call_ticket_wait },
    { "submit, forgotten", call_submit_and_forget },
    { "submit, called back", call_submit_with_callback },
    { "flush", call_flush },
    { "completed", call_completed },
    { "read", call_read },
    { "read_missed", call_read_missed },
    { "head", call_head },
    { "stream", call_stream },
    { "key", call_key },
    { "streams", call_streams },
    { "types", call_types },
    { "verify", call_verify },
    { "digest", call_digest },
    { "describe", call_describe },
    { "checkpoint_load", call_load },
    { "checkpoints", call_checkpoints },
    { "lookups", call_lookups },
    { "event_encode, append_typed", call_encode },
    { "record_decode", call_decode },
    { "archives", call_archives },
    { "resume", call_resume },
    { "resume points", call_points },
    { "resume points in a transaction", call_points_in },
    { "session memory", call_session },
    { "notifier", call_wake },
    { "notifier, descriptor and poll", call_watch },
    { "transaction", call_transaction },
    { "transaction, rolled back", call_rolled_back },
};

#endif
