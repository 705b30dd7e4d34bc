/*
 * Processes that append to a shard which is moved to and fro between two roots, and that follow it
 * wherever STELE_MOVED sends them. Each numbers its events: the n-th has the key "<writer>-<n>",
 * goes to the stream "w-<writer>", and holds n, so its version is n when nothing was lost or
 * doubled.
 */
#ifndef STELE_TESTS_MOVING_WRITERS_H
#define STELE_TESTS_MOVING_WRITERS_H

#include "shard_moves.h"

#include "store/store.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

enum { MOVING_WRITERS = 2 };

/* What the processes and the test share. */
typedef struct moving_page {
    atomic_bool stop;
    _Atomic(int64_t) acknowledged[MOVING_WRITERS];
    _Atomic(int64_t) moved[MOVING_WRITERS]; /* answers of STELE_MOVED to appends */
    _Atomic(int64_t) sent[MOVING_WRITERS];  /* to acquires */
    atomic_long heedless_pause_us;          /* and pause so long between two events */
    atomic_int failure;
    char reason[512];
} moving_page;

static moving_page *page;
static char roots[2][512];
static pid_t writers[MOVING_WRITERS];
static bool heedless; /* the control: they don't look at the fence */

static inline void doze(long microseconds)
{
    const struct timespec time = { microseconds / 1000000, microseconds % 1000000 * 1000 };
    nanosleep(&time, NULL);
}

static inline void give_up(const char *doing, stele_status status)
{
    int none = 0;
    char reason[512];
    snprintf(reason, sizeof(reason), "%.100s: %s: %.300s", doing, stele_status_name(status),
             stele_error_text());
    if (atomic_compare_exchange_strong(&page->failure, &none, 1))
        memcpy(page->reason, reason, sizeof(page->reason));
    _exit(1);
}

typedef struct follower {
    int number;
    int where;
    stele_shards *at[2];
    stele_shard *shard;
} follower;

/* Where the shard has gone, as the old place says; it may have been taken back meanwhile. */
static inline void follow_it(follower *self)
{
    char path[512];
    stele_status status =
        stele_shards_moved_to(self->at[self->where], "acme", "orders", path, sizeof(path));
    if (status != STELE_OK && status != STELE_BUSY)
        give_up("asking where to", status);
    size_t size = strlen(roots[1 - self->where]);
    if (strncmp(path, roots[1 - self->where], size) == 0 && path[size] == '/')
        self->where = 1 - self->where;
}

static inline bool find_it(follower *self)
{
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.must_exist = true;
    stele_status status =
        stele_shards_acquire(self->at[self->where], "acme", "orders", &how, &self->shard);
    if (status == STELE_OK)
        stele_shard_store(self->shard)->no_fence = heedless;
    else if (status == STELE_MOVED)
        atomic_fetch_add(&page->sent[self->number], 1);
    if (status == STELE_MOVED)
        follow_it(self);
    else if (status == STELE_NOT_FOUND)
        self->where = 1 - self->where;
    else if (status != STELE_OK && status != STELE_BUSY)
        give_up("acquiring", status);
    if (status != STELE_OK)
        doze(200);
    return status == STELE_OK;
}

static inline stele_status append_numbered(stele_store *in, int writer, int64_t number)
{
    char stream[32];
    char key[48];
    char data[64];
    snprintf(stream, sizeof(stream), "w-%d", writer);
    snprintf(key, sizeof(key), "%d-%" PRId64, writer, number);
    snprintf(data, sizeof(data), "{\"n\":%" PRId64 "}", number);
    stele_event event = make_event("noted", data);
    stele_append append = make_append(stream, STELE_ANY, &event, 1);
    append.idempotency_key = key;
    return stele_store_append(in, &append, NULL);
}

static inline void write_and_follow(int number)
{
    follower self = { .number = number };
    for (int i = 0; i < 2; i++) {
        stele_status status = stele_shards_open(roots[i], NULL, &self.at[i]);
        if (status != STELE_OK)
            give_up("opening", status);
    }
    int64_t next = atomic_load(&page->acknowledged[number]) + 1;
    while (!atomic_load(&page->stop)) {
        if (self.shard == NULL && !find_it(&self))
            continue;
        stele_status status = append_numbered(stele_shard_store(self.shard), number, next);
        if (status == STELE_OK) {
            atomic_store(&page->acknowledged[number], next++);
            doze(heedless ? atomic_load(&page->heedless_pause_us) : 300);
            continue;
        }
        if (status == STELE_MOVED)
            atomic_fetch_add(&page->moved[number], 1);
        else if (status != STELE_BUSY)
            give_up("appending", status);
        stele_shard_release(self.shard);
        self.shard = NULL;
    }
    stele_shard_release(self.shard);
    stele_shards_close(self.at[0]);
    stele_shards_close(self.at[1]);
}

/* --- The test's side; it has nothing open when it forks --- */

static inline void start_page(void)
{
    snprintf(roots[0], sizeof(roots[0]), "%s", old_root());
    snprintf(roots[1], sizeof(roots[1]), "%s", new_root());
    page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(page, MAP_FAILED);
}

static inline void start_writer(int number)
{
    fflush(NULL);
    writers[number] = fork();
    ck_assert_int_ge(writers[number], 0);
    if (writers[number] == 0) {
        write_and_follow(number);
        _exit(0);
    }
}

static inline void expect_no_failure(void)
{
    ck_assert_msg(!atomic_load(&page->failure), "%s", page->reason);
}

static inline void stop_writers(void)
{
    atomic_store(&page->stop, true);
    for (int i = 0; i < MOVING_WRITERS; i++) {
        waitpid(writers[i], NULL, 0);
        writers[i] = 0;
    }
    atomic_store(&page->stop, false);
}

/* Events of a writer that are where they should be; -1 when one is lost or doubled before the last.
 */
static inline int64_t count_numbered(stele_store *in, int writer)
{
    char stream[32];
    int64_t count = 0;
    snprintf(stream, sizeof(stream), "w-%d", writer);
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    read.stream = stream;
    if (stele_store_read(in, &read, &cursor) != STELE_OK)
        return 0;
    while (count >= 0 && stele_cursor_next(cursor, &record) == STELE_OK) {
        char data[64];
        int size = snprintf(data, sizeof(data), "{\"n\":%" PRId64 "}", record->version);
        count = record->data_size == (size_t)size && memcmp(record->data, data, (size_t)size) == 0
                    ? record->version
                    : -1;
    }
    stele_cursor_close(cursor);
    return count;
}

#endif
