/* Sequencers of shards: set, replaced and taken away while stores are open and in use. */
#include "replicas.h"

#include "frame/local.h"

#include <pthread.h>
#include <stdatomic.h>

static stele_shards *shards;

static void open_shards(void)
{
    assert_status(stele_shards_open(test_path("root"), NULL, &shards), STELE_OK);
}

static void close_shards(void)
{
    stele_shards_close(shards);
    shards = NULL;
    remove_test_folder();
}

static stele_shard *hold(const char *name_space)
{
    stele_shard *shard = NULL;
    assert_status(stele_shards_acquire(shards, "org", name_space, NULL, &shard), STELE_OK);
    return shard;
}

static stele_status append_at(stele_shard *shard)
{
    return append_to(stele_shard_store(shard), "s-1", STELE_ANY, "noted", NULL);
}

/* --- A maker that counts --- */

typedef struct counting {
    stele__sequencer_maker maker;
    atomic_int opened;
    atomic_int closed;
    atomic_int proposed;
    stele_status fails; /* opening does, so */
    bool tries;         /* opening appends directly, */
    stele_status tried; /* with this answer */
} counting;

/* A sequencer that hands on to a local one, and counts. */
typedef struct counting_sequencer {
    stele__sequencer sequencer;
    counting *of;
    stele__local *local;
} counting_sequencer;

static stele_status propose_counted(stele__sequencer *sequencer, stele_store *at,
                                    const stele__change *change)
{
    counting_sequencer *own = (counting_sequencer *)sequencer;
    atomic_fetch_add(&own->of->proposed, 1);
    stele__sequencer *local = stele__local_sequencer(own->local);
    return local->propose(local, at, change);
}

static stele_status open_counted(void *context, stele_store *at, const char *organisation,
                                 const char *name_space, stele__sequencing *sequencing_out)
{
    counting *of = context;
    stele__local_options options = { 0 };
    if (of->tries)
        of->tried = append_to(at, "s-1", STELE_ANY, "noted", NULL);
    if (of->fails != STELE_OK)
        return stele__fail(of->fails, "as the test says");
    stele__shard_lane(organisation, name_space, &options.lane);
    stele__shard_lane(organisation, name_space, &options.shard);
    counting_sequencer *own = calloc(1, sizeof(*own));
    ck_assert_ptr_nonnull(own);
    own->sequencer.propose = propose_counted;
    own->of = of;
    stele_status status = stele__local_open(at, &options, &own->local);
    if (status != STELE_OK) {
        free(own);
        return status;
    }
    atomic_fetch_add(&of->opened, 1);
    *sequencing_out = (stele__sequencing){ &own->sequencer, own };
    return STELE_OK;
}

static void close_counted(void *context, stele__sequencing *sequencing)
{
    counting *of = context;
    counting_sequencer *own = sequencing->handle;
    stele__local_close(own->local);
    free(own);
    atomic_fetch_add(&of->closed, 1);
}

static void make_counting(counting *of)
{
    memset(of, 0, sizeof(*of));
    of->maker = (stele__sequencer_maker){ open_counted, NULL, close_counted, of };
}

/* --- Setting and getting --- */

START_TEST(it_is_put_on_shards_that_are_open_and_on_later_ones)
{
    counting of;
    make_counting(&of);
    stele_shard *early = hold("early");
    ck_assert_ptr_null(stele__shards_sequence_get(shards));
    ck_assert_ptr_null(stele__shard_sequence_handle(early));

    assert_status(stele__shards_sequence(shards, &of.maker), STELE_OK);
    stele_shard *late = hold("late");

    ck_assert_ptr_eq(stele__shards_sequence_get(shards), &of.maker);
    ck_assert_ptr_nonnull(stele__shard_sequence_handle(early));
    ck_assert_ptr_nonnull(stele__shard_sequence_handle(late));
    assert_status(append_at(early), STELE_OK);
    assert_status(append_at(late), STELE_OK);
    ck_assert_int_eq(atomic_load(&of.proposed), 2);
    stele_shard_release(early);
    stele_shard_release(late);
    stele_shards_close(shards);
    shards = NULL;
    ck_assert_int_eq(atomic_load(&of.opened), 2);
    ck_assert_int_eq(atomic_load(&of.closed), 2);
}
END_TEST

