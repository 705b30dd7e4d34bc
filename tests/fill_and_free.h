/**
 * @file tests/fill_and_free.h
 * Filling a disk and freeing it again, over and over, with a store on it: what may fail, what must
 * still be there, and that writing resumes. For tests/test_disk_full.c, which has the disks.
 */
#ifndef STELE_TESTS_FILL_AND_FREE_H
#define STELE_TESTS_FILL_AND_FREE_H

#include "contract.h"

#include "effort.h"

#include <stele/verify.h>

#include <stdarg.h>
#include <sys/stat.h>

/* --- What goes wrong is counted, since most of this runs in a child without Check --- */

static int64_t wrong_count;
static char first_wrong[512];

__attribute__((format(printf, 2, 3))) static void expect(bool holds, const char *format, ...)
{
    if (holds || wrong_count++ > 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(first_wrong, sizeof(first_wrong), format, arguments);
    va_end(arguments);
}

static inline void expect_status(stele_status status, stele_status expected, const char *doing)
{
    expect(status == expected, "%s is %s, not %s: %s", doing, stele_status_name(status),
           stele_status_name(expected), status < 0 ? stele_error_text() : "no reason");
}

/* --- A disk, in one of three ways --- */

typedef struct disk {
    const char *name;
    bool (*prepare)(void); /* false: this machine can't */
    void (*fill)(void);    /* leaves room for little or nothing */
    void (*empty)(void);
    bool keyed_only; /* its failures may leave an outcome open */
    bool lies;       /* it drops what it says it has written */
} disk;

static const disk *under;
static stele_durability durability;
static char path[4096];

/* --- What must be in the store --- */

enum { STREAMS = 3, EVENTS_MAX = 60000, BATCH_MAX = 4, DATA_MAX = 8000 };

typedef enum write_kind { APPEND, KEYED, MANY, TRANSACTION, TRANSFER, WRITE_KINDS } write_kind;

static struct {
    uint64_t hash;
    int stream;
} model[EVENTS_MAX];
static int64_t model_count;
static int64_t row_count;
static int64_t payload_count;
static int64_t full_count, write_count, full_by_kind[WRITE_KINDS];
static int64_t unknown_count, refused_opens;

static const char *const stream_names[STREAMS] = { "a-1", "a-2", "b-1" };

static inline uint64_t hash_of(const void *data, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)data)[i]) * 0x100000001b3u;
    return hash;
}

/* Events of one or two streams that are to be stored together. */
typedef struct batch {
    char data[BATCH_MAX][DATA_MAX];
    stele_event events[BATCH_MAX];
    int streams[BATCH_MAX];
    stele_append appends[2];
    stele_appended appended[2];
    size_t append_count;
    int event_count;
    char key[32];
} batch;

/* An attempt whose outcome is not known. */
static batch unsettled;
static bool has_unsettled;

static inline void make_batch(batch *made, int append_count, bool keyed)
{
    made->event_count = 0;
    made->append_count = (size_t)append_count;
    int64_t number = ++payload_count;
    snprintf(made->key, sizeof(made->key), "attempt-%" PRId64, number);
    for (int i = 0; i < append_count; i++) {
        int count = 1 + (int)(next_chance() % (BATCH_MAX / 2));
        int stream = (int)(next_chance() % STREAMS);
        made->appends[i] = make_append(stream_names[stream], STELE_ANY,
                                       &made->events[made->event_count], (size_t)count);
        if (keyed)
            made->appends[i].idempotency_key = made->key;
        for (int j = 0; j < count; j++) {
            int at = made->event_count++;
            int pad = (int)(next_chance() % (one_in(12) ? DATA_MAX - 64 : 300));
            int size = snprintf(made->data[at], DATA_MAX, "[%" PRId64 ",%d,\"", number, at);
            memset(made->data[at] + size, 'a' + (int)(number % 26), (size_t)pad);
            memcpy(made->data[at] + size + pad, "\"]", 3);
            made->events[at] = make_event("filled", made->data[at]);
            made->streams[at] = stream;
        }
    }
}

static inline void remember(const batch *stored, bool row)
{
    expect(stored->appended[0].first_position == model_count + 1,
           "stored at %" PRId64 " after %" PRId64, stored->appended[0].first_position, model_count);
    for (int i = 0; i < stored->event_count && model_count < EVENTS_MAX; i++) {
        model[model_count].hash = hash_of(stored->events[i].data, stored->events[i].data_size);
        model[model_count++].stream = stored->streams[i];
    }
    row_count += row;
}

