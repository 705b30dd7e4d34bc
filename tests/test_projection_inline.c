/* Inline projections: folded in the transaction of each append, or that isn't made. */
#include <stele/lifecycle.h>
#include <stele/submit.h>

#include <pthread.h>

#include "projections.h"

static model_context model;
static stele_projector *projector;

static void open_with_model(void)
{
    model = (model_context){ 0 };
    open_in_file();
    projector = open_inline(&model, 1);
}

static void close_with_model(void)
{
    stele_projector_close(projector);
    projector = NULL;
    close_and_remove();
}

static TCase *add_model_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, close_with_model);
    suite_add_tcase(suite, tests);
    return tests;
}

START_TEST(model_is_in_step_with_each_append)
{
    for (int i = 0; i < 20; i++) {
        assert_status(append_one(i % 3 == 0 ? "a-1" : "b-1", STELE_ANY, "t", NULL), STELE_OK);
        expect_model(1);
    }
    ck_assert_int_eq(place_of("model"), 20);
    ck_assert_int_eq(model.calls, 20);
    ck_assert_int_eq(model.setups, 1);
    ck_assert(model.with_append);
}
END_TEST

static stele_record lent;
static char lent_data[32];
static char lent_metadata[32];

static stele_status keep_record(model_context *of, const stele_record *record,
                                const stele_projecting *projecting)
{
    (void)of;
    (void)projecting;
    lent = *record;
    snprintf(lent_data, sizeof(lent_data), "%s", (const char *)record->data);
    snprintf(lent_metadata, sizeof(lent_metadata), "%s", (const char *)record->metadata);
    ck_assert_str_eq(record->stream, "a-1");
    ck_assert_str_eq(record->type, "t");
    ck_assert_str_eq(record->codec, "json");
    return STELE_OK;
}

START_TEST(event_is_folded_as_the_record_that_is_read_later)
{
    stele_event event = make_event("t", "{\"n\":1}trailing");
    event.data_size = 7;
    event.codec = "json";
    event.schema_version = 3;
    event.has_occurred_at = true;
    event.occurred_at = 77;
    event.metadata = "[1]more";
    event.metadata_size = 3;
    model.hook = keep_record;

    assert_status(append_event("a-1", &event), STELE_OK);

    stele_cursor *cursor = NULL;
    const stele_record *read = NULL;
    assert_status(stele_store_read(store, NULL, &cursor), STELE_OK);
    assert_status(stele_cursor_next(cursor, &read), STELE_OK);
    ck_assert_str_eq(lent_data, "{\"n\":1}");
    ck_assert_str_eq(lent_metadata, "[1]");
    ck_assert_int_eq(lent.position, read->position);
    ck_assert_int_eq(lent.version, read->version);
    ck_assert_int_eq(lent.schema_version, read->schema_version);
    ck_assert_int_eq(lent.recorded_at, read->recorded_at);
    ck_assert_int_eq(lent.occurred_at, read->occurred_at);
    ck_assert_uint_eq(lent.flags, read->flags);
    ck_assert_int_eq(lent.stream_id, read->stream_id);
    ck_assert_uint_eq(lent.data_size, read->data_size);
    ck_assert_uint_eq(lent.metadata_size, read->metadata_size);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(failure_refuses_that_append_and_leaves_nothing_of_it)
{
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    model.poison = "poison";
    model.answer = STELE_INVALID;

    assert_status(append_one("a-1", STELE_ANY, "poison", NULL), STELE_INVALID);
    assert_reason_has("the projection 'model' can't fold 'poison' of 'a-1', position 2");

    expect_model(1);
    ck_assert_int_eq(number_of("SELECT count(*) FROM events"), 1);
    ck_assert_int_eq(number_of("SELECT count(*) FROM types WHERE name = 'poison'"), 0);
    stele_appended appended;
    assert_status(append_one("a-1", 1, "t", &appended), STELE_OK);
    ck_assert_int_eq(appended.first_position, 2);
    assert_status(append_one("new-1", STELE_NO_STREAM, "poison", NULL), STELE_INVALID);
    assert_status(append_one("new-1", STELE_NO_STREAM, "t", NULL), STELE_OK);
    expect_model(1);
}
END_TEST

START_TEST(failure_of_one_of_many_leaves_none_of_them)
{
    stele_event event = make_event("t", "{}");
    stele_event poison = make_event("poison", "{}");
    stele_append appends[3] = { make_append("a-1", STELE_ANY, &event, 1),
                                make_append("b-1", STELE_ANY, &poison, 1),
                                make_append("c-1", STELE_ANY, &event, 1) };
    size_t failed = 0;
    model.poison = "poison";

    assert_status(stele_store_append_many(store, appends, 3, NULL, &failed), STELE_REFUSED);

    ck_assert_uint_eq(failed, 1);
    ck_assert_int_eq(number_of("SELECT count(*) FROM events"), 0);
    model.poison = NULL;
    assert_status(stele_store_append_many(store, appends, 3, NULL, NULL), STELE_OK);
    expect_model(1);
}
END_TEST

START_TEST(failure_in_a_transaction_dooms_nothing)
{
    stele_event event = make_event("t", "{}");
    stele_event poison = make_event("poison", "{}");
    stele_append good = make_append("a-1", STELE_ANY, &event, 1);
    stele_append bad = make_append("b-1", STELE_ANY, &poison, 1);
    stele_append both[2] = { good, bad };
    stele_transaction *transaction = NULL;
    model.poison = "poison";
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);

    assert_status(stele_transaction_append(transaction, &good, NULL), STELE_OK);
    assert_status(stele_transaction_append(transaction, &bad, NULL), STELE_REFUSED);
    assert_status(stele_transaction_append(transaction, &good, NULL), STELE_OK);
    assert_status(stele_transaction_append_many(transaction, both, 2, NULL, NULL), STELE_REFUSED);
    assert_status(stele_transaction_append(transaction, &good, NULL), STELE_OK);
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);

    ck_assert_int_eq(number_of("SELECT count(*) FROM events"), 3);
    expect_model(1);
}
END_TEST