START_TEST(setting_the_same_again_changes_nothing)
{
    counting of;
    make_counting(&of);
    stele_shard *shard = hold("one");
    for (int i = 0; i < 3; i++)
        assert_status(stele__shards_sequence(shards, &of.maker), STELE_OK);

    assert_status(append_at(shard), STELE_OK);

    ck_assert_int_eq(atomic_load(&of.opened), 1);
    ck_assert_int_eq(atomic_load(&of.proposed), 1);
    ck_assert_int_eq(head_of(stele_shard_store(shard)), 1);
    stele_shard_release(shard);
    close_shards();
}
END_TEST

START_TEST(another_takes_its_place_and_none_takes_it_away)
{
    counting first;
    counting second;
    make_counting(&first);
    make_counting(&second);
    stele_shard *shard = hold("one");
    assert_status(stele__shards_sequence(shards, &first.maker), STELE_OK);
    assert_status(append_at(shard), STELE_OK);

    assert_status(stele__shards_sequence(shards, &second.maker), STELE_OK);
    ck_assert_int_eq(atomic_load(&first.closed), 1);
    assert_status(append_at(shard), STELE_OK);
    ck_assert_int_eq(atomic_load(&first.proposed), 1);
    ck_assert_int_eq(atomic_load(&second.proposed), 1);

    assert_status(stele__shards_sequence(shards, NULL), STELE_OK);
    ck_assert_ptr_null(stele__shards_sequence_get(shards));
    assert_status(append_at(shard), STELE_OK);
    ck_assert_int_eq(atomic_load(&second.proposed), 1);
    ck_assert_int_eq(head_of(stele_shard_store(shard)), 3);
    stele_shard_release(shard);
    close_shards();
}
END_TEST

START_TEST(nothing_is_written_between_two_sequencers)
{
    counting first;
    counting second;
    make_counting(&first);
    make_counting(&second);
    first.tries = second.tries = true;
    stele_shard *shard = hold("one");
    assert_status(stele__shards_sequence(shards, &first.maker), STELE_OK);
    ck_assert_int_eq(first.tried, STELE_BUSY);
    assert_status(stele__shards_sequence(shards, &second.maker), STELE_OK);
    ck_assert_int_eq(second.tried, STELE_BUSY);
    ck_assert_int_eq(head_of(stele_shard_store(shard)), 0);
    assert_status(append_at(shard), STELE_OK);
    ck_assert_int_eq(atomic_load(&second.proposed), 1);
    stele_shard_release(shard);
    close_shards();
}
END_TEST

START_TEST(a_store_that_can_have_none_is_not_written_to_either)
{
    counting of;
    make_counting(&of);
    stele_shard *shard = hold("one");
    stele_store *elsewhere = open_path(test_path("archive.db"), NULL);
    stele_archive moving = STELE_ARCHIVE_INIT;
    moving.stream = "s-1";
    moving.to = elsewhere;
    assert_status(append_at(shard), STELE_OK);
    assert_status(stele_store_archive(stele_shard_store(shard), &moving, NULL), STELE_OK);
    int64_t head = head_of(stele_shard_store(shard));

    assert_status(stele__shards_sequence(shards, &of.maker), STELE_UNSUPPORTED);
    ck_assert_int_eq(append_to(stele_shard_store(shard), "s-2", STELE_ANY, "noted", NULL),
                     STELE_UNSUPPORTED);
    assert_reason_has("in another store");
    ck_assert_int_eq(head_of(stele_shard_store(shard)), head);
    ck_assert_int_eq(atomic_load(&of.closed), 1);

    assert_status(stele__shards_sequence(shards, NULL), STELE_OK);
    ck_assert_int_eq(append_to(stele_shard_store(shard), "s-2", STELE_ANY, "noted", NULL),
                     STELE_OK);
    stele_shard_release(shard);
    stele_store_close(elsewhere);
    close_shards();
}
END_TEST

