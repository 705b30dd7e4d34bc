/**
 * @file tests/file_log.h
 * A log in a file, for nodes that are processes: what a process has written stays when it is
 * killed. A proposal is a record behind the last whole one, under a lock; a record that was cut is
 * overwritten by the next. Some proposals are lost or doubled, and readers get some frames again.
 */
#ifndef STELE_TESTS_FILE_LOG_H
#define STELE_TESTS_FILE_LOG_H

#include "frame/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/platform.h"

typedef struct file_record {
    uint64_t size;
    uint64_t hash;
} file_record;

typedef struct file_log {
    stele__frame_log log;
    int descriptor;
    uint64_t next; /* to be read; 0: not attached */
    off_t at;
    uint64_t chance;
    unsigned char *bytes;
    size_t capacity;
} file_log;

static inline uint64_t file_chance(file_log *own, uint64_t sides)
{
    own->chance ^= own->chance << 13;
    own->chance ^= own->chance >> 7;
    own->chance ^= own->chance << 17;
    return (own->chance >> 11) % sides;
}

/* The record at `at`; false when there is no whole one. */
static inline bool read_file_record(file_log *own, off_t at, size_t *size_out)
{
    file_record head;
    if (pread(own->descriptor, &head, sizeof(head), at) != (ssize_t)sizeof(head)
        || head.size > (uint64_t)4 * 1024 * 1024)
        return false;
    if (head.size > own->capacity) {
        unsigned char *grown = realloc(own->bytes, head.size);
        if (grown == NULL)
            return false;
        own->bytes = grown;
        own->capacity = head.size;
    }
    *size_out = head.size;
    return pread(own->descriptor, own->bytes, head.size, at + (off_t)sizeof(head))
               == (ssize_t)head.size
           && stele__hash(own->bytes, head.size) == head.hash;
}

static inline off_t behind_record(off_t at, size_t size)
{
    return at + (off_t)sizeof(file_record) + (off_t)size;
}

/* How many whole records there are, and where they end. */
static inline uint64_t count_file_records(file_log *own, off_t *end_out)
{
    uint64_t count = 0;
    off_t at = 0;
    size_t size = 0;
    while (read_file_record(own, at, &size)) {
        at = behind_record(at, size);
        count++;
    }
    *end_out = at;
    return count;
}

static inline stele_status attach_file(stele__frame_log *log, const stele__frame_id *lane,
                                       uint64_t from_sequence)
{
    file_log *own = (file_log *)log;
    size_t size = 0;
    (void)lane;
    own->at = 0;
    own->next = 1;
    while (own->next < from_sequence && read_file_record(own, own->at, &size)) {
        own->at = behind_record(own->at, size);
        own->next++;
    }
    own->next = from_sequence; /* who asks for one beyond the end will ask for the end, too */
    return STELE_OK;
}

static inline bool write_file_record(file_log *own, const void *frame, size_t size)
{
    /* A handle of its own: the reader's buffer is in use. */
    file_log scan = { .descriptor = own->descriptor };
    off_t end = 0;
    unsigned char *record = malloc(sizeof(file_record) + size);
    if (record == NULL)
        return false;
    file_record head = { size, stele__hash(frame, size) };
    memcpy(record, &head, sizeof(head));
    memcpy(record + sizeof(head), frame, size);
    bool done = flock(own->descriptor, LOCK_EX) == 0;
    if (done) {
        count_file_records(&scan, &end);
        done = pwrite(own->descriptor, record, sizeof(head) + size, end)
               == (ssize_t)(sizeof(head) + size);
        flock(own->descriptor, LOCK_UN);
    }
    free(scan.bytes);
    free(record);
    return done;
}

static inline stele_status propose_to_file(stele__frame_log *log, const void *frame, size_t size)
{
    file_log *own = (file_log *)log;
    uint64_t chance = file_chance(own, 12);
    if (chance == 0)
        return STELE_OK;
    bool done = write_file_record(own, frame, size);
    if (done && chance == 1)
        done = write_file_record(own, frame, size);
    return done ? STELE_OK : stele__fail(STELE_IO, "the log in the file can't be written");
}

static inline stele_status next_of_file(stele__frame_log *log, uint32_t timeout_ms,
                                        uint64_t *sequence_out, const void **frame_out,
                                        size_t *size_out)
{
    file_log *own = (file_log *)log;
    int64_t until_us = stele__clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    if (own->next == 0)
        return stele__fail(STELE_IO, "this reader isn't attached");
    for (;;) {
        if (read_file_record(own, own->at, size_out))
            break;
        if (stele__clock_monotonic_us() >= until_us)
            return STELE_TIMED_OUT;
        stele__sleep_us(500);
    }
    *sequence_out = own->next;
    *frame_out = own->bytes;
    if (file_chance(own, 20) == 0)
        return STELE_OK; /* and again */
    own->at = behind_record(own->at, *size_out);
    own->next++;
    return STELE_OK;
}

static inline stele_status head_of_file(stele__frame_log *log, uint64_t *head_out)
{
    file_log scan = { .descriptor = ((file_log *)log)->descriptor };
    off_t end = 0;
    *head_out = count_file_records(&scan, &end);
    free(scan.bytes);
    return STELE_OK;
}

static inline void close_file_log(stele__frame_log *log)
{
    file_log *own = (file_log *)log;
    close(own->descriptor);
    free(own->bytes);
    free(own);
}

/* NULL: it can't be opened. */
static inline stele__frame_log *open_file_log(const char *path, uint64_t seed)
{
    file_log *own = calloc(1, sizeof(*own));
    if (own == NULL)
        return NULL;
    own->chance = seed * 0x9e3779b97f4a7c15u + 1;
    own->descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (own->descriptor < 0) {
        free(own);
        return NULL;
    }
    own->log = (stele__frame_log){ attach_file,  propose_to_file, next_of_file,
                                   head_of_file, close_file_log,  0 };
    return &own->log;
}

/* The last whole record is gone. */
static inline bool lose_file_record(const char *path)
{
    file_log own = { .descriptor = open(path, O_RDWR | O_CLOEXEC) };
    off_t at = 0;
    off_t last = 0;
    size_t size = 0;
    while (read_file_record(&own, at, &size)) {
        last = at;
        at = behind_record(at, size);
    }
    bool done = ftruncate(own.descriptor, last) == 0;
    close(own.descriptor);
    free(own.bytes);
    return done;
}

#endif
