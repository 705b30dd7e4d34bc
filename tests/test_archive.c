/* Archiving a stream: in place, and into another store. */
#include "lifecycles.h"

static stele_archive asked(const char *stream)
{
    stele_archive call = STELE_ARCHIVE_INIT;
    call.stream = stream;
    return call;
}

static stele_status ask(stele_archive call)
{
    return stele_store_archive(store, &call, &changed);
}

/* --- What it does --- */

START_TEST(archived_stream_refuses_appends_and_stays_readable)
{
    fill_varied("loan-1", 5);
    const char *before = tell_stream("loan-1");
    assert_status(archive_here("loan-1"), STELE_OK);
    ck_assert(changed.changed && changed.finished);
    ck_assert_int_eq(changed.version, 5);
    ck_assert_int_eq(changed.position, 6);
    ck_assert_int_eq(changed.events, 0);
    assert_status(append_one("loan-1", STELE_ANY, "noted", NULL), STELE_ARCHIVED);
    ck_assert_str_eq(tell_stream("loan-1"), before);
}
END_TEST

START_TEST(archiving_again_changes_nothing)
{
    fill_stream("loan-1", 2);
    assert_status(archive_here("loan-1"), STELE_OK);
    int64_t head = head_of(store);
    assert_status(archive_here("loan-1"), STELE_OK);
    ck_assert(!changed.changed && changed.finished);
    ck_assert_int_eq(changed.position, 0);
    ck_assert_int_eq(changed.version, 2);
    ck_assert_int_eq(head_of(store), head);
}
END_TEST

START_TEST(archiving_appends_one_event_that_names_the_stream_by_its_id)
{
    fill_stream("other-1", 1);
    fill_stream("loan-1", 2);
    stele_archive call = asked("loan-1");
    call.reason = "secret reason";
    assert_status(ask(call), STELE_OK);
    ck_assert_int_eq(change_count(), 1);
    char expected[200];
    snprintf(expected, sizeof(expected),
             "stream-archived {\"stream_id\":%" PRId64 ",\"version\":2}", info_of("loan-1").id);
    ck_assert_str_eq(last_change(), expected);
    ck_assert_str_eq(info_of("loan-1").reason, "secret reason");

    fill_stream("loan-2", 3);
    assert_status(archive_to("loan-2", archive, NULL), STELE_OK);
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(archive, &info), STELE_OK);
    snprintf(expected, sizeof(expected),
             "stream-archived {\"stream_id\":%" PRId64 ",\"version\":3,\"archive\":\"%s\"}",
             info_of("loan-2").id, info.uuid);
    ck_assert_str_eq(last_change(), expected);
    ck_assert_int_eq(change_count(), 2);
}
END_TEST

START_TEST(record_has_the_id_that_changes_name)
{
    fill_stream("loan-1", 1);
    stele_cursor *cursor = NULL;
    ck_assert_int_eq(read_only_record("loan-1", &cursor)->stream_id, info_of("loan-1").id);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(moved_payloads_are_in_the_archive_alone_and_outside_its_log)
{
    fill_varied("loan-1", 7);
    fill_varied("loan-2", 2);
    const char *other = tell_stream("loan-2");
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    ck_assert(changed.changed && changed.finished);
    ck_assert_int_eq(changed.events, 7);
    ck_assert_int_gt(changed.bytes, 0);
    ck_assert_int_eq(head_of(archive), 0);
    stele_stream_info info = info_of("loan-1");
    ck_assert(info.moved && !info.unfinished);
    ck_assert_int_eq(info.version, 7);
    ck_assert_str_eq(tell_stream("loan-2"), other);
    stele_store_info facts = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(archive, &facts), STELE_OK);
    ck_assert_int_eq(facts.kept, 7);
    assert_status(stele_store_describe(store, &facts), STELE_OK);
    ck_assert_int_eq(facts.archived, 7);
    ck_assert_int_eq(facts.unfinished, 0);
    close_store();
    close_archive();
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM events WHERE stream = 1"
                                              " AND data IS NULL AND payload_hash <> 0"),
                     7);
    ck_assert_int_eq(sql_number(archive_path(), "SELECT count(*) FROM kept_events"), 7);
}
END_TEST

START_TEST(stream_archived_in_place_may_be_moved_later)
{
    fill_varied("loan-1", 3);
    assert_status(archive_here("loan-1"), STELE_OK);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    ck_assert(changed.changed);
    ck_assert_int_eq(changed.events, 3);
    ck_assert(info_of("loan-1").moved);
    ck_assert_int_eq(change_count(), 2);
}
END_TEST