START_TEST(nothing_is_written_past_a_sequencer_that_could_not_be_made)
{
    counting of;
    make_counting(&of);
    of.fails = STELE_IO;
    stele_shard *shard = hold("one");
    stele_shard *none = NULL;

    assert_status(stele__shards_sequence(shards, &of.maker), STELE_IO);
    assert_reason_has("one.db");
    assert_status(append_at(shard), STELE_IO);
    assert_reason_has("as the test says");
    assert_status(stele_shards_acquire(shards, "org", "two", NULL, &none), STELE_IO);

    of.fails = STELE_OK;
    assert_status(stele__shards_sequence(shards, &of.maker), STELE_OK);
    assert_status(append_at(shard), STELE_OK);
    ck_assert_int_eq(atomic_load(&of.proposed), 1);
    ck_assert_int_eq(head_of(stele_shard_store(shard)), 1);
    stele_shard_release(shard);
    close_shards();
}
END_TEST

START_TEST(a_refusal_is_taken_away_with_the_maker)
{
    counting of;
    make_counting(&of);
    of.fails = STELE_IO;
    stele_shard *shard = hold("one");
    assert_status(stele__shards_sequence(shards, &of.maker), STELE_IO);
    assert_status(stele__shards_sequence(shards, NULL), STELE_OK);
    assert_status(append_at(shard), STELE_OK);
    stele_shard_release(shard);
    close_shards();
}
END_TEST

START_TEST(closed_shards_take_none)
{
    stele_shards *gone = NULL;
    assert_status(stele__shards_sequence(gone, NULL), STELE_MISUSE);
    close_shards();
}
END_TEST

START_TEST(lanes_follow_from_names_alone)
{
    stele__frame_id a;
    stele__frame_id b;
    stele__shard_lane("ab", "c", &a);
    stele__shard_lane("ab", "c", &b);
    ck_assert(stele__frame_id_equal(&a, &b));
    stele__shard_lane("a", "bc", &b);
    ck_assert(!stele__frame_id_equal(&a, &b));
    /* For ever: nodes of different releases must agree. */
    char text[33];
    stele__frame_id_text(&a, text);
    ck_assert_str_eq(text, "c7c585355c895e719923749dc036927b");
    close_shards();
}
END_TEST

/* --- In use --- */

static atomic_bool stopping;

typedef struct user {
    pthread_t thread;
    int appended;
    stele_status failed; /* other than BUSY */
} user;

static void *use_shards(void *context)
{
    user *own = context;
    static const char *const names[] = { "one", "two", "three", "four" };
    while (!atomic_load(&stopping)) {
        stele_shard *shard = NULL;
        stele_status status =
            stele_shards_acquire(shards, "org", names[own->appended % 4], NULL, &shard);
        if (status == STELE_OK)
            status = append_at(shard);
        stele_shard_release(shard);
        if (status == STELE_OK)
            own->appended++;
        else if (status != STELE_BUSY)
            own->failed = status;
    }
    return NULL;
}

START_TEST(it_may_change_while_threads_write_and_every_event_is_there_once)
{
    enum { USERS = 6, CHANGES = 30 };
    user users[USERS] = { 0 };
    counting makers[2];
    make_counting(&makers[0]);
    make_counting(&makers[1]);
    atomic_store(&stopping, false);
    for (int i = 0; i < USERS; i++)
        ck_assert_int_eq(pthread_create(&users[i].thread, NULL, use_shards, &users[i]), 0);
    for (int i = 0; i < CHANGES; i++)
        assert_status(stele__shards_sequence(shards, i % 3 == 2 ? NULL : &makers[i % 3].maker),
                      STELE_OK);
    atomic_store(&stopping, true);
    int appended = 0;
    for (int i = 0; i < USERS; i++) {
        pthread_join(users[i].thread, NULL);
        ck_assert_msg(users[i].failed == STELE_OK, "%s", stele_status_name(users[i].failed));
        appended += users[i].appended;
    }
    assert_status(stele__shards_sequence(shards, NULL), STELE_OK);

    int64_t found = 0;
    static const char *const names[] = { "one", "two", "three", "four" };
    for (int i = 0; i < 4; i++) {
        stele_shard *shard = hold(names[i]);
        found += head_of(stele_shard_store(shard));
        stele_shard_release(shard);
    }
    ck_assert_int_eq(found, appended);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(atomic_load(&makers[i].opened), atomic_load(&makers[i].closed));
    close_shards();
}
END_TEST