START_TEST(transaction_that_is_rolled_back_takes_the_model_with_it)
{
    stele_event event = make_event("t", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    stele_transaction *transaction = NULL;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_OK);
    stele_transaction_end(transaction);
    expect_model(1);

    /* Likewise a savepoint of the user's. */
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    sqlite3 *handle = stele_transaction_sqlite(transaction);
    ck_assert_int_eq(sqlite3_exec(handle, "SAVEPOINT mine", NULL, NULL, NULL), SQLITE_OK);
    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_OK);
    ck_assert_int_eq(sqlite3_exec(handle, "ROLLBACK TO mine", NULL, NULL, NULL), SQLITE_OK);
    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_OK);
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);

    expect_model(1);
    ck_assert_int_eq(place_of("model"), 2);
}
END_TEST

/* --- Submissions and neighbours --- */

START_TEST(neighbours_of_a_refused_submission_are_committed)
{
    stele_event event = make_event("t", "{}");
    stele_event poison = make_event("poison", "{}");
    stele_ticket *tickets[30] = { NULL };
    model.poison = "poison";
    stele_transaction *transaction = NULL; /* so that they wait, and share a commit */
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    for (int i = 0; i < 30; i++) {
        char stream[16];
        snprintf(stream, sizeof(stream), "s-%d", i);
        stele_append append = make_append(stream, STELE_ANY, i % 5 == 2 ? &poison : &event, 1);
        assert_status(stele_store_submit(store, &append, NULL, &tickets[i]), STELE_OK);
    }
    stele_transaction_end(transaction);

    for (int i = 0; i < 30; i++) {
        const stele_verdict *verdict = NULL;
        assert_status(stele_ticket_wait(tickets[i], NULL, &verdict), STELE_OK);
        ck_assert_int_eq(verdict->status, i % 5 == 2 ? STELE_REFUSED : STELE_OK);
        stele_ticket_close(tickets[i]);
    }
    ck_assert_int_eq(number_of("SELECT count(*) FROM events"), 24);
    ck_assert_int_eq(model.calls, 30); /* nobody's work was done twice */
    expect_model(1);
}
END_TEST

