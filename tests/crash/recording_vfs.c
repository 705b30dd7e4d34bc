#include "crash/recording_vfs.h"

#include "crash/recorder.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file as SQLite opened it: the methods of the system's VFS, some of them replaced. The file's
 * own pMethods points here, so no list of open files is needed. */
typedef struct watched_file {
    sqlite3_io_methods methods; /* first */
    const sqlite3_io_methods *real;
    int file; /* of the recorder; -1: not recorded */
    char *name;
    /* SQLite syncs the folder with the first sync after it created a journal or WAL. */
    bool folder_sync_due;
} watched_file;

static sqlite3_vfs recording_vfs;
static sqlite3_vfs *system_vfs;

static watched_file *watched(sqlite3_file *file)
{
    return (watched_file *)(uintptr_t)file->pMethods;
}

static int close_watched(sqlite3_file *file)
{
    watched_file *watch = watched(file);
    file->pMethods = watch->real;
    int code = watch->real->xClose(file);
    free(watch->name);
    free(watch);
    return code;
}

static int write_watched(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    watched_file *watch = watched(file);
    bool recorded = watch->file >= 0 && recorder_enter();
    int code = watch->real->xWrite(file, data, size, offset);
    if (recorded) {
        if (code == SQLITE_OK)
            recorder_note_write(watch->file, data, (size_t)size, offset);
        recorder_leave();
    }
    return code;
}

static int truncate_watched(sqlite3_file *file, sqlite3_int64 size)
{
    watched_file *watch = watched(file);
    bool recorded = watch->file >= 0 && recorder_enter();
    int code = watch->real->xTruncate(file, size);
    if (recorded) {
        if (code == SQLITE_OK)
            recorder_note_truncate(watch->file, size);
        recorder_leave();
    }
    return code;
}

/* No real sync: a cut is only ever imagined. */
static int sync_watched(sqlite3_file *file, int flags)
{
    watched_file *watch = watched(file);
    if (watch->file >= 0 && recorder_enter()) {
        recorder_note_sync(watch->file, (uint64_t)flags);
        if (watch->folder_sync_due)
            recorder_note_folder_sync_around(watch->name);
        watch->folder_sync_due = false;
        recorder_leave();
    }
    return SQLITE_OK;
}

/* Temporary files come without a name, and are nobody's business after a power cut. */
static const char *name_to_record(const char *path, int flags)
{
    return path == NULL || (flags & SQLITE_OPEN_DELETEONCLOSE) != 0 ? NULL : recorder_name_of(path);
}

static int open_watched(sqlite3_vfs *vfs, sqlite3_filename path, sqlite3_file *file, int flags,
                        int *flags_out)
{
    (void)vfs;
    watched_file *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return SQLITE_NOMEM;
    const char *name = name_to_record(path, flags);
    bool recorded = name != NULL && recorder_enter();
    int code = system_vfs->xOpen(system_vfs, path, file, flags, flags_out);
    watch->file = -1;
    if (code == SQLITE_OK && recorded) {
        watch->file = recorder_find(name);
        if (watch->file < 0)
            watch->file = recorder_note_create(name, false);
        watch->name = strdup(name);
        watch->folder_sync_due =
            (flags & SQLITE_OPEN_CREATE) != 0
            && (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL))
                   != 0;
    }
    if (recorded)
        recorder_leave();
    if (file->pMethods == NULL) {
        free(watch);
        return code;
    }
    watch->real = file->pMethods;
    watch->methods = *watch->real;
    watch->methods.xClose = close_watched;
    watch->methods.xWrite = write_watched;
    watch->methods.xTruncate = truncate_watched;
    watch->methods.xSync = sync_watched;
    file->pMethods = &watch->methods;
    return code;
}

static int delete_watched(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    (void)vfs;
    const char *name = recorder_name_of(path);
    bool recorded = name != NULL && recorder_enter();
    int code = system_vfs->xDelete(system_vfs, path, 0);
    if (recorded) {
        if (code == SQLITE_OK && recorder_find(name) >= 0)
            recorder_note_remove(name);
        if (code == SQLITE_OK && sync_folder != 0)
            recorder_note_folder_sync_around(name);
        recorder_leave();
    }
    return code;
}

static int give_randomness(sqlite3_vfs *vfs, int size, char *bytes)
{
    (void)vfs;
    if (recorder_fill_random(bytes, (size_t)size))
        return size;
    return system_vfs->xRandomness(system_vfs, size, bytes);
}

static void register_once(void)
{
    system_vfs = sqlite3_vfs_find(NULL);
    if (system_vfs == NULL)
        abort();
    recording_vfs = *system_vfs;
    recording_vfs.zName = "recording";
    recording_vfs.xOpen = open_watched;
    recording_vfs.xDelete = delete_watched;
    recording_vfs.xRandomness = give_randomness;
    if (sqlite3_vfs_register(&recording_vfs, 1) != SQLITE_OK)
        abort();
}

void recording_vfs_register(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_once);
}

void recording_vfs_reseed(void)
{
    sqlite3_randomness(0, NULL);
}