START_TEST(one_archive_keeps_streams_of_many_stores)
{
    stele_store *first = store;
    fill_varied("loan-1", 3);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    const char *path = test_path("second.db");
    store = open_path(path, NULL);
    fill_stream("loan-1", 4);
    const char *before = tell_stream("loan-1");
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(stele_store_attach(store, archive), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    close_store();
    store = first;
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    ck_assert_int_eq(changed.events, 3);
}
END_TEST

START_TEST(steps_of_any_size_move_the_same)
{
    static const uint32_t sizes[] = { 1, 10, 100, 1000000 };
    fill_varied("loan-1", 12);
    const char *before = tell_stream("loan-1");
    stele_work work = STELE_WORK_INIT;
    work.step_size_max = sizes[_i];
    assert_status(archive_to("loan-1", archive, &work), STELE_OK);
    ck_assert_int_eq(changed.events, 12);
    assert_status(restore_from("loan-1", archive, &work), STELE_OK);
    ck_assert_int_eq(changed.events, 12);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    assert_whole(store);
}
END_TEST

/* --- Its parts --- */

typedef struct parts {
    char text[256];
    uint64_t done;
    uint64_t total;
} parts;

static int note_parts(void *context, const stele_progress *progress)
{
    parts *seen = context;
    size_t size = strlen(seen->text);
    if (size < strlen(progress->doing)
        || strcmp(seen->text + size - strlen(progress->doing), progress->doing) != 0)
        snprintf(seen->text + size, sizeof(seen->text) - size, "%s%s", size > 0 ? ", " : "",
                 progress->doing);
    seen->done = progress->done;
    seen->total = progress->total;
    return 0;
}

START_TEST(progress_tells_each_part)
{
    parts seen = { "", 0, 0 };
    stele_work work = small_steps(NULL);
    work.progress = note_parts;
    work.context = &seen;
    fill_stream("loan-1", 3);
    assert_status(archive_to("loan-1", archive, &work), STELE_OK);
    ck_assert_str_eq(seen.text, "copying, comparing, replacing");
    ck_assert_uint_eq(seen.done, 3);
    ck_assert_uint_eq(seen.total, 3);
    seen = (parts){ "", 0, 0 };
    assert_status(restore_from("loan-1", archive, &work), STELE_OK);
    ck_assert_str_eq(seen.text, "bringing back, dropping copies");
    seen = (parts){ "", 0, 0 };
    assert_status(delete_with("loan-1", NULL, &work), STELE_OK);
    ck_assert_str_eq(seen.text, "erasing");
}
END_TEST

static const char *const move_parts[] = { "copying", "comparing", "replacing" };

START_TEST(cancelled_part_is_gone_on_with_by_the_same_call)
{
    cut at = { move_parts[_i % 3], _i / 3, 0 };
    stele_work work = small_steps(&at);
    fill_varied("loan-1", 4);
    const char *before = tell_stream("loan-1");
    assert_status(archive_to("loan-1", archive, &work), STELE_CANCELLED);
    ck_assert(changed.changed && !changed.finished);
    ck_assert(info_of("loan-1").unfinished);
    assert_status(stele_store_attach(store, archive), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    assert_status(append_one("loan-1", STELE_ANY, "noted", NULL), STELE_ARCHIVED);

    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    ck_assert(!changed.changed && changed.finished);
    ck_assert(!info_of("loan-1").unfinished);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    ck_assert_int_eq(change_count(), 1);
}
END_TEST

START_TEST(cancelled_part_may_be_restored_instead)
{
    cut at = { move_parts[_i % 3], _i / 3, 0 };
    stele_work work = small_steps(&at);
    fill_varied("loan-1", 4);
    const char *before = tell_stream("loan-1");
    assert_status(archive_to("loan-1", archive, &work), STELE_CANCELLED);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    ck_assert(changed.changed && changed.finished);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    assert_status(append_one("loan-1", 4, "noted", NULL), STELE_OK);
    close_archive();
    ck_assert_int_eq(sql_number(archive_path(), "SELECT count(*) FROM kept_streams"), 0);
    ck_assert_int_eq(sql_number(archive_path(), "SELECT count(*) FROM kept_events"), 0);
}
END_TEST

/* --- Damage --- */

START_TEST(damaged_payload_is_corrupt_and_nothing_is_taken_away)
{
    fill_stream("loan-1", 5);
    close_store();
    run_sql(store_path(), "UPDATE events SET data = '{\"n\":9}' WHERE position = 3");
    open_in_file();
    assert_status(archive_to("loan-1", archive, NULL), STELE_CORRUPT);
    assert_reason_has("position 3");
    stele_status end;
    ck_assert_ptr_nonnull(strstr(tell_read(store, "loan-1", &end, NULL), "{\"n\":2}"));
    assert_status(end, STELE_CORRUPT);
    /* The way out. */
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    ck_assert_int_eq(info_of("loan-1").state, STELE_STREAM_ACTIVE);
}
END_TEST

/* Copied, and then damaged there. */
static void damage_copies(const char *sql)
{
    cut at = { "comparing", 0, 0 };
    stele_work work = small_steps(&at);
    fill_stream("loan-1", 5);
    assert_status(archive_to("loan-1", archive, &work), STELE_CANCELLED);
    close_archive();
    run_sql(archive_path(), sql);
    open_archive();
}

START_TEST(copy_that_came_back_different_takes_nothing_away)
{
    static const char *const damages[] = {
        "UPDATE kept_events SET data = '{\"n\":9}' WHERE version = 3",
        "UPDATE kept_events SET payload_hash = 7 WHERE version = 3",
        "DELETE FROM kept_events WHERE version = 3",
        "DELETE FROM kept_events",
        "DELETE FROM kept_streams",
    };
    damage_copies(damages[_i]);
    const char *before = tell_stream("loan-1");
    stele_status status = archive_to("loan-1", archive, NULL);
    if (_i == 3) { /* nothing is there: it is copied again */
        assert_status(status, STELE_OK);
        return;
    }
    assert_status(status, STELE_CORRUPT);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    /* The way out. */
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    assert_status(append_one("loan-1", 5, "noted", NULL), STELE_OK);
}
END_TEST

/* --- Other ways to open --- */

START_TEST(stores_in_memory_archive_into_one_another)
{
    stele_store *first = open_path(":memory:", NULL);
    stele_store *second = open_path(":memory:", NULL);
    store = first;
    fill_varied("loan-1", 6);
    const char *before = tell_stream("loan-1");
    assert_status(archive_to("loan-1", second, NULL), STELE_OK);
    assert_status(stele_store_attach(store, second), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    assert_status(restore_from("loan-1", NULL, NULL), STELE_OK); /* the attached one */
    ck_assert_str_eq(tell_stream("loan-1"), before);
    stele_store_close(second);
}
END_TEST

START_TEST(relaxed_store_archives_into_a_durable_one)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    store = open_path(store_path(), &options);
    open_archive();
    fill_varied("loan-1", 6);
    const char *before = tell_stream("loan-1");
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    assert_status(delete_it("loan-1"), STELE_OK);
    fill_stream("loan-2", 2);
}
END_TEST

START_TEST(wrapped_store_archives_and_is_an_archive)
{
    sqlite3 *handles[2] = { NULL, NULL };
    ck_assert_int_eq(sqlite3_open(store_path(), &handles[0]), SQLITE_OK);
    ck_assert_int_eq(sqlite3_open(archive_path(), &handles[1]), SQLITE_OK);
    assert_status(stele_store_wrap(handles[0], NULL, &store), STELE_OK);
    assert_status(stele_store_wrap(handles[1], NULL, &archive), STELE_OK);
    fill_varied("loan-1", 6);
    const char *before = tell_stream("loan-1");
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(stele_store_attach(store, archive), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    close_store();
    close_archive();
    ck_assert_int_eq(sqlite3_close(handles[0]), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(handles[1]), SQLITE_OK);
}
END_TEST

static Suite *archive_suite(void)
{
    Suite *suite = suite_create("archive");
    TCase *tests = add_lifecycle_case(suite, "what", open_both);
    tcase_add_test(tests, archived_stream_refuses_appends_and_stays_readable);
    tcase_add_test(tests, archiving_again_changes_nothing);
    tcase_add_test(tests, archiving_appends_one_event_that_names_the_stream_by_its_id);
    tcase_add_test(tests, record_has_the_id_that_changes_name);
    tcase_add_test(tests, moved_payloads_are_in_the_archive_alone_and_outside_its_log);
    tcase_add_test(tests, stream_archived_in_place_may_be_moved_later);
    tcase_add_test(tests, one_archive_keeps_streams_of_many_stores);
    tcase_add_loop_test(tests, steps_of_any_size_move_the_same, 0, 4);
    tcase_add_test(tests, progress_tells_each_part);
    tcase_add_loop_test(tests, cancelled_part_is_gone_on_with_by_the_same_call, 0, 12);
    tcase_add_loop_test(tests, cancelled_part_may_be_restored_instead, 0, 12);
    tests = add_lifecycle_case(suite, "damage", open_both);
    tcase_add_test(tests, damaged_payload_is_corrupt_and_nothing_is_taken_away);
    tcase_add_loop_test(tests, copy_that_came_back_different_takes_nothing_away, 0, 5);
    tests = add_lifecycle_case(suite, "ways to open", NULL);
    tcase_add_test(tests, stores_in_memory_archive_into_one_another);
    tcase_add_test(tests, relaxed_store_archives_into_a_durable_one);
    tcase_add_test(tests, wrapped_store_archives_and_is_an_archive);
    return suite;
}

int main(void)
{
    return run_suite(archive_suite());
}