/* --- Replicas --- */

static memory_lane shared;

static stele_status open_shared_log(void *context, const stele__frame_id *id,
                                    stele__frame_log **log_out)
{
    (void)context;
    (void)id;
    *log_out = open_memory_log(&shared);
    return STELE_OK;
}

static void pump_shard(stele_shard *shard)
{
    stele_wait wait = wait_for_ms(LONG_MS);
    assert_status(stele__replica_pump(stele__shard_sequence_handle(shard), &wait, NULL), STELE_OK);
}

/* Set twice, every frame is still applied once; taken away and set again, it goes on. */
START_TEST(replicas_of_two_roots_apply_every_frame_once)
{
    stele_shards *other_root = NULL;
    stele_shard *other = NULL;
    stele__shard_replicas here;
    stele__shard_replicas there;
    open_memory_lane(&shared, 1);
    stele__shard_replicas_init(&here);
    stele__shard_replicas_init(&there);
    here.open_log = there.open_log = open_shared_log;
    there.threads = true;
    stele_shard *shard = hold("one");
    assert_status(stele_shards_open(test_path("other"), NULL, &other_root), STELE_OK);
    assert_status(stele_shards_acquire(other_root, "org", "one", NULL, &other), STELE_OK);
    for (int i = 0; i < 2; i++) {
        assert_status(stele__shards_sequence(shards, &here.maker), STELE_OK);
        assert_status(stele__shards_sequence(other_root, &there.maker), STELE_OK);
    }

    assert_status(append_at(shard), STELE_OK);
    assert_status(append_at(other), STELE_OK);
    assert_status(stele__shards_sequence(shards, NULL), STELE_OK);
    assert_status(append_at(other), STELE_OK);
    assert_status(stele__shards_sequence(shards, &here.maker), STELE_OK);
    assert_status(append_at(shard), STELE_OK);

    pump_shard(shard);
    pump_shard(other);
    ck_assert_int_eq(head_of(stele_shard_store(shard)), 4);
    ck_assert(equal_digests(stele_shard_store(shard), stele_shard_store(other)));
    stele_shard_release(other);
    stele_shards_close(other_root);
    stele_shard_release(shard);
    close_shards();
    close_memory_lane(&shared);
}
END_TEST

/* What was written without it makes the file differ from its lane: nothing more is applied there.
 */
START_TEST(a_shard_that_held_events_before_is_refused)
{
    stele__shard_replicas here;
    open_memory_lane(&shared, 1);
    stele__shard_replicas_init(&here);
    here.open_log = open_shared_log;
    stele_shard *shard = hold("one");
    assert_status(append_at(shard), STELE_OK);

    assert_status(stele__shards_sequence(shards, &here.maker), STELE_UNSUPPORTED);
    assert_reason_has("begin from a backup");
    assert_status(append_at(shard), STELE_UNSUPPORTED);
    assert_status(stele__shards_sequence(shards, NULL), STELE_OK);
    assert_status(append_at(shard), STELE_OK);
    stele_shard_release(shard);
    close_shards();
    close_memory_lane(&shared);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replica: shards");
    TCase *tests = tcase_create("shards");
    tcase_set_timeout(tests, 0);
    tcase_add_checked_fixture(tests, open_shards, remove_test_folder);
    tcase_add_test(tests, it_is_put_on_shards_that_are_open_and_on_later_ones);
    tcase_add_test(tests, setting_the_same_again_changes_nothing);
    tcase_add_test(tests, another_takes_its_place_and_none_takes_it_away);
    tcase_add_test(tests, nothing_is_written_between_two_sequencers);
    tcase_add_test(tests, a_store_that_can_have_none_is_not_written_to_either);
    tcase_add_test(tests, nothing_is_written_past_a_sequencer_that_could_not_be_made);
    tcase_add_test(tests, a_refusal_is_taken_away_with_the_maker);
    tcase_add_test(tests, closed_shards_take_none);
    tcase_add_test(tests, lanes_follow_from_names_alone);
    tcase_add_test(tests, it_may_change_while_threads_write_and_every_event_is_there_once);
    tcase_add_test(tests, replicas_of_two_roots_apply_every_frame_once);
    tcase_add_test(tests, a_shard_that_held_events_before_is_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
