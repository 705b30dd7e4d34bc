/**
 * @file tests/memory_scenarios.h
 * Uses of a store that need memory, each counting what was acknowledged to it.
 */
#ifndef STELE_TESTS_MEMORY_SCENARIOS_H
#define STELE_TESTS_MEMORY_SCENARIOS_H

#include "upcasters.h"

#include <stele/copy.h>
#include <stele/backup.h>
#include <stele/jsonl.h>
#include <stele/lifecycle.h>
#include <stele/submit.h>
#include <stele/verify.h>

enum { EVENTS_BEFORE = 30, EVENTS_MANY = 20 };

/* One run of a scenario. `stored` counts the events that were acknowledged. */
typedef struct attempt {
    stele_store *store;
    int64_t stored;
    int told;
    stele_status told_status;
    void *leaked; /* by the control */
} attempt;

static stele_event events_of_many[EVENTS_MANY];

static inline stele_append append_of(const char *stream, size_t count)
{
    for (size_t i = 0; i < EVENTS_MANY; i++)
        events_of_many[i] = make_event(i % 2 == 0 ? "even" : "odd", "{\"n\":[1,2,{\"m\":3}]}");
    return make_append(stream, STELE_ANY, events_of_many, count);
}

static inline stele_status try_append(attempt *run)
{
    stele_append append = append_of("own-1", 1);
    stele_status status = stele_store_append(run->store, &append, NULL);
    run->stored += status == STELE_OK;
    return status;
}

static inline stele_status try_batch(attempt *run)
{
    stele_append append = append_of("own-2", EVENTS_MANY);
    stele_status status = stele_store_append(run->store, &append, NULL);
    run->stored += status == STELE_OK ? EVENTS_MANY : 0;
    return status;
}

static inline stele_status try_many(attempt *run)
{
    /* The second needs memory when the first is written already. */
    stele_append appends[2] = { append_of("own-3", 1), append_of("own-4", EVENTS_MANY) };
    stele_status status = stele_store_append_many(run->store, appends, 2, NULL, NULL);
    run->stored += status == STELE_OK ? EVENTS_MANY + 1 : 0;
    return status;
}

static int key_count;

/* Whatever came of the first attempt, the second one settles it. */
static inline stele_status try_key(attempt *run)
{
    char key[32];
    snprintf(key, sizeof(key), "attempt-%d", ++key_count);
    stele_append append = append_of("own-5", 3);
    append.idempotency_key = key;
    stele_appended appended = { 0 };
    stele_status status = stele_store_append(run->store, &append, NULL);
    bool unknown = status == STELE_UNKNOWN_OUTCOME;
    if (unknown)
        status = stele_store_append(run->store, &append, &appended);
    run->stored += status == STELE_OK ? 3 : 0;
    return status;
}

static inline stele_status try_ticket(attempt *run)
{
    stele_append append = append_of("own-6", EVENTS_MANY);
    stele_ticket *ticket = NULL;
    const stele_verdict *verdict = NULL;
    stele_status status = stele_store_submit(run->store, &append, NULL, &ticket);
    if (status == STELE_OK)
        status = stele_ticket_wait(ticket, NULL, &verdict);
    if (status == STELE_OK)
        status = verdict->status;
    run->stored += status == STELE_OK ? EVENTS_MANY : 0;
    stele_ticket_close(ticket);
    return status;
}

static inline void hear_verdict(void *context, const stele_verdict *verdict)
{
    attempt *run = context;
    run->told++;
    run->told_status = verdict->status;
    run->stored += verdict->status == STELE_OK;
}

static inline stele_status submit_with_callback(attempt *run)
{
    stele_append append = append_of("own-7", 1);
    stele_submit submit = STELE_SUBMIT_INIT;
    submit.callback = hear_verdict;
    submit.context = run;
    return stele_store_submit(run->store, &append, &submit, NULL);
}

/* OK from flush means only that there is a verdict. */
static inline stele_status try_callback(attempt *run)
{
    stele_status status = submit_with_callback(run);
    int submitted = status == STELE_OK;
    if (status == STELE_OK)
        status = stele_store_flush(run->store, NULL);
    ck_assert_int_eq(run->told, submitted);
    return status == STELE_OK ? run->told_status : status;
}

