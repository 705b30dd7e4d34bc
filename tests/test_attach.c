/* Reading while streams come and go: through attached archives, over husks, with open cursors. */
#include "lifecycles.h"

#define EVENTS 8

/* A cursor whose pages have one record each, so that it looks at the file before each. */
static stele_cursor *open_slowly(const char *stream, stele_direction direction)
{
    stele_read read = STELE_READ_INIT;
    read.stream = stream;
    read.direction = direction;
    read.page_count_max = 1;
    return open_read(&read);
}

static stele_status drain(stele_cursor *cursor, int *count_out)
{
    const stele_record *record = NULL;
    stele_status status;
    *count_out = 0;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK)
        ++*count_out;
    return status;
}

/* --- Attached archives --- */

START_TEST(attached_archive_gives_events_as_if_they_had_never_left)
{
    stele_store *second = open_path(test_path("second.db"), NULL);
    stele_skipped skipped;
    fill_varied("loan-1", 5);
    fill_varied("loan-2", 3);
    fill_varied("desk-1", 2);
    fill_varied("loan-1", 5); /* retries and new ones, between the others */
    const char *all = tell_stream(NULL);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(archive_to("loan-2", second, NULL), STELE_OK);
    tell_read(store, NULL, NULL, &skipped);
    int64_t one = info_of("loan-1").version;
    ck_assert_int_eq(skipped.archived, one + 3);
    assert_status(stele_store_attach(store, archive), STELE_OK);
    tell_read(store, NULL, NULL, &skipped);
    ck_assert_int_eq(skipped.archived, 3);
    assert_status(stele_store_attach(store, second), STELE_OK);
    ck_assert_str_eq(tell_read(store, NULL, NULL, &skipped), all);
    ck_assert_int_eq(skipped.archived, 0);
    stele_read backward = STELE_READ_INIT;
    backward.direction = STELE_BACKWARD;
    backward.page_count_max = 2;
    int count;
    stele_cursor *cursor = open_read(&backward);
    assert_status(drain(cursor, &count), STELE_DONE);
    ck_assert_int_eq(count, one + 5);
    stele_cursor_close(cursor);
    assert_status(stele_store_detach(store, archive), STELE_OK);
    tell_read(store, NULL, NULL, &skipped);
    ck_assert_int_eq(skipped.archived, one);
    stele_store_close(second);
}
END_TEST

START_TEST(archive_that_is_only_read_can_be_attached)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    fill_varied("loan-1", 5);
    const char *before = tell_stream("loan-1");
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    close_archive();
    archive = open_path(archive_path(), &options);
    assert_status(stele_store_attach(store, archive), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    /* For writing it is passed over: the one at its path is opened. */
    assert_status(restore_from("loan-1", NULL, NULL), STELE_OK);
}
END_TEST

START_TEST(attaching_twice_and_detaching_what_is_not_attached_are_fine)
{
    assert_status(stele_store_attach(store, archive), STELE_OK);
    assert_status(stele_store_attach(store, archive), STELE_OK);
    assert_status(stele_store_detach(store, archive), STELE_OK);
    assert_status(stele_store_detach(store, archive), STELE_OK);
}
END_TEST

START_TEST(wrong_arguments_are_misuse)
{
    assert_status(stele_store_attach(NULL, archive), STELE_MISUSE);
    assert_status(stele_store_attach(store, NULL), STELE_MISUSE);
    assert_status(stele_store_attach(store, store), STELE_MISUSE);
    assert_status(stele_store_detach(store, NULL), STELE_MISUSE);
    assert_status(stele_store_detach(NULL, archive), STELE_MISUSE);
    stele_store *again = open_path(store_path(), NULL);
    assert_status(stele_store_attach(store, again), STELE_MISUSE);
    stele_store_close(again);
}
END_TEST

START_TEST(closed_archive_makes_its_reads_closed_and_no_others)
{
    fill_varied("loan-1", 3);
    fill_varied("loan-2", 3);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(stele_store_attach(store, archive), STELE_OK);
    stele_cursor *open = open_slowly("loan-1", STELE_FORWARD);
    next_record(open);
    close_archive();
    const stele_record *record = NULL;
    assert_status(stele_cursor_next(open, &record), STELE_CLOSED);
    assert_status(stele_cursor_next(open, &record), STELE_CLOSED);
    stele_cursor_close(open);
    stele_status end;
    tell_read(store, "loan-1", &end, NULL);
    assert_status(end, STELE_CLOSED);
    tell_read(store, "loan-2", &end, NULL);
    assert_status(end, STELE_DONE);
}
END_TEST

