/*
 * Processes that write until they are killed, for tests/test_kill.c. What each writes follows from
 * its number and the operation's alone, so that whoever reads the log knows what must be there.
 */
#ifndef STELE_TESTS_KILL_WRITERS_H
#define STELE_TESTS_KILL_WRITERS_H

#include "contract.h"

#include <stdbool.h>
#include <stdint.h>

/* --- What is written --- */

enum { STREAMS = 10, EVENTS_MAX = 6, APPENDS_MAX = 3, PAYLOAD_MAX = 9000 };

typedef enum kind { SINGLE, KEYED, BATCH, MANY, TRANSACTION, KINDS } kind;

/* One operation; events of one stream side by side. */
typedef struct plan {
    kind kind;
    int count;
    int streams[EVENTS_MAX];
    int pads[EVENTS_MAX];
    uint64_t dice; /* for what is done beside it */
} plan;

/* The n-th operation of a writer. Each process is a writer of its own. */
typedef struct attempt {
    int64_t writer;
    int64_t number;
} attempt;

/* What arrives through the pipe. A transfer has no number: -1. */
typedef struct acknowledgement {
    attempt at;
    int64_t first_position;
    int64_t last_position;
    uint64_t hash;
    int64_t duplicate; /* it had been stored by a process that was killed */
} acknowledgement;

/* What a control does wrong. */
static bool acknowledges_early, forgets_keys;
static kind only_kind = KINDS; /* KINDS: all of them */

static inline uint64_t stir(uint64_t number)
{
    number = (number ^ number >> 31) * 0x7fb5d329728ea185u;
    number = (number ^ number >> 27) * 0x81dadef4bc2dd44du;
    return number ^ number >> 33;
}

static inline plan plan_of(attempt at)
{
    uint64_t dice = stir((uint64_t)at.writer << 32 ^ (uint64_t)at.number ^ 0x5eed000000000000u);
    plan made = { .kind = only_kind == KINDS ? (kind)(dice % KINDS) : only_kind };
    dice = stir(dice);
    made.count = made.kind == SINGLE ? 1 : 1 + (int)(dice % EVENTS_MAX);
    int stream = (int)(dice >> 32 & 0xff);
    for (int i = 0; i < made.count; i++) {
        dice = stir(dice);
        if (made.kind == MANY && i % (EVENTS_MAX / APPENDS_MAX) == 0)
            stream++;
        made.streams[i] = stream % STREAMS;
        /* Some fill several pages. */
        made.pads[i] =
            (int)(dice >> 8 & 0xff) < 8 ? (int)(dice >> 16 & 0x1fff) : (int)(dice >> 16 & 0x7f);
    }
    made.dice = stir(dice);
    return made;
}

static inline const char *stream_name(int number)
{
    static const char *const names[STREAMS] = { "a-0", "a-1", "a-2", "a-3", "a-4",
                                                "b-5", "b-6", "b-7", "b-8", "b-9" };
    return names[number];
}

static inline size_t write_payload(char *out, attempt at, int index, const plan *made)
{
    int size = snprintf(out, PAYLOAD_MAX, "{\"w\":%" PRId64 ",\"n\":%" PRId64 ",\"i\":%d,\"_", //
                        at.writer, at.number, index);
    memset(out + size, 'a' + (int)(at.number % 26), (size_t)made->pads[index]);
    size += made->pads[index];
    size += snprintf(out + size, PAYLOAD_MAX - (size_t)size, "\":%d}", made->count);
    return (size_t)size;
}

static inline uint64_t add_to_hash(uint64_t hash, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)data)[i]) * 0x100000001b3u;
    return hash;
}

/* --- A process --- */

enum { NO_NUMBER = -1, NO_WRITER = -1 };

static int acknowledge_into;
static stele_durability durability;

static inline void demand(stele_status status, const char *doing)
{
    if (status == STELE_OK)
        return;
    fprintf(stderr, "test_kill: %s: %s: %s\n", doing, stele_status_name(status),
            stele_error_text());
    _exit(1);
}

static inline stele_store *open_for_writing(const char *path)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 60000;
    options.wal_soft_pages = 150;
    options.durability = durability;
    stele_store *own = NULL;
    demand(stele_store_open(path, &options, &own), "open");
    return own;
}

static inline void acknowledge(const acknowledgement *done)
{
    if (write(acknowledge_into, done, sizeof(*done)) != (ssize_t)sizeof(*done))
        _exit(2);
}

static inline void transfer_and_acknowledge(stele_store *own, int64_t writer)
{
    demand(stele_store_transfer(own, NULL, NULL), "transfer");
    acknowledge(&(acknowledgement){ .at = { writer, NO_NUMBER } });
}

