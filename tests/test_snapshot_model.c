/*
 * Snapshots against a model of them: random saves, loads, drops, deletions and reopenings, in and
 * out of transactions, each answer compared.
 *
 * STELE_EFFORT=long does many more; STELE_SEED=N repeats a run.
 */
#include "snapshots.h"

#include <stele/lifecycle.h>

#include "effort.h"

enum { STREAMS = 3, NAMES = 2, VERSIONS = 40 };

static const char *const stream_names[STREAMS] = { "a-1", "a-2", "b-1" };
static const char *const fold_names[NAMES] = { "state", "sum" };
static const char *const codecs[] = { "json", "raw", "own" };

typedef struct modelled {
    bool there;
    int64_t schema_version;
    size_t codec;
    char data[64];
} modelled;

typedef struct model {
    int64_t versions[STREAMS];
    modelled saved[STREAMS][NAMES][VERSIONS + 1];
} model;

static model now;
static bool keeps_one_more; /* the control: a model that is wrong */
static char last_move[160];
static int64_t moves;

static size_t chance(size_t below)
{
    return (size_t)((next_chance() >> 11) % below);
}

/* --- What the model says --- */

static void model_save(model *of, size_t stream, const stele_snapshot *snapshot, size_t name,
                       size_t codec)
{
    modelled *saved = of->saved[stream][name];
    modelled *one = &saved[snapshot->version];
    one->there = true;
    one->schema_version = snapshot->schema_version == 0 ? 1 : snapshot->schema_version;
    one->codec = codec;
    snprintf(one->data, sizeof(one->data), "%s", (const char *)snapshot->data);
    uint32_t left = (snapshot->keep == 0 ? 1 : snapshot->keep) + keeps_one_more;
    for (int64_t version = VERSIONS; version > 0; version--)
        if (saved[version].there && left-- == 0) {
            saved[version].there = false;
            left = 0;
        }
}

static int64_t model_drop(model *of, size_t stream, size_t name)
{
    int64_t count = 0;
    for (size_t i = 0; i < NAMES; i++)
        for (int64_t version = 1; version <= VERSIONS && (name == NAMES || name == i); version++) {
            count += of->saved[stream][i][version].there;
            of->saved[stream][i][version].there = false;
        }
    return count;
}

static void expect_as_modelled(const stele_snapshot_record *record, const model *of, size_t stream,
                               size_t name, const stele_snapshot_read *read)
{
    stele_snapshot_miss miss = STELE_SNAPSHOT_NONE;
    int64_t version =
        read->max_version == 0 || read->max_version > VERSIONS ? VERSIONS : read->max_version;
    for (; version > 0; version--) {
        const modelled *one = &of->saved[stream][name][version];
        if (!one->there)
            continue;
        stele_snapshot_miss why = STELE_SNAPSHOT_HIT;
        if (read->schema_version != 0 && read->schema_version != one->schema_version)
            why = STELE_SNAPSHOT_SCHEMA;
        else if (read->codec != NULL && strcmp(read->codec, codecs[one->codec]) != 0)
            why = STELE_SNAPSHOT_CODEC;
        if (why == STELE_SNAPSHOT_HIT) {
            ck_assert_msg(record->found, "%s: %s", last_move, record->reason);
            ck_assert_msg(record->version == version, "%s: version %" PRId64 ", not %" PRId64,
                          last_move, record->version, version);
            ck_assert_str_eq(record->data, one->data);
            ck_assert_int_eq(record->schema_version, one->schema_version);
            ck_assert_str_eq(record->codec, codecs[one->codec]);
            ck_assert_str_eq(record->name, fold_names[name]);
            return;
        }
        if (miss == STELE_SNAPSHOT_NONE)
            miss = why;
    }
    ck_assert_msg(!record->found, "%s: version %" PRId64 " was found", last_move, record->version);
    ck_assert_msg(record->miss == miss, "%s: the miss is %s, not %s", last_move,
                  stele_snapshot_miss_name(record->miss), stele_snapshot_miss_name(miss));
}

/* --- Moves, in the open transaction if there is one --- */

static void append_some(stele_transaction *transaction, model *of)
{
    size_t stream = chance(STREAMS);
    stele_event event = make_event("counted", "1");
    stele_append append = make_append(stream_names[stream], STELE_ANY, &event, 1);
    if (of->versions[stream] == VERSIONS)
        return;
    assert_status(transaction == NULL ? stele_store_append(store, &append, NULL)
                                      : stele_transaction_append(transaction, &append, NULL),
                  STELE_OK);
    of->versions[stream]++;
}

static void save_some(stele_transaction *transaction, model *of)
{
    char data[64] = "";
    size_t stream = chance(STREAMS), name = chance(NAMES), codec = chance(COUNT_OF(codecs));
    stele_snapshot snapshot = make_snapshot(stream_names[stream], 0, data);
    snapshot.name = name == 0 && one_in(2) ? NULL : fold_names[name];
    snapshot.codec = codec == 0 && one_in(2) ? NULL : codecs[codec];
    snapshot.version = 1 + (int64_t)chance(VERSIONS);
    snapshot.schema_version = (int64_t)chance(3);
    snapshot.keep = (uint32_t)chance(5);
    snapshot.data_size = (size_t)snprintf(
        data, sizeof(data), "{\"v\":%" PRId64 ",\"move\":%" PRId64 "}", snapshot.version, moves);
    stele_status expected = of->versions[stream] == 0                 ? STELE_NOT_FOUND
                            : snapshot.version > of->versions[stream] ? STELE_MISUSE
                                                                      : STELE_OK;
    snprintf(last_move, sizeof(last_move), "move %" PRId64 ": save %s %s %" PRId64 " keep %u",
             moves, stream_names[stream], fold_names[name], snapshot.version,
             (unsigned)snapshot.keep);
    assert_status(transaction == NULL ? stele_snapshot_save(store, &snapshot)
                                      : stele_transaction_snapshot_save(transaction, &snapshot),
                  expected);
    if (expected == STELE_OK)
        model_save(of, stream, &snapshot, name, codec);
}