START_TEST(damage_in_an_attached_archive_names_the_position)
{
    static const struct {
        const char *sql;
        const char *part;
    } damages[] = {
        { "UPDATE kept_events SET data = '{\"n\":9}' WHERE version = 3", "position 4" },
        { "DELETE FROM kept_events WHERE version = 3", "version 3" },
        { "DELETE FROM kept_streams", "knows nothing" },
        { "UPDATE kept_streams SET name = 'loan-2'", "damaged" },
    };
    fill_stream("other-1", 1);
    fill_stream("loan-1", 5);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    close_archive();
    run_sql(archive_path(), damages[_i].sql);
    open_archive();
    assert_status(stele_store_attach(store, archive), STELE_OK);
    stele_status end;
    const char *text = tell_read(store, "loan-1", &end, NULL);
    assert_status(end, STELE_CORRUPT);
    assert_reason_has(damages[_i].part);
    ck_assert_int_eq(strstr(text, "{\"n\":2}") != NULL, _i < 2);
}
END_TEST

START_TEST(filters_see_the_husks_that_they_let_through)
{
    static const char *const type = "counted";
    stele_skipped skipped;
    fill_stream("loan-1", 3);
    fill_varied("loan-2", 4); /* half of them "noted" */
    fill_stream("desk-1", 2);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(archive_to("loan-2", archive, NULL), STELE_OK);
    assert_status(delete_it("desk-1"), STELE_OK);
    stele_read reads[4] = { STELE_READ_INIT, STELE_READ_INIT, STELE_READ_INIT, STELE_READ_INIT };
    static const int64_t archived[4] = { 7, 5, 7, 4 };
    static const int64_t erased[4] = { 2, 2, 0, 0 };
    reads[1].types = &type;
    reads[1].type_count = 1;
    reads[2].category = "loan";
    reads[3].prefix = "loan-2";
    int count;
    stele_cursor *cursor = open_read(&reads[_i]);
    assert_status(drain(cursor, &count), STELE_DONE);
    skipped = stele_cursor_skipped(cursor);
    stele_cursor_close(cursor);
    ck_assert_int_eq(count, 0);
    ck_assert_int_eq(skipped.archived, archived[_i]);
    ck_assert_int_eq(skipped.erased, erased[_i]);
    ck_assert_int_eq(stele_cursor_skipped(NULL).archived, 0);
    assert_status(stele_store_attach(store, archive), STELE_OK);
    cursor = open_read(&reads[_i]);
    assert_status(drain(cursor, &count), STELE_DONE);
    ck_assert_int_eq(count, archived[_i]);
    ck_assert_int_eq(stele_cursor_skipped(cursor).archived, 0);
    stele_cursor_close(cursor);
}
END_TEST

/* --- Cursors that were open before --- */

typedef enum change { MOVE, ARCHIVE_HERE, TOMBSTONE, DELETE, RECREATE, RESTORE, CHANGES } change;

static void make_change(change which)
{
    if (which == MOVE || which == RESTORE)
        assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    if (which == RESTORE)
        assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    if (which == ARCHIVE_HERE)
        assert_status(archive_here("loan-1"), STELE_OK);
    if (which == TOMBSTONE)
        assert_status(tombstone_it("loan-1"), STELE_OK);
    if (which == DELETE || which == RECREATE)
        assert_status(delete_it("loan-1"), STELE_OK);
    if (which == RECREATE)
        fill_stream("loan-1", EVENTS);
}

/* A process of its own, begun before any store was open, that waits for the change to make. */
static pid_t other_process;
static int other_orders;

static void open_beside_another_process(void)
{
    int ends[2];
    test_folder(); /* both have the same */
    fflush(NULL);
    ck_assert_int_eq(pipe(ends), 0);
    other_process = fork();
    ck_assert_int_ge(other_process, 0);
    if (other_process == 0) {
        unsigned char order;
        close(ends[1]);
        if (read(ends[0], &order, 1) == 1) {
            open_both();
            make_change((change)order);
            stele_store_close(store);
            stele_store_close(archive);
        }
        _exit(0);
    }
    close(ends[0]);
    other_orders = ends[1];
    open_both();
}

