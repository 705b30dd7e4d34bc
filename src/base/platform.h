/* The only door to the operating system: files, clocks, randomness, the process. */
#ifndef STELE_BASE_PLATFORM_H
#define STELE_BASE_PLATFORM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/status.h>

/* What stands at a path, without following a link there. */
typedef struct stele__file_facts {
    bool exists;
    bool regular;
    bool link;
    bool folder;
    uint32_t mode; /* who may do what with it: the lowest nine bits */
    int64_t size;
    int64_t modified_us; /* since 1970 UTC */
} stele__file_facts;

/*
 * The absolute path of `path` with every link in its folder resolved, but not its last component.
 * Freed by the caller. OK; NOT_FOUND (no such folder); MISUSE (names no file); IO; NO_MEMORY.
 */
stele_status stele__resolve_path(const char *path, char **resolved_out);

/*
 * The name of the filesystem under `path` (absolute; need not exist yet) when it may be shared
 * with other hosts; NULL for a local one, and when it can't be told. Borrowed for ever.
 */
const char *stele__network_filesystem(const char *path);
/* The same by the number that Linux gives the kind. */
const char *stele__filesystem_name(uint64_t magic);
/* Asks the system for that number, 0 for no answer; tests put another in its place. */
extern uint64_t (*stele__ask_filesystem)(const char *path);

/* Never opens the file: closing it again would drop SQLite's locks. OK or IO. */
stele_status stele__look_at_file(const char *path, stele__file_facts *facts_out);

/*
 * Create the empty file `path`, readable by its owner alone, and make its name durable. `path`
 * is absolute. OK also when it exists already; NOT_FOUND, READ_ONLY, FULL or IO.
 */
stele_status stele__create_file(const char *path);

/* Make the names in the folder of `path` (absolute) durable. OK, IO, ... */
stele_status stele__sync_folder(const char *path);

/* --- A file that is written under one name and then gets another --- */

/*
 * Create the empty file `path` (absolute) as stele__create_file() does, but not durably, and say
 * whether that was done: something of that name may be there. OK, NOT_FOUND, READ_ONLY, FULL, IO.
 */
stele_status stele__claim_file(const char *path, bool *claimed_out);
/* The first `size` bytes of the file at `path`, fewer when it is shorter. Opens and closes it, so
 * not for one that SQLite has open in this process. OK or IO. */
stele_status stele__file_peek(const char *path, void *bytes, size_t size, size_t *size_out);
/*
 * Give the file at `from` the name `to`, too, but never one that is taken. Where a file can't have
 * two names it loses the first. Not durable before stele__sync_folder(). OK; MISUSE (taken);
 * READ_ONLY, FULL, IO.
 */
stele_status stele__publish_file(const char *from, const char *to);
/* Remove the name `path`. OK also when there is none; READ_ONLY, IO. */
stele_status stele__remove_file(const char *path);
/* The system's way to give a file another name; tests put one in its place that can't. */
extern int (*stele__link_file)(const char *from, const char *to);

/* The pages that the WAL at `path` holds since it last began anew, those of an open transaction
 * perhaps included; 0 when there is none. */
uint32_t stele__wal_page_count(const char *path);

/* --- Whether something was written --- */

/* What changes when a file is written to, or a folder gets or loses names: but for what was written
 * within the same tick of the file system's clock, which may be as long as a second or two. */
typedef struct stele__file_stamp {
    bool exists;
    uint64_t inode;
    int64_t size;
    int64_t modified_ns; /* of its content; since 1970 UTC */
    int64_t changed_ns;  /* of anything about it */
} stele__file_stamp;

/* Never opens the file, nor follows a link there. OK, also when there is none; IO. */
stele_status stele__stamp_file(const char *path, stele__file_stamp *stamp_out);
bool stele__stamp_equal(const stele__file_stamp *one, const stele__file_stamp *other);
/* The system's answer, 0 or an error number; tests put another in its place. */
extern int (*stele__ask_stamp)(const char *path, stele__file_stamp *stamp_out);

/* --- A small file of our own, written in place: never one of SQLite's --- */

/*
 * Open the regular file at `path` (absolute), never through a link: for reading, or for both and
 * then created for its owner alone when missing, with at least `size` bytes, zeros at first. OK;
 * NOT_FOUND (only for reading); MISUSE (a link, or no regular file); READ_ONLY, FULL, IO,
 * NO_MEMORY.
 */
stele_status stele__small_file_open(const char *path, bool writable, size_t size,
                                    int *descriptor_out);
