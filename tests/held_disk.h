/**
 * @file tests/held_disk.h
 * A disk whose WAL can be held up, be full or fail, and threads that append in a known order.
 *
 * Check's assertions must not leave a thread that isn't its own: threads only take notes.
 */
#ifndef STELE_TESTS_HELD_DISK_H
#define STELE_TESTS_HELD_DISK_H

#include "contract.h"

#include <stele/submit.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* --- The disk --- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool holding;
    int held;          /* syncs that wait now */
    bool holding_file; /* the same of the database, which only transfers sync */
    int held_file;
    int fail_syncs;         /* so many of the next ones fail */
    int fail_writes;        /* likewise */
    int write_code;         /* what a failed write says */
    sqlite3_int64 size_max; /* the WAL can't grow beyond this; 0: as it likes */
    sqlite3_int64 size;     /* of the WAL: the end of what was written last */
} disk = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static sqlite3_vfs held_vfs;
static sqlite3_vfs *real_vfs;
static sqlite3_io_methods wal_methods;
static sqlite3_io_methods file_methods;
static const sqlite3_io_methods *real_wal;
static const sqlite3_io_methods *real_file;

static inline int sync_when_let(sqlite3_file *file, int flags)
{
    pthread_mutex_lock(&disk.mutex);
    disk.held++;
    pthread_cond_broadcast(&disk.changed);
    while (disk.holding)
        pthread_cond_wait(&disk.changed, &disk.mutex);
    disk.held--;
    bool fails = disk.fail_syncs > 0;
    disk.fail_syncs -= fails;
    pthread_mutex_unlock(&disk.mutex);
    return fails ? SQLITE_IOERR_FSYNC : real_wal->xSync(file, flags);
}

static inline int sync_file_when_let(sqlite3_file *file, int flags)
{
    pthread_mutex_lock(&disk.mutex);
    disk.held_file++;
    pthread_cond_broadcast(&disk.changed);
    while (disk.holding_file)
        pthread_cond_wait(&disk.changed, &disk.mutex);
    disk.held_file--;
    pthread_mutex_unlock(&disk.mutex);
    return real_file->xSync(file, flags);
}

static inline int write_when_room(sqlite3_file *file, const void *bytes, int size,
                                  sqlite3_int64 offset)
{
    pthread_mutex_lock(&disk.mutex);
    bool fails = disk.fail_writes > 0;
    disk.fail_writes -= fails;
    fails |= disk.size_max > 0 && offset + size > disk.size_max;
    if (!fails)
        disk.size = offset + size;
    int code = disk.write_code;
    pthread_mutex_unlock(&disk.mutex);
    return fails ? code : real_wal->xWrite(file, bytes, size, offset);
}

/* The system's own file, but for what is above. */
static inline int open_held(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                            int *flags_out)
{
    (void)vfs;
    int code = real_vfs->xOpen(real_vfs, name, file, flags, flags_out);
    bool wal = (flags & SQLITE_OPEN_WAL) != 0;
    if (code != SQLITE_OK || !(wal || (flags & SQLITE_OPEN_MAIN_DB) != 0))
        return code;
    pthread_mutex_lock(&disk.mutex);
    if (wal && real_wal == NULL) {
        real_wal = file->pMethods;
        wal_methods = *real_wal;
        wal_methods.xSync = sync_when_let;
        wal_methods.xWrite = write_when_room;
    }
    if (!wal && real_file == NULL) {
        real_file = file->pMethods;
        file_methods = *real_file;
        file_methods.xSync = sync_file_when_let;
    }
    pthread_mutex_unlock(&disk.mutex);
    file->pMethods = wal ? &wal_methods : &file_methods;
    return code;
}

static inline void mend_disk(void)
{
    pthread_mutex_lock(&disk.mutex);
    disk.holding = false;
    disk.holding_file = false;
    disk.fail_syncs = 0;
    disk.fail_writes = 0;
    disk.write_code = SQLITE_FULL;
    disk.size_max = 0;
    pthread_cond_broadcast(&disk.changed);
    pthread_mutex_unlock(&disk.mutex);
}

static inline void use_held_disk(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    held_vfs = *real_vfs;
    held_vfs.zName = "held";
    held_vfs.xOpen = open_held;
    mend_disk();
    ck_assert_int_eq(sqlite3_vfs_register(&held_vfs, 1), SQLITE_OK);
}

static inline void open_on_held_disk(void)
{
    use_held_disk();
    open_in_file();
}

static inline void close_held_disk(void)
{
    mend_disk();
    close_and_remove();
    sqlite3_vfs_unregister(&held_vfs);
}

static inline void hold_syncs(void)
{
    pthread_mutex_lock(&disk.mutex);
    disk.holding = true;
    pthread_mutex_unlock(&disk.mutex);
}

/* Until a COMMIT hangs in its sync. */
static inline void wait_for_held_sync(void)
{
    pthread_mutex_lock(&disk.mutex);
    while (disk.held == 0)
        pthread_cond_wait(&disk.changed, &disk.mutex);
    pthread_mutex_unlock(&disk.mutex);
}

static inline void release_syncs(void)
{
    pthread_mutex_lock(&disk.mutex);
    disk.holding = false;
    pthread_cond_broadcast(&disk.changed);
    pthread_mutex_unlock(&disk.mutex);
}

/* A transfer of the WAL hangs until mend_disk(). */
static inline void hold_transfers(void)
{
    pthread_mutex_lock(&disk.mutex);
    disk.holding_file = true;
    pthread_mutex_unlock(&disk.mutex);
}