typedef struct batch {
    stele_event events[EVENTS_MAX];
    char payloads[EVENTS_MAX][PAYLOAD_MAX];
    stele_append appends[APPENDS_MAX];
    stele_appended appended[APPENDS_MAX];
    size_t append_count;
    uint64_t hash;
    char key[48];
} batch;

static inline void fill_batch(batch *filled, attempt at, const plan *made)
{
    filled->append_count = 0;
    filled->hash = 0;
    for (int i = 0; i < made->count; i++) {
        size_t size = write_payload(filled->payloads[i], at, i, made);
        filled->hash = add_to_hash(filled->hash, filled->payloads[i], size);
        filled->events[i] = (stele_event){ .type = "done" };
        filled->events[i].data = filled->payloads[i];
        filled->events[i].data_size = size;
        if (i == 0 || made->streams[i] != made->streams[i - 1])
            filled->appends[filled->append_count++] =
                make_append(stream_name(made->streams[i]), STELE_ANY, &filled->events[i], 0);
        filled->appends[filled->append_count - 1].event_count++;
    }
    snprintf(filled->key, sizeof(filled->key), "%" PRId64 "/%" PRId64, at.writer, at.number);
    if (made->kind == KEYED && !forgets_keys)
        filled->appends[0].idempotency_key = filled->key;
}

static inline void acknowledge_batch(const batch *done, attempt at)
{
    acknowledge(&(acknowledgement){
        .at = at,
        .first_position = done->appended[0].first_position,
        .last_position = done->appended[done->append_count - 1].last_position,
        .hash = done->hash,
        .duplicate = done->appended[0].duplicate,
    });
}

static inline void write_in_transaction(stele_store *own, batch *todo, attempt at, const plan *made)
{
    stele_transaction *transaction = NULL;
    demand(stele_transaction_begin(own, &transaction), "begin");
    demand(stele_transaction_append_many(transaction, todo->appends, todo->append_count,
                                         todo->appended, NULL),
           "append in a transaction");
    char sql[256];
    snprintf(sql, sizeof(sql),
             "INSERT INTO ledger VALUES(%" PRId64 ", %" PRId64 ", %" PRId64 ", %d);"
             "UPDATE totals SET amount = amount + %d",
             todo->appended[0].first_position, at.writer, at.number, made->count, made->count);
    if (run_in(transaction, sql) != SQLITE_OK)
        demand(STELE_IO, sql);
    if (acknowledges_early)
        acknowledge_batch(todo, at);
    demand(stele_transaction_commit(transaction), "commit");
    stele_transaction_end(transaction);
}

/* A key that came before answers what it answered then. */
static inline void repeat_with_key(stele_store *own, const batch *done)
{
    stele_appended again = { 0 };
    demand(stele_store_append(own, &done->appends[0], &again), "repeat with a key");
    if (!again.duplicate || again.first_position != done->appended[0].first_position
        || again.last_position != done->appended[0].last_position)
        demand(STELE_CORRUPT, "the same outcome for the same key");
}

static inline void perform(stele_store *own, attempt at)
{
    static batch todo;
    plan made = plan_of(at);
    fill_batch(&todo, at, &made);
    if (made.kind == TRANSACTION)
        write_in_transaction(own, &todo, at, &made);
    else if (made.kind == MANY)
        demand(stele_store_append_many(own, todo.appends, todo.append_count, todo.appended, NULL),
               "append many");
    else
        demand(stele_store_append(own, &todo.appends[0], &todo.appended[0]), "append");
    if (!acknowledges_early)
        acknowledge_batch(&todo, at);
    if (made.kind == KEYED && made.dice % 4 == 0 && !forgets_keys)
        repeat_with_key(own, &todo);
}

/* Begins with what its predecessor can't know the outcome of. */
static inline void write_for_ever(const char *path, int64_t writer, attempt unsettled)
{
    stele_store *own = open_for_writing(path);
    if (unsettled.writer != NO_WRITER)
        perform(own, unsettled);
    for (attempt at = { writer, 0 };; at.number++) {
        uint64_t dice = plan_of(at).dice >> 8;
        if (dice % 16 == 0)
            transfer_and_acknowledge(own, writer);
        if (dice % 97 == 1) {
            stele_store_close(own);
            own = open_for_writing(path);
        }
        perform(own, at);
    }
}

static inline void transfer_for_ever(const char *path, int64_t writer, attempt unsettled)
{
    (void)unsettled;
    stele_store *own = open_for_writing(path);
    for (;;)
        transfer_and_acknowledge(own, writer);
}

#endif
