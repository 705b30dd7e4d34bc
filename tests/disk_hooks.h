/**
 * @file tests/disk_hooks.h
 * A thin layer between SQLite and the disk, where a test can look on, or make calls fail.
 *
 * While it is installed it is SQLite's default, so that every connection of the library uses it.
 */
#ifndef STELE_TESTS_DISK_HOOKS_H
#define STELE_TESTS_DISK_HOOKS_H

#include <check.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef enum disk_file { DISK_MAIN, DISK_WAL, DISK_OTHER, DISK_FILES } disk_file;

typedef enum disk_call {
    DISK_OPEN,
    DISK_DELETE,
    DISK_ACCESS,
    DISK_READ,
    DISK_WRITE,
    DISK_TRUNCATE,
    DISK_SYNC,
    DISK_SIZE,
    DISK_LOCK,
    DISK_SHM_MAP,
    DISK_SHM_LOCK,
    DISK_UNFETCH, /* Comes between the two looks that a transfer takes at the WAL. */
    DISK_CALLS
} disk_call;

/*
 * Asked before each call; SQLITE_OK lets it through, anything else is its answer. `detail` is the
 * first lock of DISK_SHM_LOCK, shifted by 8, with its flags; the offset of reads and writes.
 */
typedef int (*disk_hook_function)(disk_call call, disk_file file, sqlite3_int64 detail);

/* An answer of the hook to DISK_WRITE: say that it was done, and do nothing. */
#define DISK_LIES (-1)

static disk_hook_function disk_hook;
static void (*disk_let_go_hook)(void); /* after the last lock on a database was let go */
static bool disk_skips_syncs;          /* for those who only simulate failures: it saves time */

static sqlite3_vfs *disk_below;
static sqlite3_vfs disk_layer;
static const sqlite3_io_methods *methods_below[DISK_FILES];
static sqlite3_io_methods methods_here[DISK_FILES];

static inline disk_file kind_of_file(const sqlite3_file *file)
{
    return (disk_file)(file->pMethods - methods_here);
}

static inline const sqlite3_io_methods *below(const sqlite3_file *file)
{
    return methods_below[kind_of_file(file)];
}

static inline int ask_hook(disk_call call, disk_file file, sqlite3_int64 detail)
{
    return disk_hook == NULL ? SQLITE_OK : disk_hook(call, file, detail);
}

static inline int hooked_read(sqlite3_file *file, void *buffer, int size, sqlite3_int64 offset)
{
    int code = ask_hook(DISK_READ, kind_of_file(file), offset);
    if (code == SQLITE_IOERR_SHORT_READ)
        memset(buffer, 0, (size_t)size);
    return code != SQLITE_OK ? code : below(file)->xRead(file, buffer, size, offset);
}

static inline int hooked_write(sqlite3_file *file, const void *bytes, int size,
                               sqlite3_int64 offset)
{
    int code = ask_hook(DISK_WRITE, kind_of_file(file), offset);
    if (code == DISK_LIES)
        return SQLITE_OK;
    return code != SQLITE_OK ? code : below(file)->xWrite(file, bytes, size, offset);
}

static inline int hooked_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int code = ask_hook(DISK_TRUNCATE, kind_of_file(file), size);
    return code != SQLITE_OK ? code : below(file)->xTruncate(file, size);
}

static inline int hooked_sync(sqlite3_file *file, int flags)
{
    int code = ask_hook(DISK_SYNC, kind_of_file(file), flags);
    return code != SQLITE_OK || disk_skips_syncs ? code : below(file)->xSync(file, flags);
}

static inline int hooked_size(sqlite3_file *file, sqlite3_int64 *size_out)
{
    int code = ask_hook(DISK_SIZE, kind_of_file(file), 0);
    return code != SQLITE_OK ? code : below(file)->xFileSize(file, size_out);
}

static inline int hooked_lock(sqlite3_file *file, int level)
{
    int code = ask_hook(DISK_LOCK, kind_of_file(file), level);
    return code != SQLITE_OK ? code : below(file)->xLock(file, level);
}