/* Read `stream`, or all for -1, and compare. */
static inline void check_read(int stream)
{
    stele_read read = STELE_READ_INIT;
    if (stream >= 0)
        read.stream = stream_names[stream];
    /* What an unsettled attempt may have left comes last. */
    read.to_position = has_unsettled ? model_count : 0;
    read.page_count_max = 1 + (uint32_t)(next_chance() % 200);
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    int64_t next = 0;
    int64_t version = 0;
    stele_status status = stele_store_read(store, &read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        while (stream >= 0 && next < model_count && model[next].stream != stream)
            next++;
        version++;
        if (next >= model_count || record->position != next + 1
            || (stream >= 0 && record->version != version)
            || hash_of(record->data, record->data_size) != model[next].hash) {
            expect(false, "position %" PRId64 " read in the place of %" PRId64 " of %" PRId64,
                   record->position, next + 1, model_count);
            break;
        }
        next++;
    }
    if (status != STELE_OK) {
        while (stream >= 0 && next < model_count && model[next].stream != stream)
            next++;
        expect_status(status, STELE_DONE, "reading");
        expect(next == model_count, "reading ended at %" PRId64 " of %" PRId64, next, model_count);
    }
    stele_cursor_close(cursor);
}

/* Everything acknowledged is there, and nothing else. Never fails, however full the disk is. The
 * log as a whole, then, up to `streams`, each stream. */
static inline void check_reads(int streams)
{
    int64_t head = -1;
    expect_status(stele_store_head(store, &head), STELE_OK, "head");
    expect(head == model_count || (has_unsettled && head == model_count + unsettled.event_count),
           "the head is %" PRId64 ", not %" PRId64, head, model_count);
    for (int stream = -1; stream < streams; stream++)
        check_read(stream);
}

/* The user's rows, in a transaction: only while there is room. */
static inline void check_rows(void)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(store, &transaction);
    expect_status(status, STELE_OK, "begin");
    if (status != STELE_OK)
        return;
    int64_t rows = number_in(transaction, "SELECT count(*) FROM balances");
    expect(rows == row_count, "%" PRId64 " rows, not %" PRId64, rows, row_count);
    stele_transaction_end(transaction);
}

/* --- Writing --- */

static batch todo;

static inline stele_status write_in_transaction(batch *made)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(store, &transaction);
    if (status != STELE_OK)
        return status;
    int row = run_in(transaction, "INSERT INTO balances VALUES('a', 1)");
    if (row != SQLITE_OK)
        status = row == SQLITE_FULL ? STELE_FULL : STELE_IO;
    if (status == STELE_OK)
        status = stele_transaction_append_many(transaction, made->appends, made->append_count,
                                               made->appended, NULL);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    return status;
}

static const char *const kind_names[] = { "append", "keyed append", "append many", "transaction",
                                          "transfer" };

/* A failure that this disk may cause. */
static inline bool is_expected(stele_status status)
{
    return status == STELE_FULL
           || (under->keyed_only && (status == STELE_IO || status == STELE_UNKNOWN_OUTCOME));
}

static inline stele_status write_once(write_kind kind)
{
    stele_status status = STELE_OK;
    int64_t head = -1;
    if (under->keyed_only && kind != TRANSFER)
        kind = KEYED;
    make_batch(&todo, kind == MANY || kind == TRANSACTION ? 2 : 1, kind == KEYED);
    switch (kind) {
    case TRANSFER: status = stele_store_transfer(store, NULL, NULL); break;
    case TRANSACTION: status = write_in_transaction(&todo); break;
    case MANY: status = stele_store_append_many(store, todo.appends, 2, todo.appended, NULL); break;
    default: status = stele_store_append(store, &todo.appends[0], &todo.appended[0]); break;
    }
    expect(status == STELE_OK || is_expected(status), "%s is %s: %s", kind_names[kind],
           stele_status_name(status), stele_error_text());
    write_count++;
    full_count += status != STELE_OK;
    full_by_kind[kind] += status != STELE_OK;
    if (status == STELE_OK && kind != TRANSFER)
        remember(&todo, kind == TRANSACTION);
    if (status == STELE_UNKNOWN_OUTCOME) {
        unknown_count++;
        unsettled = todo;
        has_unsettled = true;
    } else {
        expect_status(stele_store_head(store, &head), STELE_OK, "head");
        expect(head == model_count, "after %s, which was %s, the head is %" PRId64 ", not %" PRId64,
               kind_names[kind], stele_status_name(status), head, model_count);
    }
    return status;
}

