/**
 * @file tests/frames.h
 * What the tests of frames share: changes by chance, and frames of them.
 */
#ifndef STELE_TESTS_FRAMES_H
#define STELE_TESTS_FRAMES_H

#include "contract.h"
#include "effort.h"

#include <stele/lifecycle.h>
#include <stele/state.h>
#include <stele/verify.h>

#include "frame/frame.h"
#include "frame/local.h"

#define CHANCE_APPENDS    3
#define CHANCE_EVENTS     4
#define CHANCE_CONDITIONS 2
#define CHANCE_ATTRIBUTES 2

/* A change by chance, with room for all that it points to. */
typedef struct chance_change {
    stele__change change;
    stele_append appends[CHANCE_APPENDS];
    stele_event events[CHANCE_APPENDS][CHANCE_EVENTS];
    stele_condition conditions[CHANCE_APPENDS][CHANCE_CONDITIONS];
    stele_put put;
    stele_attribute attributes[CHANCE_ATTRIBUTES];
    stele_remove removal;
    stele_archive archiving;
    stele_restore restoring;
    stele_tombstone tombstone;
    stele_delete deletion;
    char texts[32][24]; /* names that don't come twice */
    int text_count;
} chance_change;

static inline size_t chance_below(size_t count)
{
    return (size_t)((next_chance() >> 11) % count);
}

static inline const char *chance_stream(void)
{
    static const char *const names[] = { "order-1", "order-2",  "order-3",      "cart-1",
                                         "cart-2",  "gärten-9", "order-1.copy", "x" };
    return names[chance_below(COUNT_OF(names))];
}

static inline const char *chance_text(chance_change *of, const char *begin)
{
    char *text = of->texts[of->text_count++ % (int)COUNT_OF(of->texts)];
    snprintf(text, sizeof(of->texts[0]), "%s-%d", begin, (int)chance_below(40));
    return text;
}

static inline int64_t chance_version(void)
{
    static const int64_t versions[] = { STELE_ANY, STELE_ANY, STELE_ANY, STELE_NO_STREAM,
                                        STELE_STREAM_EXISTS };
    return one_in(4) ? (int64_t)chance_below(6) : versions[chance_below(COUNT_OF(versions))];
}

static inline stele_event chance_event(void)
{
    static const char *const types[] = { "opened", "counted", "closed" };
    static const char *const datas[] = { "{}", "{\"n\":7}", "[1,2,3]",
                                         ("\"gr\xc3\xbc\xc3\x9f"
                                          "e\"") };
    stele_event event =
        make_event(types[chance_below(COUNT_OF(types))], datas[chance_below(COUNT_OF(datas))]);
    if (one_in(5)) {
        event.codec = "raw";
        event.data = "\0\1\2";
        event.data_size = chance_below(4);
    }
    if (one_in(6)) {
        event.metadata = "{\"by\":\"me\"}";
        event.metadata_size = 11;
    }
    if (one_in(4)) {
        event.has_occurred_at = true;
        event.occurred_at = (int64_t)chance_below(1000) - 500;
    }
    if (one_in(5))
        event.schema_version = 1 + (int64_t)chance_below(3);
    return event;
}

static inline void fill_appends(chance_change *of)
{
    of->change.count = 1 + (one_in(3) ? chance_below(CHANCE_APPENDS) : 0);
    of->change.what = of->appends;
    for (size_t i = 0; i < of->change.count; i++) {
        stele_append *append = &of->appends[i];
        size_t events = one_in(12) ? 0 : 1 + chance_below(CHANCE_EVENTS);
        for (size_t j = 0; j < events; j++)
            of->events[i][j] = chance_event();
        *append = make_append(chance_stream(), chance_version(), of->events[i], events);
        if (one_in(4))
            append->idempotency_key = chance_text(of, "key");
        append->condition_count = one_in(5) ? 1 + chance_below(CHANCE_CONDITIONS) : 0;
        append->conditions = of->conditions[i];
        for (size_t j = 0; j < append->condition_count; j++) {
            bool of_id = one_in(3);
            of->conditions[i][j] = (stele_condition){
                of_id ? STELE_CONDITION_STREAM_ID : STELE_CONDITION_STREAM_VERSION, chance_stream(),
                of_id ? (int64_t)chance_below(4) : chance_version()
            };
        }
    }
}

static inline void fill_put(chance_change *of)
{
    of->change.what = &of->put;
    of->put = (stele_put)STELE_PUT_INIT;
    of->put.scope = one_in(2) ? "settings" : "baskets";
    of->put.key = chance_text(of, "entry");
    of->put.expected_revision = one_in(3) ? (int64_t)chance_below(3) : STELE_ANY;
    of->put.codec = one_in(2) ? "json" : NULL;
    of->put.data = one_in(2) ? "{\"a\":1}" : "7";
    of->put.data_size = strlen(of->put.data);
    of->put.attribute_count = chance_below(CHANCE_ATTRIBUTES + 1);
    of->put.attributes = of->attributes;
    of->attributes[0] = (stele_attribute){ "color", "blue" };
    of->attributes[1] = (stele_attribute){ "size", one_in(2) ? NULL : "" };
    if (one_in(4))
        of->put.write_id = chance_text(of, "write");
}

