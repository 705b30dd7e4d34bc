/**
 * @file tests/bad_wal.h
 * A disk whose WAL fails as the test says: at which call, with what, after how many, how often.
 */
#ifndef STELE_TESTS_BAD_WAL_H
#define STELE_TESTS_BAD_WAL_H

#include "disk_hooks.h"

static struct {
    disk_call call;
    int code;
    int let_through;
    int times;
    bool stays;
} fault;

static inline int fail_as_told(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    if (file != DISK_WAL || call != fault.call || fault.times == 0 || fault.let_through-- > 0)
        return SQLITE_OK;
    if (!fault.stays)
        fault.times--;
    return fault.code;
}

#endif