START_TEST(submissions_that_closing_commits_are_folded)
{
    stele_event event = make_event("t", "{}");
    stele_ticket *ticket = NULL;
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_OK);

    close_store();

    const stele_verdict *verdict = NULL;
    assert_status(stele_ticket_wait(ticket, NULL, &verdict), STELE_OK);
    ck_assert_int_eq(verdict->status, STELE_OK);
    stele_ticket_close(ticket);
    stele_projector_close(projector);
    open_in_file();
    projector = open_inline(&model, 1);
    expect_model(1);
    ck_assert_int_eq(number_of("SELECT count(*) FROM entries"), 1);
}
END_TEST

#define THREADS 4
#define APPENDS 150

static void *append_from_thread(void *context)
{
    char stream[16];
    snprintf(stream, sizeof(stream), "t-%d", *(int *)context);
    for (int i = 0; i < APPENDS; i++)
        assert_status(append_one(stream, STELE_ANY, i % 10 == 9 ? "poison" : "t", NULL),
                      i % 10 == 9 ? STELE_REFUSED : STELE_OK);
    return NULL;
}

START_TEST(many_threads_append_and_the_model_is_right)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    model.poison = "poison";
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, append_from_thread, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    ck_assert_int_eq(place_of("model"), THREADS * APPENDS * 9 / 10);
    expect_model(1);
}
END_TEST

/* --- Nothing is missed --- */

START_TEST(what_was_there_before_is_folded_at_opening)
{
    stele_projector_close(projector);
    bool found = false;
    assert_status(stele_projection_drop(store, "model", &found), STELE_OK);
    ck_assert(found);
    for (int i = 0; i < 2500; i++)
        assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);

    projector = open_inline(&model, 1);

    ck_assert_int_eq(place_of("model"), 2500);
    expect_model(1);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    expect_model(1);
}
END_TEST

/* The silent skip of this area: somebody appends who doesn't know of the projection. */
START_TEST(append_without_the_projection_is_refused)
{
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    stele_projector_close(projector);
    projector = NULL;

    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_REFUSED);
    assert_reason_has("is kept with every append");
    reopen_file();
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_REFUSED);
    stele_event event = make_event("t", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_REFUSED);
    stele_transaction_end(transaction);

    projector = open_inline(&model, 1);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    expect_model(1);
}
END_TEST

START_TEST(second_store_on_the_file_is_refused_from_the_first_opening_on)
{
    stele_projector_close(projector);
    assert_status(stele_projection_drop(store, "model", NULL), STELE_OK);
    stele_store *other = open_path(store_path(), NULL);
    assert_status(append_to(other, "a-1", STELE_ANY, "t", NULL), STELE_OK);

    projector = open_inline(&model, 1);

    assert_status(append_to(other, "a-1", STELE_ANY, "t", NULL), STELE_REFUSED);
    stele_projector *second = NULL;
    stele_projection projection = make_projection(&model, 1);
    assert_status(stele_projector_open_inline(other, &projection, NULL, &second), STELE_OK);
    for (int i = 0; i < 10; i++)
        assert_status(append_to(i % 2 == 0 ? other : store, "a-1", STELE_ANY, "t", NULL), STELE_OK);
    expect_model(1);
    ck_assert_int_eq(place_of("model"), 11);
    stele_projector_close(second);
    stele_store_close(other);
}
END_TEST

/* Whoever gets around the library leaves a gap; the next append folds it first. */
START_TEST(gap_is_noticed_and_folded_by_the_next_append)
{
    fill_stream("a-1", 5);
    assert_status(stele_checkpoint_save(store, "model", 3), STELE_OK);
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    ck_assert_int_eq(sqlite3_exec(stele_transaction_sqlite(transaction),
                                  "DELETE FROM entries WHERE position > 3; UPDATE totals SET"
                                  " events = 3, sum = 6",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);

    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);

    expect_model(1);
    ck_assert_int_eq(place_of("model"), 6);
}
END_TEST

