/*
 * A store whose changes are put in order by a sequencer answers as any other, and it can be set and
 * taken away while threads (pthread) write.
 */
#include "sequencing.h"

#include <stele/submit.h>

#include <pthread.h>

/* --- The same calls on a plain store and on a sequenced one --- */

/* Everything that a call said. */
typedef struct answer {
    stele_status status;
    char text[512];
    stele_appended appended[CHANCE_APPENDS];
    size_t failed;
    stele_written written;
    stele_changed changed;
} answer;

static void keep_ticket(stele_store *of, const stele_append *append, answer *out)
{
    const stele_verdict *verdict = NULL;
    stele_ticket *ticket = NULL;
    stele_status status = stele_store_submit(of, append, NULL, &ticket);
    if (status != STELE_OK) {
        out->status = status;
        return;
    }
    assert_status(stele_ticket_wait(ticket, NULL, &verdict), STELE_OK);
    out->status = verdict->status;
    snprintf(out->text, sizeof(out->text), "%s", verdict->error);
    out->appended[0] = verdict->appended;
    stele_ticket_close(ticket);
}

/* `way` says which of the calls that can do it. */
static void call_public(stele_store *of, const stele__change *change, uint64_t way, answer *out)
{
    memset(out, 0, sizeof(*out));
    switch (change->kind) {
    case STELE__CHANGE_APPENDS:
        if (change->count > 1 || way == 0)
            out->status = stele_store_append_many(of, change->what, change->count, out->appended,
                                                  &out->failed);
        else if (way == 1)
            keep_ticket(of, change->what, out);
        else
            out->status = stele_store_append(of, change->what, out->appended);
        break;
    case STELE__CHANGE_PUT: out->status = stele_state_put(of, change->what, &out->written); break;
    case STELE__CHANGE_REMOVE:
        out->status = stele_state_delete(of, change->what, &out->written);
        break;
    case STELE__CHANGE_ARCHIVE:
        out->status = stele_store_archive(of, change->what, &out->changed);
        break;
    case STELE__CHANGE_RESTORE:
        out->status = stele_store_restore(of, change->what, &out->changed);
        break;
    case STELE__CHANGE_TOMBSTONE:
        out->status = stele_store_tombstone(of, change->what, &out->changed);
        break;
    case STELE__CHANGE_DELETE:
        out->status = stele_store_delete(of, change->what, &out->changed);
        break;
    }
    if (out->status < 0 && out->text[0] == '\0')
        snprintf(out->text, sizeof(out->text), "%s", stele_error_text());
}

static void compare_answers(const answer *a, const answer *b, uint64_t step)
{
    ck_assert_msg(a->status == b->status && strcmp(a->text, b->text) == 0,
                  "step %" PRIu64 ": %s (%s), not %s (%s)", step, stele_status_name(b->status),
                  b->text, stele_status_name(a->status), a->text);
    for (size_t i = 0; i < COUNT_OF(a->appended); i++) {
        ck_assert_int_eq(a->appended[i].stream_version, b->appended[i].stream_version);
        ck_assert_int_eq(a->appended[i].first_position, b->appended[i].first_position);
        ck_assert_int_eq(a->appended[i].last_position, b->appended[i].last_position);
        ck_assert_int_eq(a->appended[i].duplicate, b->appended[i].duplicate);
        ck_assert_int_eq(a->appended[i].erased, b->appended[i].erased);
        ck_assert_int_eq(a->appended[i].condition, b->appended[i].condition);
    }
    ck_assert_uint_eq(a->failed, b->failed);
    ck_assert_int_eq(a->written.revision, b->written.revision);
    ck_assert_int_eq(a->written.updated_at, b->written.updated_at);
    ck_assert_int_eq(a->written.found, b->written.found);
    ck_assert_int_eq(a->written.duplicate, b->written.duplicate);
    ck_assert_int_eq(a->written.superseded, b->written.superseded);
    ck_assert_int_eq(a->changed.changed, b->changed.changed);
    ck_assert_int_eq(a->changed.finished, b->changed.finished);
    ck_assert_int_eq(a->changed.version, b->changed.version);
    ck_assert_int_eq(a->changed.position, b->changed.position);
    ck_assert_int_eq(a->changed.events, b->changed.events);
    ck_assert_int_eq(a->changed.bytes, b->changed.bytes);
}