/* Kind 0: any. */
static inline void make_chance_change(chance_change *of, stele__change_kind kind)
{
    memset(of, 0, sizeof(*of));
    if (kind == 0)
        kind = one_in(2) ? STELE__CHANGE_APPENDS : (stele__change_kind)(1 + chance_below(7));
    of->change.kind = kind;
    of->change.count = 1;
    const char *stream = chance_stream();
    int64_t expected = one_in(4) ? 1 + (int64_t)chance_below(4) : STELE_ANY;
    switch (kind) {
    case STELE__CHANGE_APPENDS: fill_appends(of); break;
    case STELE__CHANGE_PUT: fill_put(of); break;
    case STELE__CHANGE_REMOVE:
        of->removal = (stele_remove)STELE_REMOVE_INIT;
        of->removal.scope = one_in(2) ? "settings" : "baskets";
        of->removal.key = chance_text(of, "entry");
        of->removal.expected_revision = one_in(3) ? (int64_t)chance_below(3) : STELE_ANY;
        if (one_in(4))
            of->removal.write_id = chance_text(of, "write");
        of->change.what = &of->removal;
        break;
    case STELE__CHANGE_ARCHIVE:
        of->archiving = (stele_archive)STELE_ARCHIVE_INIT;
        of->archiving.stream = stream;
        of->archiving.expected_version = expected;
        of->archiving.reason = one_in(2) ? "old" : NULL;
        of->change.what = &of->archiving;
        break;
    case STELE__CHANGE_RESTORE:
        of->restoring = (stele_restore)STELE_RESTORE_INIT;
        of->restoring.stream = stream;
        of->restoring.expected_version = expected;
        of->change.what = &of->restoring;
        break;
    case STELE__CHANGE_TOMBSTONE:
        of->tombstone = (stele_tombstone)STELE_TOMBSTONE_INIT;
        of->tombstone.stream = stream;
        of->tombstone.expected_version = expected;
        of->tombstone.reason = "done with";
        of->change.what = &of->tombstone;
        break;
    case STELE__CHANGE_DELETE:
        of->deletion = (stele_delete)STELE_DELETE_INIT;
        of->deletion.stream = stream;
        of->deletion.expected_version = expected;
        of->deletion.leave_archived = one_in(2);
        of->change.what = &of->deletion;
        break;
    }
}

/* --- Frames --- */

static inline stele__frame_header header_of(uint64_t writer_sequence, int64_t time)
{
    stele__frame_header header = { .kind = STELE__FRAME_DATA,
                                   .writer_sequence = writer_sequence,
                                   .time = time };
    memset(header.lane.bytes, 'L', sizeof(header.lane.bytes));
    memset(header.shard.bytes, 'S', sizeof(header.shard.bytes));
    memset(header.writer.bytes, 'W', sizeof(header.writer.bytes));
    return header;
}

/* `frame` is disposed by the caller. */
static inline void make_frame_of(const stele__frame_header *header, const stele__change *changes,
                                 size_t count, stele__buffer *frame)
{
    stele__frame_builder builder = { 0 };
    for (size_t i = 0; i < count; i++)
        assert_status(stele__frame_add(&builder, &changes[i]), STELE_OK);
    assert_status(stele__frame_end(&builder, header, frame), STELE_OK);
    stele__frame_builder_dispose(&builder);
}

static inline void make_mark(stele__frame_kind kind, const stele__frame_header *like,
                             const stele__frame_checkpoint *checkpoint, stele__buffer *frame)
{
    stele__frame_header header = *like;
    header.kind = kind;
    assert_status(stele__frame_mark(&header, checkpoint, frame), STELE_OK);
}

static inline const char *digest_of_store(stele_store *of)
{
    static char digests[4][17];
    static int next;
    char *digest = digests[next++ % 4];
    assert_status(stele_store_digest(of, digest), STELE_OK);
    return digest;
}

/* Nothing of it is wrong. */
static inline void assert_verified(stele_store *of)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status;
    assert_status(stele_verify_open(of, NULL, &verify), STELE_OK);
    while ((status = stele_verify_next(verify, &check)) == STELE_OK)
        ck_assert_msg(check->failures == 0, "%s: %s", check->name, check->offender);
    assert_status(status, STELE_DONE);
    stele_verify_close(verify);
}

/* --- Applying --- */

/* The same lane for all. */
static inline void bind_it(stele_store *of)
{
    stele__frame_header header = header_of(1, 0);
    assert_status(stele__frame_bind(of, &header.lane, &header.shard), STELE_OK);
}

static inline void open_bound(void)
{
    open_in_file();
    bind_it(store);
}

/* Apply it in a transaction of its own, committed when it could be applied. */
static inline stele_status apply_to(stele_store *to, uint64_t sequence, const stele__buffer *frame,
                                    stele__frame_result *result)
{
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(to, &transaction), STELE_OK);
    stele_status status =
        stele__frame_apply(transaction, sequence, frame->data, frame->size, NULL, result);
    if (status == STELE_OK)
        assert_status(stele_transaction_commit(transaction), STELE_OK);
    char reason[512];
    snprintf(reason, sizeof(reason), "%s", stele_error_text());
    stele_transaction_end(transaction);
    if (status != STELE_OK)
        ck_assert_str_eq(reason, stele_error_text()); /* ending keeps it */
    return status;
}

static inline uint64_t applied_of(stele_store *of)
{
    stele__frame_place place;
    assert_status(stele__frame_place_find(of, &place), STELE_OK);
    return place.applied;
}

static inline uint64_t chain_of(stele_store *of)
{
    stele__frame_place place;
    assert_status(stele__frame_place_find(of, &place), STELE_OK);
    return place.chain;
}

#endif
