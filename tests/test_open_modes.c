/* Opening only to look, without migrating, or a file that somebody else has made or cut. */
#define _DEFAULT_SOURCE /* chroot */

#include "contract.h"

#include <stele/jsonl.h>

#include <sys/stat.h>

static void make_file(void)
{
    open_in_file();
    fill_stream("a-1", 3);
    close_store();
}

static int append_and_vanish(void *context)
{
    stele_store *opened = NULL;
    if (stele_store_open(context, NULL, &opened) != STELE_OK
        || append_to(opened, "a-1", STELE_ANY, "left in the WAL", NULL) != STELE_OK)
        return 1;
    return 0;
}

/* As after a crash: one more event, which only the WAL has. */
static void make_file_with_wal(void)
{
    char path[4096];
    make_file();
    snprintf(path, sizeof(path), "%s", store_path());
    ck_assert_int_eq(run_in_child(append_and_vanish, path), 0);
    file_copy wal = load_file(test_path("store.db-wal"));
    ck_assert_uint_gt(wal.size, 0);
    free(wal.data);
}

static stele_options read_only(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    return options;
}

static stele_options without_migration(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.no_migrate = true;
    return options;
}

/* --- Only to look --- */

START_TEST(read_only_store_reads_and_never_changes_the_file)
{
    make_file();
    file_copy before = load_file(store_path());
    stele_options options = read_only();
    store = open_path(store_path(), &options);

    ck_assert_str_eq(positions_of(NULL), "1 2 3");
    ck_assert_int_eq(version_of("a-1"), 3);

    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert(info.read_only);
    close_store();
    expect_unchanged(store_path(), before);
}
END_TEST

START_TEST(read_only_store_reads_what_a_crash_left_in_the_wal)
{
    make_file_with_wal();
    file_copy before = load_file(store_path());
    stele_options options = read_only();
    store = open_path(store_path(), &options);

    ck_assert_str_eq(positions_of(NULL), "1 2 3 4");

    close_store();
    expect_unchanged(store_path(), before);
    open_in_file();
    ck_assert_int_eq(head_of(store), 4);
}
END_TEST

static stele_status give_one_line(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    static const char line[] = "{\"stream\":\"a-1\",\"type\":\"opened\",\"data\":{}}\n";
    bool *given = context;
    ck_assert_uint_ge(capacity, sizeof(line));
    *size_out = *given ? 0 : sizeof(line) - 1;
    memcpy(buffer, line, *size_out);
    *given = true;
    return STELE_OK;
}

START_TEST(writes_to_a_read_only_store_are_refused)
{
    make_file();
    stele_options options = read_only();
    store = open_path(store_path(), &options);
    stele_append empty = make_append("a-1", STELE_ANY, NULL, 0);
    stele_transaction *transaction = (stele_transaction *)&transaction;
    stele_import import = STELE_IMPORT_INIT;
    bool given = false;
    import.read = give_one_line;
    import.context = &given;

    assert_status(append_one("a-1", STELE_ANY, "opened", NULL), STELE_READ_ONLY);
    assert_status(stele_store_append(store, &empty, NULL), STELE_READ_ONLY);
    assert_status(stele_store_append_many(store, &empty, 1, NULL, NULL), STELE_READ_ONLY);
    assert_status(stele_checkpoint_save(store, "reader", 1), STELE_READ_ONLY);
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_READ_ONLY);
    assert_status(stele_store_import(store, &import, NULL), STELE_READ_ONLY);
    assert_status(stele_transaction_begin(store, &transaction), STELE_READ_ONLY);
    ck_assert_ptr_null(transaction);
}
END_TEST

START_TEST(read_only_store_sees_what_a_live_writer_commits)
{
    open_in_file();
    fill_stream("a-1", 1);
    stele_options options = read_only();
    stele_store *looker = open_path(store_path(), &options);
    ck_assert_int_eq(head_of(looker), 1);

    fill_stream("a-1", 2);

    ck_assert_int_eq(head_of(looker), 3);
    stele_store_close(looker);
    fill_stream("a-1", 1);
    ck_assert_int_eq(head_of(store), 4);
}
END_TEST

START_TEST(read_only_creates_and_migrates_nothing)
{
    stele_options options = read_only();
    refuse_path(store_path(), &options, STELE_NOT_FOUND);
    ck_assert(!file_exists(store_path()));

    save_file(store_path(), "", 0);
    refuse_path(store_path(), &options, STELE_UNSUPPORTED);
    expect_unchanged(store_path(), (file_copy){ calloc(1, 1), 0 });
}
END_TEST

START_TEST(immutable_beside_a_wal_is_refused)
{
    make_file_with_wal();
    stele_options options = read_only();
    options.immutable = true;

    refuse_path(store_path(), &options, STELE_UNSUPPORTED);

    assert_reason_has("WAL");
}
END_TEST

/* --- Only to look, where the folder or the file may not be written --- */

