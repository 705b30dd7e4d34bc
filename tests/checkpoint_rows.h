/**
 * @file tests/checkpoint_rows.h
 * Rows that subscriptions write: lanes, members, parked events; made by hand for those who look.
 */
#ifndef STELE_TESTS_CHECKPOINT_ROWS_H
#define STELE_TESTS_CHECKPOINT_ROWS_H

#include "contract.h"

#include "checkpoint/own.h"

static inline void open_with_two_streams(void)
{
    open_in_file();
    for (int i = 0; i < 5; i++) {
        fill_stream("a-1", 1); /* 1 3 5 7 9 */
        fill_stream("b-1", 1); /* 2 4 6 8 10 */
    }
}

/* A lane of `name`, or with `lane` 0 the name itself, as of now. */
static inline void put_place(const char *name, int64_t lane, int64_t lanes, int64_t position)
{
    stele__connection *connection = NULL;
    stele__place place = { .lane = lane, .lanes = lanes, .position = position };
    assert_status(stele__write_begin(store, NULL, &connection), STELE_OK);
    stele__place_move(store, &place, position);
    assert_status(stele__place_store(connection, name, &place), STELE_OK);
    assert_status(stele__write_commit(store), STELE_OK);
    stele__write_end(store);
}

static inline void put_lanes(const char *name, int64_t lanes, const int64_t *positions)
{
    for (int64_t lane = 1; lane <= lanes; lane++)
        put_place(name, lane, lanes, positions[lane - 1]);
}

static inline void put_member(const char *name, const char *owner)
{
    stele__connection *connection = NULL;
    stele__member member = { .joined_at = 1, .lease_until = 2 };
    snprintf(member.owner, sizeof(member.owner), "%s", owner);
    assert_status(stele__write_begin(store, NULL, &connection), STELE_OK);
    assert_status(stele__member_store(connection, name, &member), STELE_OK);
    assert_status(stele__write_commit(store), STELE_OK);
    stele__write_end(store);
}

static inline void park(const char *name, int64_t position, const char *key, int64_t behind)
{
    stele__connection *connection = NULL;
    stele__parked parked = {
        .position = position, .behind = behind, .attempts = 1, .parked_at = 1
    };
    snprintf(parked.key, sizeof(parked.key), "%s", key);
    snprintf(parked.reason, sizeof(parked.reason), "no such account");
    assert_status(stele__write_begin(store, NULL, &connection), STELE_OK);
    assert_status(stele__parked_store(connection, name, &parked), STELE_OK);
    assert_status(stele__write_commit(store), STELE_OK);
    stele__write_end(store);
}

static inline stele_status note_parked(void *context, const stele__parked *parked)
{
    char *text = context;
    size_t used = strlen(text);
    snprintf(text + used, 256 - used, "%s%" PRId64, used > 0 ? " " : "", parked->position);
    return STELE_OK;
}

/* The positions that `name` parked, "3 5"; borrowed until the next call. */
static inline const char *parked_by(const char *name)
{
    static char text[256];
    stele__connection *connection = NULL;
    text[0] = '\0';
    assert_status(stele__read_begin(store, NULL, &connection), STELE_OK);
    assert_status(stele__parked_each(connection, name, NULL, INT64_MIN, note_parked, text),
                  STELE_OK);
    stele__read_end(store, connection);
    return text;
}

#endif