START_TEST(records_of_the_library_dont_need_the_projection)
{
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(append_one("b-1", STELE_ANY, "t", NULL), STELE_OK);
    stele_projector_close(projector);
    projector = NULL;
    stele_tombstone what = STELE_TOMBSTONE_INIT;
    what.stream = "b-1";
    what.reason = "closed";
    assert_status(stele_store_tombstone(store, &what, NULL), STELE_OK);
    int64_t head = 0;
    assert_status(stele_store_head(store, &head), STELE_OK);
    ck_assert_int_eq(head, 3);
    ck_assert_int_eq(place_of("model"), 2);

    projector = open_inline(&model, 1);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    expect_model(1);
    ck_assert_int_eq(place_of("model"), 4);
}
END_TEST

START_TEST(gap_that_the_library_left_is_folded_with_the_next_append)
{
    stele_store *other = open_path(store_path(), NULL);
    stele_tombstone what = STELE_TOMBSTONE_INIT;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(append_one("b-1", STELE_ANY, "t", NULL), STELE_OK);
    what.stream = "b-1";
    what.reason = "closed";
    assert_status(stele_store_tombstone(other, &what, NULL), STELE_OK);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    expect_model(1);
    ck_assert_int_eq(place_of("model"), 4);
    stele_store_close(other);
}
END_TEST

START_TEST(checkpoint_that_is_gone_refuses_appends_until_a_rebuild)
{
    stele_projection projection = make_projection(&model, 1);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(stele_checkpoint_reset(store, "model", NULL), STELE_OK);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_REFUSED);
    assert_reason_has("is gone: rebuild it");
    stele_projector_close(projector);
    projector = NULL;
    assert_status(stele_projector_open_inline(store, &projection, NULL, &projector),
                  STELE_CONFLICT);
    assert_status(stele_projection_rebuild(store, &projection, NULL, NULL), STELE_OK);
    projector = open_inline(&model, 1);
    expect_model(1);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    expect_model(1);
}
END_TEST

START_TEST(duplicate_is_folded_once)
{
    stele_event event = make_event("t", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    append.idempotency_key = "k";
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    append.event_count = 0;
    append.idempotency_key = "empty";
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    ck_assert_int_eq(model.calls, 1);
    expect_model(1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("projection_inline");

    TCase *step = add_model_case(suite, "in step", open_with_model);
    tcase_add_test(step, model_is_in_step_with_each_append);
    tcase_add_test(step, event_is_folded_as_the_record_that_is_read_later);
    tcase_add_test(step, failure_refuses_that_append_and_leaves_nothing_of_it);
    tcase_add_test(step, failure_of_one_of_many_leaves_none_of_them);
    tcase_add_test(step, failure_in_a_transaction_dooms_nothing);
    tcase_add_test(step, transaction_that_is_rolled_back_takes_the_model_with_it);
    tcase_add_test(step, neighbours_of_a_refused_submission_are_committed);
    tcase_add_test(step, submissions_that_closing_commits_are_folded);
    tcase_add_test(step, many_threads_append_and_the_model_is_right);

    TCase *gaps = add_model_case(suite, "nothing is missed", open_with_model);
    tcase_add_test(gaps, what_was_there_before_is_folded_at_opening);
    tcase_add_test(gaps, append_without_the_projection_is_refused);
    tcase_add_test(gaps, second_store_on_the_file_is_refused_from_the_first_opening_on);
    tcase_add_test(gaps, gap_is_noticed_and_folded_by_the_next_append);
    tcase_add_test(gaps, records_of_the_library_dont_need_the_projection);
    tcase_add_test(gaps, gap_that_the_library_left_is_folded_with_the_next_append);
    tcase_add_test(gaps, checkpoint_that_is_gone_refuses_appends_until_a_rebuild);
    tcase_add_test(gaps, duplicate_is_folded_once);

    return run_suite(suite);
}