void stele__small_file_close(int descriptor);
/* Up to `size` bytes from `offset`; fewer at the end of the file. OK or IO. */
stele_status stele__small_file_read(int descriptor, const char *path, size_t offset, void *bytes,
                                    size_t size, size_t *size_out);
/* All of it, and durably. OK, FULL, READ_ONLY or IO. */
stele_status stele__small_file_write(int descriptor, const char *path, size_t offset,
                                     const void *bytes, size_t size);

/* The same for what lies beside a store, `<store>-something`: with that file's mode. */
stele_status stele__create_beside(const char *path);

/* --- Folders --- */

/* The absolute path of the folder `path`, all links resolved. Freed by the caller. OK; NOT_FOUND;
 * MISUSE (no folder); READ_ONLY (not to be entered), IO, NO_MEMORY. */
stele_status stele__resolve_folder(const char *path, char **resolved_out);
/* Create the folder `path` (absolute), for its owner alone, and durably. OK also when it is there;
 * MISUSE (a link, or no folder); NOT_FOUND (no parent); READ_ONLY, FULL, IO. `made_out` may be
 * NULL. */
stele_status stele__make_folder(const char *path, bool *made_out);
/* Remove an empty one. OK also when there is none; CONFLICT (it isn't empty), READ_ONLY, IO. */
stele_status stele__remove_folder(const char *path);
/* In one step, and in place of a file of that name. Not durable before stele__sync_folder() of
 * both. OK; CONFLICT (`to` is a folder with something in it); NOT_FOUND, READ_ONLY, FULL, IO. */
stele_status stele__rename(const char *from, const char *to);
/* Make the content of the file `path` durable. Opens and closes it, so not for one that SQLite has
 * open in this process. */
stele_status stele__sync_file(const char *path);

/* What is in the folder `path` (absolute, no link), "." and ".." aside, in no order. */
typedef struct stele__folder stele__folder;
stele_status stele__folder_open(const char *path, stele__folder **folder_out);
/* OK; DONE after the last; IO. The name is borrowed until the next call. */
stele_status stele__folder_next(stele__folder *folder, const char **name_out);
void stele__folder_close(stele__folder *folder);

/*
 * Locks that belong to the open file: two descriptors exclude each other in one process as in two.
 * The file at `path` is created for its owner alone when missing. Its parts 0, 1, ... are locked
 * apart where the system can; elsewhere only part 0 is ever taken by somebody.
 */
stele_status stele__lock_open(const char *path, int *descriptor_out);
void stele__lock_close(int descriptor);
/* Without waiting. OK; READ_ONLY (an exclusive one where nothing may be written), IO. */
stele_status stele__lock_try(int descriptor, int part, bool exclusive, bool *taken_out);
void stele__lock_drop(int descriptor, int part);

/* Microseconds since 1970 UTC. */
int64_t stele__clock_now(void);
/* Microseconds that never go back, from some start. */
int64_t stele__clock_monotonic_us(void);
void stele__sleep_us(uint32_t microseconds);

/* A condition variable whose waits end by that clock. */
void stele__condition_init(pthread_cond_t *condition);
/* As pthread_cond_wait(), but no longer than until `until_us`; INT64_MAX: without an end. */
void stele__condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_us);

/* Start a thread with that name (at most 15 bytes) and all signals blocked. OK or NO_MEMORY. */
stele_status stele__thread_start(pthread_t *thread_out, const char *name,
                                 void *(*run)(void *context), void *context);

/* A descriptor that can be polled: readable from signal to clear. OK or IO. */
stele_status stele__event_open(int descriptors_out[2]);
void stele__event_signal(const int descriptors[2]);
void stele__event_clear(const int descriptors[2]);
void stele__event_close(int descriptors[2]);

/* OK or IO. */
stele_status stele__random_bytes(void *bytes, size_t size);

/* Begin to count fork(): to be called before the first stele__fork_count() that matters. */
void stele__fork_watch(void);
/* A file that must not be inherited was opened or closed. */
void stele__fork_guard(int change);
/* Whether this process was forked while its parent had such a file open: SQLite then believes that
 * it holds locks which it doesn't. */
bool stele__fork_tainted(void);
/* How many forks lie between this process and the one that began to count. A plain load. */
uint32_t stele__fork_count(void);

/* Names this process for people: its host and number. */
void stele__process_name(char name_out[64]);

/* Names this boot of the machine, "" when that can't be told. */
void stele__boot_id(char id_out[64]);

#endif