static inline void wait_for_held_transfer(void)
{
    pthread_mutex_lock(&disk.mutex);
    while (disk.held_file == 0)
        pthread_cond_wait(&disk.changed, &disk.mutex);
    pthread_mutex_unlock(&disk.mutex);
}

static inline void fail_syncs(int count)
{
    pthread_mutex_lock(&disk.mutex);
    disk.fail_syncs = count;
    pthread_mutex_unlock(&disk.mutex);
}

static inline void fail_writes(int count, int code)
{
    pthread_mutex_lock(&disk.mutex);
    disk.fail_writes = count;
    disk.write_code = code;
    pthread_mutex_unlock(&disk.mutex);
}

/* From now on the WAL has `bytes` more room; a write beyond answers `code`. */
static inline void limit_room(sqlite3_int64 bytes, int code)
{
    pthread_mutex_lock(&disk.mutex);
    disk.size_max = disk.size + bytes;
    disk.write_code = code;
    pthread_mutex_unlock(&disk.mutex);
}

/* --- Threads that append --- */

typedef struct appender {
    const char *stream;
    int64_t expected_version;
    const char *key;
    const char *type;
    pthread_t thread;
    atomic_bool waits; /* it is in the queue */
    atomic_bool cancel;
    atomic_bool done;
    stele_status status;
    stele_appended appended;
    char reason[256];
} appender;

static inline void pause_us(long microseconds)
{
    struct timespec moment = { .tv_nsec = microseconds * 1000 };
    nanosleep(&moment, NULL);
}

static inline void wait_until(atomic_bool *flag)
{
    while (!atomic_load(flag))
        pause_us(200);
}

static inline int note_waiting(void *context)
{
    appender *self = context;
    atomic_store(&self->waits, true);
    return atomic_load(&self->cancel) ? 1 : 0;
}

static inline void *append_and_note(void *context)
{
    appender *self = context;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 60000;
    wait.progress = note_waiting;
    wait.context = self;
    stele_event event = make_event(self->type == NULL ? "noted" : self->type, "{}");
    stele_append append = make_append(self->stream, self->expected_version, &event, 1);
    append.idempotency_key = self->key;
    append.wait = &wait;
    self->status = stele_store_append(store, &append, &self->appended);
    snprintf(self->reason, sizeof(self->reason), "%s", self->status < 0 ? stele_error_text() : "");
    atomic_store(&self->done, true);
    return NULL;
}

static inline void start_appender(appender *self)
{
    ck_assert_int_eq(pthread_create(&self->thread, NULL, append_and_note, self), 0);
}

/* Hold the disk up under one append, so that all that come now share the next commit. */
static inline void start_behind_held_commit(appender *first, appender *others, size_t count)
{
    hold_syncs();
    start_appender(first);
    wait_for_held_sync();
    for (size_t i = 0; i < count; i++) {
        start_appender(&others[i]);
        wait_until(&others[i].waits);
    }
}

static inline void join_appenders(appender *first, appender *others, size_t count)
{
    pthread_join(first->thread, NULL);
    for (size_t i = 0; i < count; i++)
        pthread_join(others[i].thread, NULL);
}

#define assert_appender(appender_, expected)                                                       \
    ck_assert_msg((appender_).status == (expected), "%s on %s is %s: %s", #appender_,              \
                  (appender_).stream, stele_status_name((appender_).status), (appender_).reason)

/* --- Submissions --- */

/* With data of `size` bytes; `key` may be NULL. */
static inline stele_ticket *submit_sized(const char *stream, int64_t expected_version,
                                         const char *key, size_t size)
{
    char *data = malloc(size + 1);
    ck_assert_ptr_nonnull(data);
    memset(data, 'x', size);
    stele_event event = { .type = "noted", .codec = "raw", .data = data, .data_size = size };
    stele_append append = make_append(stream, expected_version, &event, 1);
    append.idempotency_key = key;
    stele_ticket *ticket = NULL;
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_OK);
    free(data);
    return ticket;
}

static inline stele_ticket *submit_one(const char *stream, int64_t expected_version,
                                       const char *key)
{
    return submit_sized(stream, expected_version, key, 10);
}

static inline const stele_verdict *verdict_of(stele_ticket *ticket)
{
    const stele_verdict *verdict = NULL;
    assert_status(stele_ticket_wait(ticket, NULL, &verdict), STELE_OK);
    ck_assert_ptr_nonnull(verdict);
    return verdict;
}

static inline stele_status look_at(stele_ticket *ticket)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 0;
    const stele_verdict *verdict = NULL;
    return stele_ticket_wait(ticket, &wait, &verdict);
}

/* The verdict must be this one; closes the ticket and returns what was stored. */
static inline stele_appended expect_verdict(stele_ticket *ticket, stele_status expected)
{
    const stele_verdict *verdict = verdict_of(ticket);
    ck_assert_msg(verdict->status == expected, "the verdict is %s, not %s: %s",
                  stele_status_name(verdict->status), stele_status_name(expected), verdict->error);
    ck_assert((*verdict->error == '\0') == (expected >= 0));
    stele_appended appended = verdict->appended;
    stele_ticket_close(ticket);
    return appended;
}

static inline void flush_all(void)
{
    assert_status(stele_store_flush(store, NULL), STELE_OK);
}

static inline stele_store_info describe_store(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    return info;
}

#endif