static int64_t step_time;

static int64_t read_step_clock(void *context)
{
    (void)context;
    return step_time;
}

/* Now and then something that is refused before it is proposed, or only looked at. */
static void spoil_change(chance_change *of)
{
    if (one_in(12)) {
        of->events[0][0].type = "";
        of->put.key = "";
        of->removal.scope = "$mine";
        of->archiving.stream = "$stele";
        of->tombstone.reason = NULL;
    }
    if (one_in(10)) {
        of->archiving.dry_run = of->restoring.dry_run = true;
        of->tombstone.dry_run = of->deletion.dry_run = true;
    }
}

START_TEST(the_same_calls_answer_the_same_and_leave_the_same)
{
    static chance_change made;
    uint64_t seed = choose_seed();
    uint64_t steps = (uint64_t)effort_of(1500, 20000);
    uint64_t refused = 0;
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = read_step_clock;
    step_time = INT64_C(1700000000000000);
    store = open_path(test_path("plain.db"), &options);
    stele_store *sequenced = open_path(store_path(), &options);
    make_counting(sequenced);
    assert_status(stele__sequencer_set(sequenced, &counted.sequencer), STELE_OK);
    for (uint64_t step = 0; step < steps; step++) {
        answer a, b;
        uint64_t way = chance_below(3);
        step_time += (int64_t)chance_below(3000) - 1000;
        make_chance_change(&made, (stele__change_kind)0);
        if (made.change.kind == STELE__CHANGE_TOMBSTONE && !one_in(4))
            make_chance_change(&made, STELE__CHANGE_DELETE);
        spoil_change(&made);
        if (made.change.kind == STELE__CHANGE_APPENDS && made.change.count > 1)
            made.events[0][0].type = "opened"; /* see the test of many below */
        call_public(store, &made.change, way, &a);
        call_public(sequenced, &made.change, way, &b);
        compare_answers(&a, &b, step);
        refused += a.status < 0;
        if (step % 100 == 0)
            ck_assert_str_eq(digest_of_store(store), digest_of_store(sequenced));
    }
    ck_assert_str_eq(digest_of_store(store), digest_of_store(sequenced));
    assert_verified(sequenced);
    stele__local_counts counts;
    stele__local_counts_get(counted.local, &counts);
    ck_assert_uint_gt(refused, steps / 20);
    ck_assert_uint_gt(counts.accepted, steps / 20);
    ck_assert_uint_eq(counts.failed, 0);
    stele_store_close(sequenced);
    printf("same calls: seed %" PRIu64 ", %" PRIu64 " steps, %" PRIu64 " refused, %" PRIu64
           " frames\n",
           seed, steps, refused, counts.accepted);
}
END_TEST

/* --- Setting it --- */

static void wait_a_little(void)
{
    const struct timespec moment = { 0, 200000 };
    nanosleep(&moment, NULL);
}

#define WRITERS 4

static atomic_bool stop_writing;
static atomic_int written_by[WRITERS];
static atomic_int wrong_answers;
static char wrong_text[600];

static void note_answer(stele_status status)
{
    if (status == STELE_OK)
        return;
    if (atomic_fetch_add(&wrong_answers, 1) == 0)
        snprintf(wrong_text, sizeof(wrong_text), "%s: %s", stele_status_name(status),
                 stele_error_text());
}