enum { CAN_NOT_TRY = 77, WRONG_HEAD = 101, COULD_WRITE = 102 };

/* What opening said, as an exit status: 0, or its negative. */
static int look_as_stranger(void *context)
{
    const stele_options *options = context;
    const char *path = store_path();
    if (geteuid() == 0) {
        path = "/store.db";
        if (chroot(test_folder()) != 0 || chdir("/") != 0 || setgid(65534) != 0
            || setuid(65534) != 0)
            return CAN_NOT_TRY;
    }
    stele_store *opened = NULL;
    stele_status status = stele_store_open(path, options, &opened);
    if (status != STELE_OK)
        return -(int)status;
    int64_t head = 0;
    if (stele_store_head(opened, &head) != STELE_OK || head != 3)
        return WRONG_HEAD;
    if (append_to(opened, "a-1", STELE_ANY, "opened", NULL) == STELE_OK)
        return COULD_WRITE;
    stele_store_close(opened);
    return 0;
}

static void set_modes(mode_t of_folder, mode_t of_file)
{
    ck_assert_int_eq(chmod(store_path(), of_file), 0);
    ck_assert_int_eq(chmod(test_folder(), of_folder), 0);
}

START_TEST(read_only_file_can_be_read)
{
    make_file();
    file_copy before = load_file(store_path());
    set_modes(0777, 0444);
    stele_options options = read_only();

    int result = run_in_child(look_as_stranger, &options);

    if (result == CAN_NOT_TRY)
        skip_test("this process can't become another user");
    ck_assert_int_eq(result, 0);
    expect_unchanged(store_path(), before);
}
END_TEST

START_TEST(file_that_can_not_be_written_is_not_opened_for_writing)
{
    make_file();
    file_copy before = load_file(store_path());
    set_modes(0777, 0444);
    stele_options options = STELE_OPTIONS_INIT;

    int result = run_in_child(look_as_stranger, &options);

    if (result == CAN_NOT_TRY)
        skip_test("this process can't become another user");
    ck_assert_int_ne(result, 0);
    ck_assert_int_lt(result, CAN_NOT_TRY);
    expect_unchanged(store_path(), before);
}
END_TEST

/* SQLite needs a -shm file there to read at all, unless it is promised that nobody writes. */
START_TEST(unwritable_folder_needs_immutable)
{
    make_file();
    file_copy before = load_file(store_path());
    set_modes(0555, 0444);
    stele_options options = read_only();

    int refused = run_in_child(look_as_stranger, &options);
    options.immutable = true;
    int admitted = run_in_child(look_as_stranger, &options);

    set_modes(0700, 0600);
    if (refused == CAN_NOT_TRY)
        skip_test("this process can't become another user");
    ck_assert_int_eq(refused, -(int)STELE_UNSUPPORTED);
    ck_assert_int_eq(admitted, 0);
    expect_unchanged(store_path(), before);
}
END_TEST

/* --- Migrations --- */

START_TEST(new_file_is_unsupported_without_migration_and_leaves_nothing)
{
    stele_options options = without_migration();

    refuse_path(store_path(), &options, STELE_UNSUPPORTED);

    ck_assert(!file_exists(store_path()));
    ck_assert(!file_exists(test_path("store.db-wal")));
}
END_TEST

START_TEST(empty_file_is_unsupported_without_migration_and_stays_so)
{
    save_file(store_path(), "", 0);
    stele_options options = without_migration();

    refuse_path(store_path(), &options, STELE_UNSUPPORTED);

    expect_unchanged(store_path(), (file_copy){ calloc(1, 1), 0 });
}
END_TEST

START_TEST(migrating_creates_a_file_and_a_second_time_changes_nothing)
{
    assert_status(stele_store_migrate(store_path(), NULL), STELE_OK);
    file_copy before = load_file(store_path());

    assert_status(stele_store_migrate(store_path(), NULL), STELE_OK);

    expect_unchanged(store_path(), before);
    stele_options options = without_migration();
    store = open_path(store_path(), &options);
    fill_stream("a-1", 1);
}
END_TEST

START_TEST(migrating_what_may_not_be_migrated_is_misuse)
{
    stele_options options = without_migration();
    assert_status(stele_store_migrate(store_path(), &options), STELE_MISUSE);
    options = read_only();
    assert_status(stele_store_migrate(store_path(), &options), STELE_MISUSE);
    assert_status(stele_store_migrate(NULL, NULL), STELE_MISUSE);

    ck_assert(!file_exists(store_path()));
}
END_TEST

START_TEST(tables_made_by_hand_from_our_sql_are_a_store)
{
    ck_assert_ptr_eq(stele_schema_sql(), stele_schema_sql());
    run_sql(store_path(), stele_schema_sql());
    stele_options options = without_migration();

    store = open_path(store_path(), &options);

    fill_stream("a-1", 2);
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert_uint_eq(strlen(info.uuid), 36);
    ck_assert(!info.foreign_objects);
    close_store();
    store = open_path(store_path(), &options);
    ck_assert_str_eq(positions_of(NULL), "1 2");
}
END_TEST