static void make_change_elsewhere(change which)
{
    unsigned char order = (unsigned char)which;
    int outcome = 0;
    ck_assert_int_eq(write(other_orders, &order, 1), 1);
    close(other_orders);
    ck_assert_int_eq(waitpid(other_process, &outcome, 0), other_process);
    ck_assert_int_eq(outcome, 0);
}

static stele_status end_after(change which)
{
    if (which == MOVE)
        return STELE_ARCHIVED;
    return which == DELETE || which == RECREATE ? STELE_NOT_FOUND : STELE_DONE;
}

START_TEST(open_cursor_of_a_stream_ends_so_and_never_short_or_mixed)
{
    change which = (change)(_i % CHANGES);
    fill_varied("loan-1", EVENTS);
    stele_cursor *forward = open_slowly("loan-1", STELE_FORWARD);
    stele_cursor *backward = open_slowly("loan-1", STELE_BACKWARD);
    next_record(forward);
    ck_assert_int_eq(next_record(forward)->version, 2);
    ck_assert_int_eq(next_record(backward)->version, EVENTS);
    if (_i < CHANGES)
        make_change(which);
    else
        make_change_elsewhere(which);
    int forward_count = 0;
    int backward_count = 0;
    assert_status(drain(forward, &forward_count), end_after(which));
    assert_status(drain(backward, &backward_count), end_after(which));
    bool goes_on = end_after(which) == STELE_DONE;
    ck_assert_int_eq(forward_count, goes_on ? EVENTS - 2 : 0);
    ck_assert_int_eq(backward_count, goes_on ? EVENTS - 1 : 0);
    stele_cursor_close(forward);
    stele_cursor_close(backward);
}
END_TEST

/* What a reader remembers of names must not outlive a deletion. */
START_TEST(open_cursor_of_all_meets_what_is_there_now)
{
    change which = (change)(_i % CHANGES);
    stele_skipped skipped;
    fill_varied("loan-1", EVENTS);
    fill_stream("desk-1", 2);
    tell_stream(NULL); /* names are remembered */
    stele_cursor *cursor = open_slowly(NULL, STELE_FORWARD);
    next_record(cursor);
    next_record(cursor);
    if (_i < CHANGES)
        make_change(which);
    else
        make_change_elsewhere(which);
    const stele_record *record = NULL;
    int loans = 0;
    int desks = 0;
    stele_status status;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        loans += strcmp(record->stream, "loan-1") == 0;
        desks += strcmp(record->stream, "desk-1") == 0;
    }
    assert_status(status, STELE_DONE);
    skipped = stele_cursor_skipped(cursor);
    stele_cursor_close(cursor);
    bool goes_on = end_after(which) == STELE_DONE;
    ck_assert_int_eq(loans, goes_on ? EVENTS - 2 : 0);
    ck_assert_int_eq(desks, 2);
    ck_assert_int_eq(skipped.archived, which == MOVE ? EVENTS - 2 : 0);
    ck_assert_int_eq(skipped.erased, which == DELETE || which == RECREATE ? EVENTS - 2 : 0);
    tell_read(store, NULL, NULL, &skipped);
    ck_assert_int_eq(skipped.erased, which == DELETE || which == RECREATE ? EVENTS : 0);
}
END_TEST

START_TEST(transactions_cursor_sees_its_own_change)
{
    fill_varied("loan-1", EVENTS);
    stele_transaction *transaction = begin();
    stele_read read = STELE_READ_INIT;
    read.stream = "loan-1";
    read.page_count_max = 1;
    stele_cursor *cursor = NULL;
    assert_status(stele_transaction_read(transaction, &read, &cursor), STELE_OK);
    next_record(cursor);
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "loan-1";
    assert_status(stele_transaction_delete(transaction, &call, &changed), STELE_OK);
    int count;
    assert_status(drain(cursor, &count), STELE_NOT_FOUND);
    ck_assert_int_eq(count, 0);
    stele_cursor_close(cursor);
    assert_status(stele_transaction_read(transaction, NULL, &cursor), STELE_OK);
    assert_status(drain(cursor, &count), STELE_DONE);
    ck_assert_int_eq(count, 0);
    ck_assert_int_eq(stele_cursor_skipped(cursor).erased, EVENTS);
    stele_cursor_close(cursor);
    stele_transaction_end(transaction);
    ck_assert_int_eq(version_of("loan-1"), EVENTS);
    tell_stream(NULL);
}
END_TEST

