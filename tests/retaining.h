/**
 * @file tests/retaining.h
 * What the tests of retention share: asking for it, and what must hold afterwards.
 */
#ifndef STELE_TESTS_RETAINING_H
#define STELE_TESTS_RETAINING_H

#include "contract.h"

#include <stele/lifecycle.h>
#include <stele/retention.h>
#include <stele/verify.h>

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)
#define NOON   (INT64_C(1700000000) * SECOND)

/* --- Asking for it --- */

static inline stele_retain retain_of(const char *stream)
{
    stele_retain retain = STELE_RETAIN_INIT;
    retain.stream = stream;
    return retain;
}

/* It works, and that came of it. */
static inline stele_retained run_retain(const stele_retain *retain)
{
    stele_retained retained;
    memset(&retained, 0xAA, sizeof(retained));
    assert_status(stele_store_retain(store, retain, &retained), STELE_OK);
    for (size_t i = 0; i < COUNT_OF(retained.reserved); i++)
        ck_assert_int_eq(retained.reserved[i], 0);
    return retained;
}

static inline stele_retained keep_newest(const char *stream, int64_t count)
{
    stele_retain retain = retain_of(stream);
    retain.max_count = count;
    return run_retain(&retain);
}

#define expect_retained(retained, streams_, events_, held_back_)                                   \
    do {                                                                                           \
        stele_retained retained_ = (retained);                                                     \
        ck_assert_int_eq(retained_.streams, streams_);                                             \
        ck_assert_int_eq(retained_.events, events_);                                               \
        ck_assert_int_eq(retained_.held_back, held_back_);                                         \
    } while (0)

/* --- What is left --- */

static inline stele_stream_info info_of(const char *stream)
{
    stele_stream_info info = { 0 };
    assert_status(stele_store_stream(store, stream, &info), STELE_OK);
    return info;
}

static inline const char *left_of(const char *stream)
{
    stele_read read = STELE_READ_INIT;
    read.stream = stream;
    return versions_of(&read);
}

static inline void expect_verified(void)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = STELE_OK;
    assert_status(stele_verify_open(store, NULL, &verify), STELE_OK);
    while ((status = stele_verify_next(verify, &check)) == STELE_OK)
        ck_assert_msg(check->failures == 0, "%s: %s", check->name, check->offender);
    assert_status(status, STELE_DONE);
    stele_verify_close(verify);
}

/* The data of the events in `$stele`, from the oldest; "" when there are none. */
static inline const char *changes_told(void)
{
    static char text[NUMBERS_SIZE];
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    size_t size = 0;
    text[0] = '\0';
    read.stream = "$stele";
    assert_status(stele_store_read(store, &read, &cursor), STELE_OK);
    while (stele_cursor_next(cursor, &record) == STELE_OK)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s %.*s\n", record->type,
                                 (int)record->data_size, (const char *)record->data);
    stele_cursor_close(cursor);
    return text;
}

/* --- A clock --- */

static int64_t now;

static inline int64_t read_fake_clock(void *context)
{
    return *(int64_t *)context;
}

static inline void open_with_fake_clock(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = read_fake_clock;
    options.clock_context = &now;
    now = NOON;
    store = open_path(store_path(), &options);
}

#endif