/* Its key says what became of it. The copy's own pointers lead into the original. */
static inline void settle(void)
{
    stele_append append = unsettled.appends[0];
    for (int i = 0; i < unsettled.event_count; i++)
        unsettled.events[i] = make_event("filled", unsettled.data[i]);
    append.events = unsettled.events;
    append.idempotency_key = unsettled.key;
    has_unsettled = false;
    expect_status(stele_store_append(store, &append, &unsettled.appended[0]), STELE_OK,
                  "repeating with the key");
    remember(&unsettled, false);
}

static inline stele_status open_again(bool read_only)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = durability;
    options.wal_soft_pages = 20;
    options.read_only = read_only;
    return stele_store_open(path, &options, &store);
}

/* On a full disk the file can still be read. Whether it can be opened for writing depends. */
static inline void open_on_full_disk(void)
{
    close_store();
    expect_status(open_again(true), STELE_OK, "opening for reading on a full disk");
    if (store != NULL)
        check_reads(STREAMS);
    close_store();
    stele_status status = open_again(false);
    expect(status == STELE_OK || is_expected(status), "opening on a full disk is %s: %s",
           stele_status_name(status), stele_error_text());
    if (status == STELE_OK)
        return;
    refused_opens++;
    under->empty();
    expect_status(open_again(false), STELE_OK, "opening with room again");
}

static inline int64_t wal_size(void)
{
    char wal[sizeof(path) + 8];
    struct stat facts;
    snprintf(wal, sizeof(wal), "%s-wal", path);
    return stat(wal, &facts) == 0 ? (int64_t)facts.st_size : 0;
}

static inline void run_round(int number)
{
    stele_status status = STELE_OK;
    under->fill();
    /* A transfer that finds no room leaves some in the WAL. */
    write_kind last = TRANSFER;
    for (int i = 0; i < 500 && (status == STELE_OK || last == TRANSFER); i++) {
        last = (write_kind)(next_chance() % (one_in(4) ? WRITE_KINDS : TRANSFER));
        status = write_once(last);
    }
    expect(status != STELE_OK || under->lies, "the disk is never full");
    check_reads(0);
    for (write_kind kind = 0; kind < WRITE_KINDS && !has_unsettled; kind++)
        (void)write_once(kind);
    check_reads(STREAMS);
    if (number % 10 == 9)
        open_on_full_disk();
    if (store == NULL)
        return;

    under->empty();
    if (has_unsettled)
        settle();
    for (write_kind kind = 0; kind < WRITE_KINDS; kind++)
        expect_status(write_once(kind), STELE_OK, kind_names[kind]);
    check_rows();
    check_reads(0);
    /* A long WAL has room of its own, which takes many writes to fill: begin a new one. */
    if (wal_size() > 100000) {
        close_store();
        expect_status(open_again(false), STELE_OK, "opening");
    }
}

static inline void verify_all(void)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(store, NULL, &verify);
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK)
        expect(check->failures == 0, "%s: %s", check->name, check->offender);
    expect_status(status, STELE_DONE, "verifying");
    stele_verify_close(verify);
}

static inline void run_rounds(int count)
{
    uint64_t seed = choose_seed();
    int done = 0;
    model_count = row_count = payload_count = full_count = write_count = wrong_count = 0;
    unknown_count = refused_opens = 0;
    memset(full_by_kind, 0, sizeof(full_by_kind));
    first_wrong[0] = '\0';
    has_unsettled = false;
    expect_status(open_again(false), STELE_OK, "opening");
    if (store != NULL) {
        stele_transaction *transaction = NULL;
        expect_status(stele_transaction_begin(store, &transaction), STELE_OK, "begin");
        expect(run_in(transaction, "CREATE TABLE balances(account TEXT, amount INTEGER)")
                   == SQLITE_OK,
               "no table");
        expect_status(stele_transaction_commit(transaction), STELE_OK, "commit");
        stele_transaction_end(transaction);
    }
    for (; done < count && wrong_count == 0; done++)
        run_round(done);
    if (wrong_count == 0)
        verify_all();
    close_store();
    printf("# %s: seed %" PRIu64 ", %d rounds, %" PRId64 " events, %" PRId64 " of %" PRId64
           " writes refused, by kind",
           under->name, seed, done, model_count, full_count, write_count);
    for (int kind = 0; kind < WRITE_KINDS; kind++)
        printf(" %" PRId64, full_by_kind[kind]);
    printf(", %" PRId64 " left open, %" PRId64 " opens refused, %" PRId64 " wrong%s%s\n",
           unknown_count, refused_opens, wrong_count, wrong_count > 0 ? ": " : "", first_wrong);
    fflush(stdout);
}

#endif