static inline int hooked_unlock(sqlite3_file *file, int level)
{
    int code = below(file)->xUnlock(file, level);
    if (disk_let_go_hook != NULL && level == SQLITE_LOCK_NONE)
        disk_let_go_hook();
    return code;
}

static inline int hooked_shm_map(sqlite3_file *file, int page, int size, int extend,
                                 void volatile **out)
{
    int code = ask_hook(DISK_SHM_MAP, kind_of_file(file), page);
    if (code != SQLITE_OK) {
        *out = NULL;
        return code;
    }
    return below(file)->xShmMap(file, page, size, extend, out);
}

/* Letting go of a lock can't fail: SQLite doesn't look at the answer. */
static inline int hooked_shm_lock(sqlite3_file *file, int first, int count, int flags)
{
    int code = SQLITE_OK;
    if ((flags & SQLITE_SHM_LOCK) != 0)
        code = ask_hook(DISK_SHM_LOCK, kind_of_file(file), (first << 8) | flags);
    return code != SQLITE_OK ? code : below(file)->xShmLock(file, first, count, flags);
}

static inline int hooked_unfetch(sqlite3_file *file, sqlite3_int64 offset, void *page)
{
    ask_hook(DISK_UNFETCH, kind_of_file(file), offset);
    return below(file)->xUnfetch(file, offset, page);
}

static inline int hooked_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file,
                              int flags, int *flags_out)
{
    (void)vfs;
    disk_file kind = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? DISK_MAIN
                     : (flags & SQLITE_OPEN_WAL) != 0   ? DISK_WAL
                                                        : DISK_OTHER;
    int code = ask_hook(DISK_OPEN, kind, flags);
    if (code != SQLITE_OK) {
        file->pMethods = NULL;
        return code;
    }
    code = disk_below->xOpen(disk_below, name, file, flags, flags_out);
    if (code != SQLITE_OK)
        return code;
    methods_below[kind] = file->pMethods;
    methods_here[kind] = *file->pMethods;
    methods_here[kind].xRead = hooked_read;
    methods_here[kind].xWrite = hooked_write;
    methods_here[kind].xTruncate = hooked_truncate;
    methods_here[kind].xSync = hooked_sync;
    methods_here[kind].xFileSize = hooked_size;
    methods_here[kind].xLock = hooked_lock;
    methods_here[kind].xUnlock = hooked_unlock;
    methods_here[kind].xShmMap = hooked_shm_map;
    methods_here[kind].xShmLock = hooked_shm_lock;
    methods_here[kind].xUnfetch = hooked_unfetch;
    file->pMethods = &methods_here[kind];
    return SQLITE_OK;
}

static inline int hooked_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    (void)vfs;
    int code = ask_hook(DISK_DELETE, DISK_OTHER, 0);
    return code != SQLITE_OK ? code : disk_below->xDelete(disk_below, name, sync_folder);
}

static inline int hooked_access(sqlite3_vfs *vfs, const char *name, int flags, int *answer_out)
{
    (void)vfs;
    int code = ask_hook(DISK_ACCESS, DISK_OTHER, flags);
    return code != SQLITE_OK ? code : disk_below->xAccess(disk_below, name, flags, answer_out);
}

static inline void install_disk_hooks(void)
{
    disk_hook = NULL;
    disk_let_go_hook = NULL;
    disk_skips_syncs = false;
    disk_below = sqlite3_vfs_find(NULL);
    disk_layer = *disk_below;
    disk_layer.zName = "hooked";
    disk_layer.xOpen = hooked_open;
    disk_layer.xDelete = hooked_delete;
    disk_layer.xAccess = hooked_access;
    ck_assert_int_eq(sqlite3_vfs_register(&disk_layer, 1), SQLITE_OK);
}

static inline void remove_disk_hooks(void)
{
    disk_hook = NULL;
    disk_let_go_hook = NULL;
    sqlite3_vfs_unregister(&disk_layer);
}

#endif