/* Appends, many, submissions, entries: each must be done, whoever puts them in order. */
static void *write_always(void *context)
{
    int writer = *(int *)context;
    char stream[16];
    snprintf(stream, sizeof(stream), "w-%d", writer);
    for (int64_t version = 0; !atomic_load(&stop_writing); version++) {
        stele_event event = make_event("counted", "{}");
        stele_append append = make_append(stream, version, &event, 1);
        stele_put put = STELE_PUT_INIT;
        const stele_verdict *verdict = NULL;
        stele_ticket *ticket = NULL;
        put.scope = put.key = stream;
        put.expected_revision = version;
        switch ((version + writer) % 3) {
        case 0: note_answer(stele_store_append(store, &append, NULL)); break;
        case 1: note_answer(stele_store_append_many(store, &append, 1, NULL, NULL)); break;
        default:
            note_answer(stele_store_submit(store, &append, NULL, &ticket));
            if (ticket != NULL) {
                note_answer(stele_ticket_wait(ticket, NULL, &verdict));
                if (verdict != NULL)
                    note_answer(verdict->status);
            }
            stele_ticket_close(ticket);
        }
        note_answer(stele_state_put(store, &put, NULL));
        atomic_fetch_add(&written_by[writer], 1);
        if (atomic_load(&wrong_answers) > 0)
            break;
    }
    return NULL;
}

START_TEST(it_is_set_and_taken_away_while_threads_write)
{
    pthread_t threads[WRITERS];
    int numbers[WRITERS];
    int flips = effort_of(60, 2000);
    atomic_store(&stop_writing, false);
    atomic_store(&wrong_answers, 0);
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        atomic_store(&written_by[i], 0);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_always, &numbers[i]), 0);
    }
    int direct = 0, proposed = 0;
    for (int i = 0; i < flips && atomic_load(&wrong_answers) == 0; i++) {
        int before = atomic_load(&counted.calls);
        int64_t head = head_of(store);
        while (head_of(store) < head + 8 && atomic_load(&wrong_answers) == 0)
            wait_a_little();
        proposed += atomic_load(&counted.calls) > before;
        assert_status(stele__sequencer_set(store, NULL), STELE_OK);
        ck_assert_int_eq(atomic_load(&counted.inside), 0); /* and nobody is left in it */
        before = atomic_load(&counted.calls);
        head = head_of(store);
        while (head_of(store) < head + 8 && atomic_load(&wrong_answers) == 0)
            wait_a_little();
        direct += atomic_load(&counted.calls) == before;
        assert_status(stele__sequencer_set(store, &counted.sequencer), STELE_OK);
    }
    atomic_store(&stop_writing, true);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_msg(atomic_load(&wrong_answers) == 0, "%s", wrong_text);
    ck_assert_int_eq(direct, flips);
    ck_assert_int_gt(proposed, flips / 2);
    for (int i = 0; i < WRITERS; i++) {
        char stream[16];
        snprintf(stream, sizeof(stream), "w-%d", i);
        ck_assert_int_eq(version_of(stream), atomic_load(&written_by[i]));
    }
    assert_verified(store);
    printf("set and taken away: %d times under load, %d calls proposed\n", flips,
           atomic_load(&counted.calls));
}
END_TEST

/* --- Changes of states that wait while it is set --- */

static void open_unsequenced(void)
{
    open_in_file();
    make_counting(store);
}

static int count_waiting(void)
{
    int count = 0;
    pthread_mutex_lock(&store->mutex);
    for (const stele__waiter *waiter = store->first_waiter; waiter != NULL; waiter = waiter->next)
        count++;
    pthread_mutex_unlock(&store->mutex);
    return count;
}

static void wait_for_waiting(int count)
{
    while (count_waiting() < count)
        wait_a_little();
}

static void *set_it(void *context)
{
    *(stele_status *)context = stele__sequencer_set(store, &counted.sequencer);
    return NULL;
}

typedef struct late_call {
    stele__change change;
    answer answer;
} late_call;

static void *call_late(void *context)
{
    late_call *late = context;
    call_public(store, &late->change, 0, &late->answer);
    return NULL;
}