START_TEST(newer_format_is_unsupported_and_left_alone)
{
    make_file();
    run_sql(store_path(), "PRAGMA user_version = 2");
    file_copy before = load_file(store_path());
    stele_options options = read_only();

    refuse_path(store_path(), NULL, STELE_UNSUPPORTED);
    assert_reason_has("2");
    refuse_path(store_path(), &options, STELE_UNSUPPORTED);

    expect_unchanged(store_path(), before);
}
END_TEST

/* --- What is not ours --- */

static const char *const foreign_files[] = {
    "CREATE TABLE things(n); INSERT INTO things VALUES(1)",
    "CREATE TABLE things(n); PRAGMA application_id = 4711",
    "CREATE TABLE events(position); CREATE TABLE streams(name)",
    "PRAGMA application_id = 4711",
    "CREATE TABLE things(n); PRAGMA user_version = 1",
    "CREATE TABLE things(n); PRAGMA application_id = 0x5354454C; PRAGMA user_version = 1",
    "PRAGMA application_id = 0x5354454C; PRAGMA user_version = 1",
    "CREATE TABLE things(n); PRAGMA application_id = 0x5354454C",
    "CREATE TABLE things(n); PRAGMA application_id = 0x5354454C; PRAGMA user_version = -1",
};

START_TEST(foreign_database_is_refused_and_left_alone)
{
    run_sql(store_path(), foreign_files[_i]);
    file_copy before = load_file(store_path());
    stele_options options = read_only();

    refuse_path(store_path(), NULL, STELE_CORRUPT);
    refuse_path(store_path(), &options, STELE_CORRUPT);

    expect_unchanged(store_path(), before);
    ck_assert(!file_exists(test_path("store.db-journal")));
}
END_TEST

START_TEST(file_that_is_no_database_is_refused_and_left_alone)
{
    const size_t sizes[] = { 1, 5, 99, 100, 512, 4096, 10000 };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char text[10000];
        memset(text, 'x', sizeof(text));
        save_file(store_path(), text, sizes[i]);
        file_copy before = load_file(store_path());

        refuse_path(store_path(), NULL, STELE_CORRUPT);

        expect_unchanged(store_path(), before);
    }
}
END_TEST

/* SQLite takes an empty file for a new one, and deletes the WAL with all that is in it. */
START_TEST(empty_or_missing_database_beside_a_wal_is_refused)
{
    make_file_with_wal();
    file_copy wal = load_file(test_path("store.db-wal"));
    save_file(store_path(), "", 0);

    refuse_path(store_path(), NULL, STELE_CORRUPT);
    assert_reason_has("WAL");
    ck_assert_int_eq(unlink(store_path()), 0);
    refuse_path(store_path(), NULL, STELE_CORRUPT);

    expect_unchanged(test_path("store.db-wal"), wal);
}
END_TEST

START_TEST(crashed_writer_loses_nothing_that_it_had_committed)
{
    make_file_with_wal();

    open_in_file();

    ck_assert_str_eq(positions_of(NULL), "1 2 3 4");
    assert_status(append_one("a-1", 4, "went on", NULL), STELE_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("open modes");
    TCase *tests = add_case(suite, "file", NULL);
    tcase_add_test(tests, read_only_store_reads_and_never_changes_the_file);
    tcase_add_test(tests, read_only_store_reads_what_a_crash_left_in_the_wal);
    tcase_add_test(tests, writes_to_a_read_only_store_are_refused);
    tcase_add_test(tests, read_only_store_sees_what_a_live_writer_commits);
    tcase_add_test(tests, read_only_creates_and_migrates_nothing);
    tcase_add_test(tests, immutable_beside_a_wal_is_refused);
    tcase_add_test(tests, read_only_file_can_be_read);
    tcase_add_test(tests, file_that_can_not_be_written_is_not_opened_for_writing);
    tcase_add_test(tests, unwritable_folder_needs_immutable);
    tcase_add_test(tests, new_file_is_unsupported_without_migration_and_leaves_nothing);
    tcase_add_test(tests, empty_file_is_unsupported_without_migration_and_stays_so);
    tcase_add_test(tests, migrating_creates_a_file_and_a_second_time_changes_nothing);
    tcase_add_test(tests, migrating_what_may_not_be_migrated_is_misuse);
    tcase_add_test(tests, tables_made_by_hand_from_our_sql_are_a_store);
    tcase_add_test(tests, newer_format_is_unsupported_and_left_alone);
    tcase_add_loop_test(tests, foreign_database_is_refused_and_left_alone, 0,
                        (int)COUNT_OF(foreign_files));
    tcase_add_test(tests, file_that_is_no_database_is_refused_and_left_alone);
    tcase_add_test(tests, empty_or_missing_database_beside_a_wal_is_refused);
    tcase_add_test(tests, crashed_writer_loses_nothing_that_it_had_committed);
    return run_suite(suite);
}
