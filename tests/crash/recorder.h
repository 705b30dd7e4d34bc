/**
 * @file tests/crash/recorder.h
 * What happens to the files of one folder, written down in order: the material for power cuts.
 *
 * Two sides tell the recorder: a SQLite VFS that is registered as the default (recording_vfs.c),
 * and wrappers around the system calls that the library makes by itself (system_calls.c). The work
 * itself goes on in a real folder; only the syncs are left out, since no power will really fail.
 *
 * There is one recorder in a process. Its functions may be called by any thread.
 */
#ifndef STELE_TESTS_CRASH_RECORDER_H
#define STELE_TESTS_CRASH_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum operation_kind {
    OPERATION_CREATE,     /* `name` now names the new, empty `file` */
    OPERATION_REMOVE,     /* `name` names nothing any more */
    OPERATION_MOVE,       /* `file` is now named `name`, and no more `old_name` */
    OPERATION_LINK,       /* `file` is now named `name`, too */
    OPERATION_WRITE,      /* `size` bytes at `offset` of `file` */
    OPERATION_TRUNCATE,   /* `file` has `offset` bytes */
    OPERATION_SYNC,       /* the content of `file` is durable */
    OPERATION_SYNC_FOLDER /* the names in the folder `name` are durable ("": the recorded one) */
} operation_kind;

typedef struct operation {
    operation_kind kind;
    int file;       /* counts from 0; a name that is used again gets a new file */
    bool folder;    /* CREATE: a folder, not a file */
    uint64_t flags; /* SYNC: those SQLite gave; 0 for the library's own */
    int64_t offset;
    size_t size;
    unsigned char *data;
    char *name; /* relative to the recorded folder */
    char *old_name;
} operation;

/* A file that was there before, durable in name and content. */
typedef struct recorded_file {
    char *name;
    bool folder;
    unsigned char *data;
    size_t size;
} recorded_file;

typedef struct recording {
    recorded_file *bases; /* files 0 to base_count - 1 */
    size_t base_count;
    operation *operations;
    size_t count;
    size_t capacity;
} recording;

/* Promises of the disk that are broken on purpose, for the controls. */
typedef struct recorder_faults {
    bool wal_sync_ignored;    /* syncing a -wal does nothing */
    bool folder_sync_ignored; /* syncing a folder does nothing */
    const char *sync_ignored; /* syncing files with this in their names does nothing; NULL: none */
} recorder_faults;

/**
 * Start recording what happens in `folder` (absolute, without links), where no file may be open.
 * From now on the process gets its randomness and its clock from `seed`, so that one thread's work
 * is the same each time.
 */
void recorder_start(const char *folder, uint64_t seed, recorder_faults faults);

/** How many operations there were: marks a moment. 0 when nothing is recorded. */
size_t recorder_now(void);

/** Stop recording. The caller frees the recording with recording_dispose(). */
recording recorder_stop(void);

void recording_dispose(recording *recorded);

/** One hash over everything in it. */
uint64_t recording_digest(const recording *recorded);

/** The next sync of `folder` (relative to the recorded one) fails and does nothing; NULL: none. */
void recorder_fail_folder_sync(const char *folder);

/** Let the machine have booted anew: what the library reads as its boot id follows from `boot`. */
void recorder_set_boot(unsigned boot);

/* --- For those that tell the recorder --- */

/* Between these two the real operation and its note are one; nobody else's note comes between.
 * A call on the same thread in between records nothing: the outermost one tells. */
bool recorder_enter(void);
void recorder_leave(void);

/* The name of `path` within the recorded folder; NULL when it isn't in there or nothing is
 * recorded.
 * "" for the folder itself. */
const char *recorder_name_of(const char *path);
/* The file that `name` names now; -1 for none. */
int recorder_find(const char *name);

int recorder_note_create(const char *name, bool folder);
void recorder_note_remove(const char *name);
void recorder_note_move(const char *old_name, const char *name);
void recorder_note_link(const char *old_name, const char *name);
void recorder_note_write(int file, const void *data, size_t size, int64_t offset);
void recorder_note_truncate(int file, int64_t size);
void recorder_note_sync(int file, uint64_t flags);
/* The folder that `name` is in. */
void recorder_note_folder_sync_around(const char *name);
/* False when it is to fail. */
bool recorder_note_folder_sync(const char *folder);

/* While recording, `size` bytes that follow from the seed; false otherwise. */
bool recorder_fill_random(void *bytes, size_t size);
/* While recording, a clock that follows from its calls, in nanoseconds since 1970; else 0. */
int64_t recorder_clock(void);
/* The boot id of now as text with a newline; "" to ask the system. */
void recorder_boot_id(char text_out[64]);

#endif