/* It found none when it came, and one when it had the turn: then it goes there. */
static void expect_overtaken_by_setting(stele__change_kind kind, const void *what)
{
    pthread_t setter, caller;
    stele_status set = STELE_MISUSE;
    late_call late = { .change = { .kind = kind, .what = what, .count = 1 } };
    stele_transaction *holding = begin();
    ck_assert_int_eq(pthread_create(&setter, NULL, set_it, &set), 0);
    wait_for_waiting(1);
    ck_assert_int_eq(pthread_create(&caller, NULL, call_late, &late), 0);
    wait_for_waiting(2);

    stele_transaction_end(holding);

    pthread_join(setter, NULL);
    pthread_join(caller, NULL);
    assert_status(set, STELE_OK);
    ck_assert_msg(late.answer.status == STELE_OK, "%s: %s", stele_status_name(late.answer.status),
                  late.answer.text);
    ck_assert(late.answer.changed.changed);
    ck_assert(late.answer.changed.finished);
    ck_assert_int_eq(atomic_load(&counted.calls), 1);
    assert_verified(store);
}

START_TEST(archiving_that_waited_while_it_was_set_goes_to_it)
{
    stele_archive archive = STELE_ARCHIVE_INIT;
    fill_stream("a-1", 2);
    archive.stream = "a-1";
    expect_overtaken_by_setting(STELE__CHANGE_ARCHIVE, &archive);
}
END_TEST

START_TEST(restoring_that_waited_while_it_was_set_goes_to_it)
{
    stele_archive archive = STELE_ARCHIVE_INIT;
    stele_restore restore = STELE_RESTORE_INIT;
    fill_stream("a-1", 2);
    archive.stream = restore.stream = "a-1";
    assert_status(stele_store_archive(store, &archive, NULL), STELE_OK);
    expect_overtaken_by_setting(STELE__CHANGE_RESTORE, &restore);
}
END_TEST

START_TEST(tombstoning_that_waited_while_it_was_set_goes_to_it)
{
    stele_tombstone tombstone = STELE_TOMBSTONE_INIT;
    fill_stream("a-1", 2);
    tombstone.stream = "a-1";
    tombstone.reason = "closed";
    expect_overtaken_by_setting(STELE__CHANGE_TOMBSTONE, &tombstone);
}
END_TEST

START_TEST(deletion_that_waited_while_it_was_set_goes_to_it)
{
    stele_delete what = STELE_DELETE_INIT;
    fill_stream("a-1", 2);
    what.stream = "a-1";
    expect_overtaken_by_setting(STELE__CHANGE_DELETE, &what);
}
END_TEST

/* With a queue that a committer empties, so that the change comes between queueing and commit. */
static void open_sequenced_with_committer(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = true;
    store = open_path(store_path(), &options);
    make_counting(store);
    assert_status(stele__sequencer_set(store, &counted.sequencer), STELE_OK);
}

static Suite *sequencer_load_suite(void)
{
    Suite *suite = suite_create("sequencer load");
    TCase *tests = add_sequenced_case(suite, "the same", NULL);
    tcase_set_timeout(tests, effort_is_long() ? 900 : 120);
    tcase_add_test(tests, the_same_calls_answer_the_same_and_leave_the_same);

    tests = add_sequenced_case(suite, "under load", open_sequenced);
    tcase_set_timeout(tests, effort_is_long() ? 900 : 120);
    tcase_add_test(tests, it_is_set_and_taken_away_while_threads_write);
    tests = add_sequenced_case(suite, "with a committer", open_sequenced_with_committer);
    tcase_set_timeout(tests, effort_is_long() ? 900 : 120);
    tcase_add_test(tests, it_is_set_and_taken_away_while_threads_write);

    tests = add_sequenced_case(suite, "while it is set", open_unsequenced);
    tcase_add_test(tests, archiving_that_waited_while_it_was_set_goes_to_it);
    tcase_add_test(tests, restoring_that_waited_while_it_was_set_goes_to_it);
    tcase_add_test(tests, tombstoning_that_waited_while_it_was_set_goes_to_it);
    tcase_add_test(tests, deletion_that_waited_while_it_was_set_goes_to_it);
    return suite;
}

int main(void)
{
    return run_suite(sequencer_load_suite());
}
