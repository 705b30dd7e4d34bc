/**
 * @file tests/disk_quota.h
 * A disk that fills up: a layer between SQLite and the system that counts the bytes of one store's
 * database and WAL, and answers "full" to what would go beyond a quota.
 *
 * While it is installed it is SQLite's default. For one store at a time.
 */
#ifndef STELE_TESTS_DISK_QUOTA_H
#define STELE_TESTS_DISK_QUOTA_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { QUOTA_MAIN, QUOTA_WAL, QUOTA_FILES };

static int64_t quota_bytes;   /* for both files together */
static bool quota_lies;       /* the control: drop the write, and say that it was done */
static int64_t quota_refused; /* how often it was full */

static int64_t quota_sizes[QUOTA_FILES];
static sqlite3_vfs *quota_below;
static sqlite3_vfs quota_layer;
static const sqlite3_io_methods *quota_methods_below;
static sqlite3_io_methods quota_methods[QUOTA_FILES];

static inline int64_t quota_used(void)
{
    return quota_sizes[QUOTA_MAIN] + quota_sizes[QUOTA_WAL];
}

static inline int quota_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    int64_t *known = &quota_sizes[file->pMethods - quota_methods];
    int64_t growth = offset + size - *known;
    if (growth > 0 && quota_used() + growth > quota_bytes) {
        quota_refused++;
        if (quota_lies)
            return SQLITE_OK;
        /* What fits is written, as a real disk does. */
        int64_t fits = size - growth;
        if (fits > 0)
            (void)quota_methods_below->xWrite(file, bytes, (int)fits, offset);
        return SQLITE_FULL;
    }
    int code = quota_methods_below->xWrite(file, bytes, size, offset);
    if (code == SQLITE_OK && growth > 0)
        *known += growth;
    return code;
}

static inline int quota_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int code = quota_methods_below->xTruncate(file, size);
    if (code == SQLITE_OK)
        quota_sizes[file->pMethods - quota_methods] = size;
    return code;
}

/* Nobody pulls the plug here. */
static inline int quota_sync(sqlite3_file *file, int flags)
{
    (void)file, (void)flags;
    return SQLITE_OK;
}

static inline int quota_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                             int *flags_out)
{
    (void)vfs;
    int code = quota_below->xOpen(quota_below, name, file, flags, flags_out);
    bool main_file = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    if (code != SQLITE_OK || (!main_file && (flags & SQLITE_OPEN_WAL) == 0))
        return code;

    int kind = main_file ? QUOTA_MAIN : QUOTA_WAL;
    sqlite3_int64 size = 0;
    quota_methods_below = file->pMethods;
    quota_methods[kind] = *file->pMethods;
    quota_methods[kind].xWrite = quota_write;
    quota_methods[kind].xTruncate = quota_truncate;
    quota_methods[kind].xSync = quota_sync;
    file->pMethods = &quota_methods[kind];
    quota_methods_below->xFileSize(file, &size);
    quota_sizes[kind] = size;
    return SQLITE_OK;
}

static inline int quota_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    (void)vfs;
    size_t size = strlen(name);
    int code = quota_below->xDelete(quota_below, name, sync_folder);
    if (code == SQLITE_OK && size > 4 && strcmp(name + size - 4, "-wal") == 0)
        quota_sizes[QUOTA_WAL] = 0;
    return code;
}

static inline bool install_quota(void)
{
    quota_bytes = INT64_MAX;
    quota_lies = false;
    quota_refused = 0;
    memset(quota_sizes, 0, sizeof(quota_sizes));
    quota_below = sqlite3_vfs_find(NULL);
    quota_layer = *quota_below;
    quota_layer.zName = "quota";
    quota_layer.xOpen = quota_open;
    quota_layer.xDelete = quota_delete;
    return sqlite3_vfs_register(&quota_layer, 1) == SQLITE_OK;
}

static inline void remove_quota(void)
{
    sqlite3_vfs_unregister(&quota_layer);
}

#endif