static void load_some(stele_transaction *transaction, const model *of)
{
    size_t stream = chance(STREAMS), name = chance(NAMES);
    stele_snapshot_read read = make_snapshot_read(stream_names[stream]);
    const stele_snapshot_record *record = NULL;
    read.name = fold_names[name];
    read.codec = one_in(2) ? NULL : codecs[chance(COUNT_OF(codecs))];
    read.schema_version = one_in(2) ? 0 : (int64_t)chance(3);
    read.max_version = one_in(2) ? 0 : (int64_t)chance(VERSIONS + 2);
    assert_status(transaction == NULL
                      ? stele_snapshot_load(store, &read, &record)
                      : stele_transaction_snapshot_load(transaction, &read, &record),
                  STELE_OK);
    expect_as_modelled(record, of, stream, name, &read);
    stele_snapshot_close(record);
}

static void drop_some(stele_transaction *transaction, model *of)
{
    int64_t count = -1;
    size_t stream = chance(STREAMS), name = chance(NAMES + 1);
    const char *fold = name == NAMES ? NULL : fold_names[name];
    snprintf(last_move, sizeof(last_move), "move %" PRId64 ": drop %s", moves,
             stream_names[stream]);
    assert_status(transaction == NULL
                      ? stele_snapshot_invalidate(store, stream_names[stream], fold, &count)
                      : stele_transaction_snapshot_invalidate(transaction, stream_names[stream],
                                                              fold, &count),
                  STELE_OK);
    ck_assert_int_eq(count, model_drop(of, stream, name));
}

static void delete_some(stele_transaction *transaction, model *of)
{
    size_t stream = chance(STREAMS);
    stele_delete what = STELE_DELETE_INIT;
    what.stream = stream_names[stream];
    assert_status(transaction == NULL ? stele_store_delete(store, &what, NULL)
                                      : stele_transaction_delete(transaction, &what, NULL),
                  of->versions[stream] == 0 ? STELE_NOT_FOUND : STELE_OK);
    model_drop(of, stream, NAMES);
    of->versions[stream] = 0;
    snprintf(last_move, sizeof(last_move), "move %" PRId64 ": delete %s", moves,
             stream_names[stream]);
}

static void make_move(stele_transaction *transaction, model *of)
{
    moves++;
    size_t what = chance(40);
    if (what < 12)
        append_some(transaction, of);
    else if (what < 26)
        save_some(transaction, of);
    else if (what < 36)
        load_some(transaction, of);
    else if (what < 39)
        drop_some(transaction, of);
    else
        delete_some(transaction, of);
}

static void run_in_transaction(void)
{
    model inside = now;
    stele_transaction *transaction = begin();
    for (size_t i = chance(12); i > 0; i--)
        make_move(transaction, &inside);
    if (one_in(3)) {
        stele_transaction_end(transaction);
        return;
    }
    commit_and_end(transaction);
    now = inside;
}

static bool list_is_as_modelled(void)
{
    char expected[4096] = "";
    size_t used = 0;
    for (size_t stream = 0; stream < STREAMS; stream++)
        for (size_t name = 0; name < NAMES; name++)
            for (int64_t version = VERSIONS; version > 0; version--)
                if (now.saved[stream][name][version].there)
                    used += (size_t)snprintf(expected + used, sizeof(expected) - used,
                                             "%s%s %s %" PRId64, used > 0 ? ", " : "",
                                             stream_names[stream], fold_names[name], version);
    return strcmp(listed(store, NULL), expected) == 0;
}

static void expect_list(void)
{
    ck_assert_msg(list_is_as_modelled(), "after %s: '%s'", last_move, listed(store, NULL));
}

START_TEST(random_use_is_as_the_model_says)
{
    uint64_t seed = choose_seed();
    int64_t wanted = effort_of(4000, 200000);
    memset(&now, 0, sizeof(now));
    moves = 0;
    printf("# snapshots against the model: seed %" PRIu64 ", %" PRId64 " moves\n", seed, wanted);
    fflush(stdout);
    while (moves < wanted) {
        if (one_in(12))
            run_in_transaction();
        else
            make_move(NULL, &now);
        if (one_in(10))
            expect_list();
        if (one_in(400))
            reopen_file();
    }
    expect_list();
}
END_TEST

/* The control. */
START_TEST(model_that_keeps_one_more_disagrees)
{
    choose_seed();
    memset(&now, 0, sizeof(now));
    keeps_one_more = true;
    moves = 0;
    while (moves < 1000 && list_is_as_modelled()) {
        moves++;
        append_some(NULL, &now);
        save_some(NULL, &now);
    }
    keeps_one_more = false;
    ck_assert_int_lt(moves, 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot_model");
    TCase *tests = add_case(suite, "model", open_in_file);
    tcase_set_timeout(tests, effort_is_long() ? 1800 : 60);
    tcase_add_test(tests, random_use_is_as_the_model_says);
    tcase_add_test(tests, model_that_keeps_one_more_disagrees);
    return run_suite(suite);
}