/* The one of them that keeps it alive must not lose its verdict either. */
static inline stele_status try_close(attempt *run)
{
    stele_append append = append_of("own-8", 1);
    stele_ticket *ticket = NULL;
    const stele_verdict *verdict = NULL;
    stele_status status = submit_with_callback(run);
    int submitted = status == STELE_OK;
    stele_status second = stele_store_submit(run->store, &append, NULL, &ticket);
    stele_store_close(run->store);
    run->store = NULL;
    ck_assert_int_eq(run->told, submitted);
    if (submitted == 1)
        status = run->told_status;
    if (second == STELE_OK) {
        assert_status(stele_ticket_wait(ticket, NULL, &verdict), STELE_OK);
        second = verdict->status;
    }
    run->stored += second == STELE_OK;
    stele_ticket_close(ticket);
    return status != STELE_OK ? status : second;
}

static inline stele_status drain_cursor(stele_cursor *cursor)
{
    const stele_record *record = NULL;
    stele_status status = STELE_OK;
    while (status == STELE_OK)
        status = stele_cursor_next(cursor, &record);
    return status == STELE_DONE ? STELE_OK : status;
}

static inline stele_status try_read(attempt *run)
{
    static const char *const types[] = { "even", "odd", "never" };
    stele_read read = STELE_READ_INIT;
    read.types = types;
    read.type_count = COUNT_OF(types);
    read.prefix = "before";
    read.keys = true;
    read.page_count_max = 7;
    stele_cursor *cursor = NULL;
    stele_status status = stele_store_read(run->store, &read, &cursor);
    if (status == STELE_OK)
        status = drain_cursor(cursor);
    stele_cursor_close(cursor);
    if (status != STELE_OK)
        return status;
    cursor = NULL;
    stele_read stream = STELE_READ_INIT;
    stream.stream = "before-1";
    stream.direction = STELE_BACKWARD;
    status = stele_store_read(run->store, &stream, &cursor);
    if (status == STELE_OK)
        status = drain_cursor(cursor);
    stele_cursor_close(cursor);
    return status;
}

static inline stele_status try_lists(attempt *run)
{
    stele_streams *streams = NULL;
    stele_types *types = NULL;
    const stele_stream_info *stream = NULL;
    const stele_type_info *type = NULL;
    stele_stream_info info = { 0 };
    stele_key_info key;
    stele_streams_read read = STELE_STREAMS_READ_INIT;
    read.prefix = "be";
    read.after = "a";
    read.statistics = true;
    stele_status status = stele_store_streams(run->store, &read, &streams);
    while (status == STELE_OK)
        status = stele_streams_next(streams, &stream);
    if (status == STELE_DONE)
        status = stele_store_types(run->store, &types);
    while (status == STELE_OK)
        status = stele_types_next(types, &type);
    if (status == STELE_DONE)
        status = stele_store_stream(run->store, "before-1", &info);
    if (status == STELE_OK)
        status = stele_store_key(run->store, "never", &key);
    stele_streams_close(streams);
    stele_types_close(types);
    return status;
}

static inline stele_status try_verify(attempt *run)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    char digest[17];
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_status status = stele_verify_open(run->store, NULL, &verify);
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK)
        ck_assert_msg(check->failures == 0, "%s: %s", check->name, check->offender);
    stele_verify_close(verify);
    if (status == STELE_DONE)
        status = stele_store_digest(run->store, digest);
    return status == STELE_OK ? stele_store_describe(run->store, &info) : status;
}

static inline stele_status try_transaction(attempt *run)
{
    stele_transaction *transaction = NULL;
    stele_cursor *cursor = NULL;
    stele_append append = append_of("own-9", EVENTS_MANY);
    stele_append appends[2] = { append_of("own-9", 1), append_of("own-10", EVENTS_MANY) };
    stele_checkpoint checkpoint = { 0 };
    stele_status status = stele_transaction_begin(run->store, &transaction);
    if (status == STELE_OK)
        status = stele_transaction_append(transaction, &append, NULL);
    if (status == STELE_OK)
        status = stele_transaction_append_many(transaction, appends, 2, NULL, NULL);
    if (status == STELE_OK)
        status = stele_transaction_checkpoint_save(transaction, "reader", 1);
    if (status == STELE_OK)
        status = stele_transaction_checkpoint_load(transaction, "reader", &checkpoint);
    if (status == STELE_OK)
        status = stele_transaction_read(transaction, NULL, &cursor);
    if (status == STELE_OK)
        status = drain_cursor(cursor);
    stele_cursor_close(cursor);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    run->stored += status == STELE_OK ? 2 * EVENTS_MANY + 1 : 0;
    stele_transaction_end(transaction);
    return status;
}