/* --- The list of archived streams --- */

START_TEST(archives_lists_where_payloads_are)
{
    stele_archives *list = NULL;
    const stele_archived *entry = NULL;
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(archive, &info), STELE_OK);
    fill_varied("loan-1", 4);
    fill_varied("loan-2", 2);
    fill_varied("loan-3", 2);
    int64_t id = info_of("loan-1").id;
    assert_status(archive_to("loan-2", archive, NULL), STELE_OK);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(archive_here("loan-3"), STELE_OK);
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "loan-2";
    call.leave_archived = true;
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_delete(transaction, &call, NULL), STELE_OK);
    assert_status(stele_transaction_archives(transaction, &list), STELE_OK);
    assert_status(stele_archives_next(list, &entry), STELE_OK);
    ck_assert_str_eq(entry->stream, "loan-1");
    ck_assert_int_eq(entry->stream_id, id);
    ck_assert_int_eq(entry->first_version, 1);
    ck_assert_int_eq(entry->last_version, 4);
    ck_assert_str_eq(entry->archive, info.uuid);
    ck_assert_str_eq(entry->hint, archive_path());
    ck_assert(!entry->unfinished);
    assert_status(stele_archives_next(list, &entry), STELE_OK);
    ck_assert_ptr_null(entry->stream);
    ck_assert(entry->unfinished);
    assert_status(stele_archives_next(list, &entry), STELE_DONE);
    ck_assert_ptr_null(entry);
    stele_archives_close(list);
    stele_archives_close(NULL);
    stele_transaction_end(transaction);
    assert_status(stele_store_archives(store, &list), STELE_OK);
    assert_status(stele_archives_next(list, &entry), STELE_OK);
    close_store();
    assert_status(stele_archives_next(list, &entry), STELE_CLOSED);
    stele_archives_close(list);
    assert_status(stele_store_archives(NULL, &list), STELE_MISUSE);
    assert_status(stele_archives_next(NULL, &entry), STELE_MISUSE);
    open_in_file();
    assert_status(stele_store_archives(store, NULL), STELE_MISUSE);
}
END_TEST

static Suite *attach_suite(void)
{
    Suite *suite = suite_create("attach");
    TCase *tests = add_lifecycle_case(suite, "attached", open_both);
    tcase_add_test(tests, attached_archive_gives_events_as_if_they_had_never_left);
    tcase_add_test(tests, archive_that_is_only_read_can_be_attached);
    tcase_add_test(tests, attaching_twice_and_detaching_what_is_not_attached_are_fine);
    tcase_add_test(tests, wrong_arguments_are_misuse);
    tcase_add_test(tests, closed_archive_makes_its_reads_closed_and_no_others);
    tcase_add_loop_test(tests, damage_in_an_attached_archive_names_the_position, 0, 4);
    tcase_add_loop_test(tests, filters_see_the_husks_that_they_let_through, 0, 4);
    tests = add_lifecycle_case(suite, "cursors", open_both);
    tcase_add_loop_test(tests, open_cursor_of_a_stream_ends_so_and_never_short_or_mixed, 0,
                        CHANGES);
    tcase_add_loop_test(tests, open_cursor_of_all_meets_what_is_there_now, 0, CHANGES);
    tcase_add_test(tests, transactions_cursor_sees_its_own_change);
    tests = add_lifecycle_case(suite, "another process", open_beside_another_process);
    tcase_add_loop_test(tests, open_cursor_of_a_stream_ends_so_and_never_short_or_mixed, CHANGES,
                        2 * CHANGES);
    tcase_add_loop_test(tests, open_cursor_of_all_meets_what_is_there_now, CHANGES, 2 * CHANGES);
    tests = add_lifecycle_case(suite, "list", open_both);
    tcase_add_test(tests, archives_lists_where_payloads_are);
    return suite;
}

int main(void)
{
    return run_suite(attach_suite());
}