/* Going on after a refusal that wrote nothing: what is then committed is what was answered OK. */
static inline stele_status try_stubborn_transaction(attempt *run)
{
    stele_transaction *transaction = NULL;
    int64_t written = 0;
    bool refused = false;
    stele_status status = stele_transaction_begin(run->store, &transaction);
    for (int i = 0; i < 4 && transaction != NULL; i++) {
        char stream[32];
        snprintf(stream, sizeof(stream), "stubborn-%d", i);
        stele_append appends[2] = { append_of("stubborn-9", 1), append_of(stream, EVENTS_MANY) };
        status = stele_transaction_append_many(transaction, appends, 2, NULL, NULL);
        written += status == STELE_OK ? EVENTS_MANY + 1 : 0;
        refused |= status != STELE_OK;
    }
    if (transaction != NULL)
        status = stele_transaction_commit(transaction);
    run->stored += status == STELE_OK ? written : 0;
    stele_transaction_end(transaction);
    return status == STELE_OK && refused ? STELE_NO_MEMORY : status;
}

static const char lines_to_import[] =
    "{\"stream\":\"import-1\",\"type\":\"even\",\"data\":{\"a\":[1,2,3]}}\n"
    "not a line\n"
    "{\"stream\":\"import-1\",\"type\":\"odd\",\"data_b64\":\"AAEC\",\"metadata\":{\"b\":1}}\n"
    "{\"stream\":\"import-2\",\"type\":\"odd\",\"id\":\"%\",\"data\":\"\\u00e9\"}\n";

static inline stele_status give_lines(void *context, void *buffer, size_t capacity,
                                      size_t *size_out)
{
    size_t *given = context;
    size_t left = sizeof(lines_to_import) - 1 - *given;
    *size_out = left < 50 ? left : 50; /* so that lines are put together */
    *size_out = *size_out < capacity ? *size_out : capacity;
    memcpy(buffer, lines_to_import + *given, *size_out);
    *given += *size_out;
    return STELE_OK;
}

static inline stele_status import_lines(attempt *run, bool atomic)
{
    size_t given = 0;
    char source[32];
    stele_import import = STELE_IMPORT_INIT;
    stele_imported imported = { 0 };
    snprintf(source, sizeof(source), "source-%d", ++key_count);
    import.source = source;
    import.batch_size = 2;
    import.atomic = atomic;
    import.read = give_lines;
    import.context = &given;
    stele_status status = stele_store_import(run->store, &import, &imported);
    run->stored += (int64_t)imported.appended;
    return atomic && status == STELE_INVALID ? STELE_OK : status; /* a line is bad */
}

static inline stele_status try_import(attempt *run)
{
    return import_lines(run, false);
}

static inline stele_status try_atomic_import(attempt *run)
{
    return import_lines(run, true);
}

static inline stele_status try_export(attempt *run)
{
    stele_exporter *exporter = NULL;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    const char *line = NULL;
    size_t size = 0;
    stele_status status = stele_exporter_open(&exporter);
    if (status == STELE_OK)
        status = stele_store_read(run->store, NULL, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK)
        status = stele_exporter_line(exporter, record, &line, &size);
    stele_cursor_close(cursor);
    stele_exporter_close(exporter);
    return status == STELE_DONE ? STELE_OK : status;
}

static inline stele_status list_checkpoints(stele_store *of)
{
    stele_checkpoints *checkpoints = NULL;
    const stele_checkpoint_info *info = NULL;
    stele_status status = stele_store_checkpoints(of, &checkpoints);
    while (status == STELE_OK)
        status = stele_checkpoints_next(checkpoints, &info);
    stele_checkpoints_close(checkpoints);
    return status == STELE_DONE ? STELE_OK : status;
}

static inline stele_status own_checkpoint(attempt *run)
{
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    stele_checkpoint_claimed claimed = { 0 };
    claim.owner = "worker";
    move.to = 1;
    stele_status status = stele_checkpoint_claim_take(run->store, "owned", &claim, &claimed);
    move.generation = claimed.generation;
    if (status == STELE_OK)
        status = stele_checkpoint_advance(run->store, "owned", &move, NULL);
    if (status == STELE_OK)
        status = stele_checkpoint_claim_renew(run->store, "owned", claimed.generation, 1000);
    if (status == STELE_OK)
        status = stele_checkpoint_claim_release(run->store, "owned", claimed.generation);
    return status == STELE_OK ? stele_checkpoint_reset(run->store, "owned", NULL) : status;
}

static inline stele_status try_checkpoint(attempt *run)
{
    stele_checkpoint checkpoint = { 0 };
    stele_status status = stele_checkpoint_save(run->store, "reader", 1);
    if (status == STELE_OK)
        status = stele_checkpoint_load(run->store, "reader", &checkpoint);
    if (status == STELE_OK)
        status = list_checkpoints(run->store);
    if (status == STELE_OK)
        status = own_checkpoint(run);
    return status == STELE_OK ? stele_store_transfer(run->store, NULL, NULL) : status;
}

/* --- Codecs, types and upcasters --- */

static inline stele_status register_everything(void)
{
    stele_codec codec = marked_codec();
    const stele_type_version outputs[] = { { "Noted", 1 }, { "Placed", 2 } };
    static const char *const texts[] = { "Noted 1 {\"n\":1}",
                                         "Placed 2 {\"item\":\"p\",\"cents\":1}",
                                         "Noted 1@marked M{\"n\":2}", NULL };
    stele_status status = stele_store_register_codec(store, &codec);
    if (status == STELE_OK)
        status = stele_store_write_codec(store, "cbor");
    if (status == STELE_OK)
        status = stele_store_register_alias(store, "Ordered", "Placed");
    if (status == STELE_OK)
        status = stele_store_register_type(store, &placed_3_type);
    if (status == STELE_OK)
        status = stele_store_register_type(store, &noted_type);
    if (status == STELE_OK)
        status = register_upcast("Placed", 1, NULL, 0, &placed_1_type, in_cents, NULL);
    if (status == STELE_OK)
        status = register_upcast("Placed", 2, NULL, 0, &placed_2_type, in_euros, NULL);
    if (status == STELE_OK)
        status = register_upcast("Both", 1, outputs, 2, NULL, emit_texts, texts);
    return status;
}

/* One of the upcasters calls for memory, too: what it was refused is what it answers. */
static inline stele_status decode_everything(void)
{
    static const char *const inputs[][2] = {
        { "Ordered", "{\"item\":\"p\",\"amount\":1}" },
        { "Both", "{}" },
        { "Noted", "{\"n\":3}" },
    };
    stele_status status = STELE_OK;
    for (size_t i = 0; i < COUNT_OF(inputs) && status == STELE_OK; i++) {
        status = decode_json(inputs[i][0], 1, inputs[i][1]);
        size_t count = stele_decoded_count(decoded);
        ck_assert_uint_eq(count, status != STELE_OK ? 0 : i == 1 ? 3 : 1);
    }
    return status;
}

static inline stele_status try_typed(attempt *run)
{
    enum { TYPED = 12 };
    noted values[TYPED];
    stele_typed_event events[TYPED];
    stele_append append = STELE_APPEND_INIT;
    append.stream = "own-11";
    for (int i = 0; i < TYPED; i++) {
        values[i].n = i;
        events[i] = (stele_typed_event){ .struct_size = sizeof(stele_typed_event),
                                         .type = &noted_type,
                                         .value = &values[i] };
        events[i].codec = i % 2 == 0 ? NULL : "marked";
    }
    store = run->store;
    stele_status status = register_everything();
    if (status == STELE_OK)
        status = stele_append_typed(store, &append, events, TYPED, NULL);
    run->stored += status == STELE_OK ? TYPED : 0;
    if (status == STELE_OK)
        status = decode_everything();
    close_decoded();
    store = NULL;
    return status;
}

/* --- Copying --- */

static inline stele_status copy_twice(void *context, const stele_record *record,
                                      stele_copy_sink *sink)
{
    static const char text[] = "[{\"stream\":\"b-1\",\"type\":\"u\"}]";
    (void)context;
    stele_status status = stele_copy_pass(sink, record);
    return status == STELE_OK ? stele_copy_emit_json(sink, text, sizeof(text) - 1) : status;
}

static inline stele_status try_copy(attempt *run)
{
    stele_store *copied = NULL;
    stele_work work = STELE_WORK_INIT;
    stele_copy copy = STELE_COPY_INIT;
    work.step_count_max = 20;
    copy.to_position = EVENTS_BEFORE;
    copy.work = &work;
    copy.transform = copy_twice;
    stele_status status = stele_store_open(":memory:", NULL, &copied);
    if (status == STELE_OK)
        status = stele_store_copy(run->store, copied, &copy, NULL);
    stele_store_close(copied);
    return status;
}

/* --- Opening --- */

static inline stele_status open_and_close(const char *path, const stele_options *options)
{
    stele_store *opened = (stele_store *)&opened;
    stele_status status = stele_store_open(path, options, &opened);
    ck_assert((status == STELE_OK) == (opened != NULL));
    stele_store_close(opened);
    return status;
}

static inline stele_status try_open(attempt *run)
{
    (void)run;
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = true;
    options.maintenance = true;
    return open_and_close(store_path(), &options);
}

static inline stele_status try_open_for_reading(attempt *run)
{
    (void)run;
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    return open_and_close(store_path(), &options);
}

/* What is left of a first attempt is no obstacle to the next. */
static inline stele_status try_create(attempt *run)
{
    (void)run;
    const char *path = test_path("new.db");
    stele_status status = open_and_close(path, NULL);
    if (status == STELE_OK)
        ck_assert_int_eq(remove(path), 0);
    return status;
}

static inline stele_status try_open_in_memory(attempt *run)
{
    (void)run;
    return open_and_close(":memory:", NULL);
}

/* A copy is whole, or nothing is left of it. */
static inline stele_status judge_copy(stele_status status, const char *path)
{
    static const char *const suffixes[] = { "", "-partial", "-partial-wal", "-partial-journal" };
    if (status == STELE_OK)
        ck_assert_int_eq(remove(path), 0);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        char left[4300];
        snprintf(left, sizeof(left), "%s%s", path, suffixes[i]);
        ck_assert_msg(!file_exists(left), "'%s' is left", left);
    }
    return status;
}

static inline stele_status try_backup(attempt *run)
{
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 5;
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = test_path("copy.db");
    backup.work = &work;
    return judge_copy(stele_store_backup(run->store, &backup, NULL), backup.path);
}

static inline stele_status try_recover(attempt *run)
{
    (void)run;
    stele_recover recover = STELE_RECOVER_INIT;
    recover.backup = store_path();
    recover.path = test_path("copy.db");
    return judge_copy(stele_recover_backup(&recover, NULL), recover.path);
}

#include "memory_lifecycle.h"
#include "memory_aggregates.h"
#include "memory_notify.h"
#include "memory_parked.h"

static const struct {
    const char *name;
    stele_status (*try)(attempt *run);
    bool opens; /* by itself */
} scenarios[] = {
    { "append", try_append, false },
    { "batch", try_batch, false },
    { "append_many", try_many, false },
    { "key", try_key, false },
    { "ticket", try_ticket, false },
    { "callback", try_callback, false },
    { "close", try_close, false },
    { "read", try_read, false },
    { "lists", try_lists, false },
    { "verify", try_verify, false },
    { "typed", try_typed, false },
    { "transaction", try_transaction, false },
    { "stubborn transaction", try_stubborn_transaction, false },
    { "import", try_import, false },
    { "atomic import", try_atomic_import, false },
    { "export", try_export, false },
    { "checkpoint", try_checkpoint, false },
    { "copy", try_copy, false },
    { "lifecycle", try_lifecycle, false },
    { "notifier", try_notifier, false },
    { "parked events", try_parked, false },
    { "aggregate", try_aggregate, false },
    { "owning aggregate", try_owning_aggregate, false },
    { "open", try_open, true },
    { "open for reading", try_open_for_reading, true },
    { "create", try_create, true },
    { "open in memory", try_open_in_memory, true },
    { "backup", try_backup, false },
    { "recover", try_recover, true },
};

#endif
