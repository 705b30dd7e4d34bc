/* Opening a file: what is created, what is accepted, and what is refused without a trace. */
#include "contract.h"

#include <fcntl.h>
#include <sys/stat.h>

static stele_options make_options(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    return options;
}

static unsigned mode_of(const char *path)
{
    struct stat facts;
    ck_assert_int_eq(stat(path, &facts), 0);
    return (unsigned)facts.st_mode & 07777;
}

static stele_store_info describe(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    return info;
}

/* Nothing of ours is left beside `path`. */
static void expect_alone(const char *path)
{
    char beside[4096];
    const char *suffixes[] = { "-wal", "-shm", "-journal" };
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        snprintf(beside, sizeof(beside), "%s%s", path, suffixes[i]);
        ck_assert_msg(!file_exists(beside), "'%s' was left", beside);
    }
}

/* --- A new file --- */

START_TEST(new_file_is_its_owners_alone_whatever_the_umask)
{
    const mode_t masks[] = { 0, 022, 077, 0777 };
    for (size_t i = 0; i < COUNT_OF(masks); i++) {
        char name[16];
        snprintf(name, sizeof(name), "new-%zu.db", i);
        mode_t before = umask(masks[i]);
        stele_store *opened = NULL;
        stele_status status = stele_store_open(test_path(name), NULL, &opened);
        umask(before);
        assert_status(status, STELE_OK);
        assert_status(append_to(opened, "a-1", STELE_ANY, "opened", NULL), STELE_OK);

        ck_assert_uint_eq(mode_of(test_path(name)), 0600);
        char wal[32];
        snprintf(wal, sizeof(wal), "%s-wal", name);
        ck_assert_uint_eq(mode_of(test_path(wal)), 0600);
        stele_store_close(opened);
        ck_assert_uint_eq(mode_of(test_path(name)), 0600);
    }
}
END_TEST

START_TEST(file_is_laid_out_as_the_format_says)
{
    open_in_file();
    fill_stream("a-1", 3);
    close_store();

    sqlite3 *raw = open_raw(store_path());
    ck_assert_int_eq(raw_number(raw, "PRAGMA page_size"), 4096);
    ck_assert_int_eq(raw_number(raw, "PRAGMA auto_vacuum"), 2);
    ck_assert_int_eq(raw_number(raw, "PRAGMA application_id"), 0x5354454C);
    ck_assert_int_eq(raw_number(raw, "PRAGMA user_version"), STELE_FORMAT);
    ck_assert_int_eq(raw_number(raw, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    ck_assert_int_eq(raw_number(raw, "SELECT encoding = 'UTF-8' FROM pragma_encoding"), 1);
    ck_assert_int_eq(raw_number(raw, "SELECT count(*) FROM pragma_table_list"
                                     " WHERE schema = 'main' AND type = 'table' AND strict = 0"
                                     " AND name NOT LIKE 'sqlite_%'"),
                     0);
    ck_assert_int_eq(raw_number(raw, "SELECT count(*) FROM pragma_integrity_check"
                                     " WHERE integrity_check <> 'ok'"),
                     0);
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
}
END_TEST

START_TEST(json_is_text_to_the_sql_shell_and_other_codecs_are_not)
{
    open_in_file();
    fill_stream("a-1", 1);
    stele_event event = make_event("noted", "raw");
    event.codec = "raw";
    assert_status(append_event("a-1", &event), STELE_OK);
    close_store();

    ck_assert_int_eq(sql_number(store_path(), "SELECT json_extract(data, '$.n') FROM events"
                                              " WHERE position = 1"),
                     1);
    ck_assert_int_eq(sql_number(store_path(), "SELECT typeof(data) = 'blob' FROM events"
                                              " WHERE position = 2"),
                     1);
}
END_TEST

START_TEST(closed_store_is_one_file)
{
    open_in_file();
    fill_stream("a-1", 20);
    close_store();

    expect_alone(store_path());
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM events"), 20);
}
END_TEST

START_TEST(file_of_no_bytes_is_taken_as_new)
{
    save_file(store_path(), "", 0);

    open_in_file();

    fill_stream("a-1", 2);
    reopen_file();
    ck_assert_str_eq(positions_of(NULL), "1 2");
}
END_TEST

START_TEST(reopening_keeps_everything)
{
    open_in_file();
    fill_stream("a-1", 3);
    fill_stream("b-1", 2);
    assert_status(stele_checkpoint_save(store, "reader", 4), STELE_OK);
    stele_store_info before = describe();

    reopen_file();

    stele_store_info after = describe();
    stele_checkpoint checkpoint = { 0 };
    assert_status(stele_checkpoint_load(store, "reader", &checkpoint), STELE_OK);
    ck_assert_int_eq(checkpoint.position, 4);
    ck_assert_str_eq(after.uuid, before.uuid);
    ck_assert_str_eq(after.epoch, before.epoch);
    ck_assert_str_eq(positions_of(NULL), "1 2 3 4 5");
    ck_assert_int_eq(version_of("a-1"), 3);
    assert_status(append_one("b-1", 2, "went on", NULL), STELE_OK);
    ck_assert_int_eq(head_of(store), 6);
}
END_TEST

/* --- Facts --- */

START_TEST(description_tells_the_facts)
{
    open_in_file();
    fill_stream("a-1", 3);
    fill_stream("b-1", 2);

    stele_store_info info = describe();

    ck_assert_uint_eq(strlen(info.uuid), 36);
    ck_assert_uint_eq(strlen(info.epoch), 36);
    ck_assert_str_ne(info.uuid, info.epoch);
    ck_assert_uint_eq(info.format, STELE_FORMAT);
    ck_assert_int_eq(info.head, 5);
    ck_assert_int_eq(info.events, 5);
    ck_assert_int_eq(info.streams, 2);
    ck_assert_int_eq(info.types, 1);
    ck_assert_int_gt(info.file_bytes, 4096);
    ck_assert_int_eq(info.file_bytes % 4096, 0);
    ck_assert_int_gt(info.wal_bytes, 0);
    ck_assert_uint_ge(info.connections, 1);
    ck_assert_int_eq(info.durability, STELE_DURABILITY_FULL);
    int version = sqlite3_libversion_number();
    if (version < 3044000)
        ck_assert_int_eq(info.wal_reset, STELE_WAL_RESET_GUARDED);
    if (version >= 3053000)
        ck_assert_int_eq(info.wal_reset, STELE_WAL_RESET_FIXED);
    ck_assert(!info.read_only);
    ck_assert(!info.memory);
    ck_assert(!info.foreign_objects);
}
END_TEST

START_TEST(new_store_describes_itself_as_empty)
{
    store = open_path(":memory:", NULL);

    stele_store_info info = describe();

    ck_assert_int_eq(info.head, 0);
    ck_assert_int_eq(info.events, 0);
    ck_assert_int_eq(info.streams, 0);
    ck_assert_int_eq(info.wal_bytes, 0);
    ck_assert(info.memory);
}
END_TEST

START_TEST(description_fills_no_more_than_the_caller_has)
{
    store = open_path(":memory:", NULL);
    fill_stream("a-1", 1);
    stele_store_info info = STELE_STORE_INFO_INIT;
    info.struct_size = offsetof(stele_store_info, events);
    info.events = 77;

    assert_status(stele_store_describe(store, &info), STELE_OK);

    ck_assert_int_eq(info.head, 1);
    ck_assert_int_eq(info.events, 77);
    info.struct_size = 0;
    assert_status(stele_store_describe(store, &info), STELE_MISUSE);
    assert_status(stele_store_describe(store, NULL), STELE_MISUSE);
    assert_status(stele_store_describe(NULL, &info), STELE_MISUSE);
}
END_TEST

START_TEST(memory_stores_are_private)
{
    stele_store *first = open_path(":memory:", NULL), *second = open_path(":memory:", NULL);
    assert_status(append_to(first, "a-1", STELE_NO_STREAM, "opened", NULL), STELE_OK);

    assert_status(append_to(second, "a-1", STELE_NO_STREAM, "opened", NULL), STELE_OK);

    ck_assert_int_eq(head_of(first), 1);
    ck_assert(!file_exists(":memory:"));
    stele_store_close(first);
    stele_store_close(second);
}
END_TEST

START_TEST(two_handles_of_one_file_are_one_store)
{
    open_in_file();
    stele_store *second = open_path(store_path(), NULL);
    assert_status(append_one("a-1", STELE_NO_STREAM, "opened", NULL), STELE_OK);

    assert_status(append_to(second, "a-1", STELE_NO_STREAM, "opened", NULL), STELE_CONFLICT);
    assert_status(append_to(second, "a-1", 1, "went on", NULL), STELE_OK);
    assert_status(append_one("a-1", 2, "went on", NULL), STELE_OK);

    ck_assert_int_eq(head_of(second), 3);
    stele_store_close(second);
    assert_status(append_one("a-1", 3, "went on", NULL), STELE_OK);
}
END_TEST

/* --- Paths --- */

START_TEST(path_that_is_a_link_is_misuse)
{
    open_in_file();
    close_store();
    ck_assert_int_eq(symlink(store_path(), test_path("link.db")), 0);
    ck_assert_int_eq(symlink(test_path("nowhere.db"), test_path("dangling.db")), 0);

    refuse_path(test_path("link.db"), NULL, STELE_MISUSE);
    assert_reason_has("link.db");
    refuse_path(test_path("dangling.db"), NULL, STELE_MISUSE);

    ck_assert(!file_exists(test_path("nowhere.db")));
}
END_TEST

START_TEST(folder_that_is_a_link_is_resolved)
{
    ck_assert_int_eq(mkdir(test_path("folder"), 0700), 0);
    ck_assert_int_eq(symlink(test_path("folder"), test_path("link")), 0);

    store = open_path(test_path("link/store.db"), NULL);

    fill_stream("a-1", 1);
    close_store();
    ck_assert(file_exists(test_path("folder/store.db")));
}
END_TEST

START_TEST(relative_path_stays_what_it_was)
{
    char before[4096];
    ck_assert_ptr_nonnull(getcwd(before, sizeof(before)));
    ck_assert_int_eq(chdir(test_folder()), 0);
    store = open_path("relative.db", NULL);
    ck_assert_int_eq(chdir(before), 0);

    /* Readers are opened later than the store, from where the program is by then. */
    fill_stream("a-1", 2);
    ck_assert_str_eq(positions_of(NULL), "1 2");

    ck_assert(file_exists(test_path("relative.db")));
}
END_TEST

START_TEST(paths_that_name_no_store_are_refused)
{
    char uri[4096];
    snprintf(uri, sizeof(uri), "file:%s", store_path());

    refuse_path(uri, NULL, STELE_MISUSE);
    refuse_path(NULL, NULL, STELE_MISUSE);
    refuse_path("", NULL, STELE_MISUSE);
    refuse_path(test_folder(), NULL, STELE_MISUSE);
    refuse_path(test_path("missing/store.db"), NULL, STELE_NOT_FOUND);
    assert_reason_has("missing");

    assert_status(stele_store_open(store_path(), NULL, NULL), STELE_MISUSE);
    ck_assert(!file_exists(store_path()));
    stele_store_close(NULL);
}
END_TEST

START_TEST(names_with_a_meaning_in_uris_are_plain_names)
{
    const char *names[] = { "a?mode=ro", "a#b", "100%25", "with blank", "\xC3\xA9.db", "'quote" };
    stele_options options = make_options();
    options.read_only = options.immutable = true;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        store = open_path(test_path(names[i]), NULL);
        fill_stream("a-1", (int)i + 1);
        close_store();
        ck_assert(file_exists(test_path(names[i])));
        store = open_path(test_path(names[i]), &options);
        ck_assert_int_eq(head_of(store), (int)i + 1);
        close_store();
    }
}
END_TEST

START_TEST(missing_file_is_not_created_when_it_must_exist)
{
    stele_options options = make_options();
    options.must_exist = true;
    refuse_path(store_path(), &options, STELE_NOT_FOUND);
    ck_assert(!file_exists(store_path()));

    open_in_file();
    fill_stream("a-1", 1);
    close_store();
    store = open_path(store_path(), &options);

    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

/* --- Options --- */

START_TEST(options_out_of_range_are_misuse)
{
    stele_options bad[9];
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        bad[i] = make_options();
    bad[0].struct_size = 0;
    bad[1].event_size_max = 64 * 1024 * 1024 + 1;
    bad[2].event_size_max = 0;
    bad[3].reader_max = 0;
    memset(&bad[4].durability, 0x7F, sizeof(bad[4].durability));
    bad[5].immutable = true;
    bad[6].wal_soft_pages = 0;
    bad[7].value_size_max = 64 * 1024 * 1024 + 1;
    bad[8].value_size_max = 0;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        refuse_path(store_path(), &bad[i], STELE_MISUSE);

    ck_assert(!file_exists(store_path()));
}
END_TEST

START_TEST(limits_of_sizes_are_allowed_themselves)
{
    for (int i = 0; i < 2; i++) {
        stele_options options = make_options();
        options.event_size_max = options.value_size_max = i == 0 ? 1 : 64 * 1024 * 1024;
        stele_store_close(open_path(store_path(), &options));
    }
}
END_TEST

START_TEST(smaller_options_of_an_older_program_get_defaults)
{
    stele_options options = make_options();
    options.struct_size = offsetof(stele_options, read_only);
    options.read_only = options.must_exist = true;
    options.reader_max = 0;
    options.value_size_max = 0;

    store = open_path(store_path(), &options);

    fill_stream("a-1", 1);
    ck_assert(!describe().read_only);
}
END_TEST

START_TEST(init_function_does_as_the_initializer)
{
    stele_options by_function;
    stele_options by_macro = STELE_OPTIONS_INIT;

    stele_options_init(&by_function);

    ck_assert_uint_eq(by_function.struct_size, by_macro.struct_size);
    ck_assert_uint_eq(by_function.busy_timeout_ms, 5000);
    ck_assert_uint_eq(by_function.event_size_max, 1024 * 1024);
    ck_assert_uint_eq(by_function.value_size_max, 16 * 1024 * 1024);
    ck_assert_int_eq(by_function.durability, STELE_DURABILITY_FULL);
    ck_assert_uint_eq(by_function.wal_soft_pages, 8000);
    ck_assert_uint_eq(by_function.reader_max, 16);
    ck_assert(!by_function.read_only && !by_function.immutable && !by_function.must_exist);
    ck_assert(!by_function.no_migrate && !by_function.strict_schema);
    ck_assert(by_function.clock == NULL && by_function.clock_context == NULL);
}
END_TEST

START_TEST(relaxed_durability_is_told_and_keeps_what_was_closed)
{
    stele_options options = make_options();
    options.durability = STELE_DURABILITY_RELAXED;
    store = open_path(store_path(), &options);
    fill_stream("a-1", 5);
    stele_store_info relaxed = describe();
    ck_assert_int_eq(relaxed.durability, STELE_DURABILITY_RELAXED);

    reopen_file();

    stele_store_info full = describe();
    ck_assert_int_eq(full.durability, STELE_DURABILITY_FULL);
    ck_assert_str_eq(full.epoch, relaxed.epoch);
    ck_assert_int_eq(full.head, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("open");
    TCase *tests = add_case(suite, "file", NULL);
    tcase_add_test(tests, new_file_is_its_owners_alone_whatever_the_umask);
    tcase_add_test(tests, file_is_laid_out_as_the_format_says);
    tcase_add_test(tests, json_is_text_to_the_sql_shell_and_other_codecs_are_not);
    tcase_add_test(tests, closed_store_is_one_file);
    tcase_add_test(tests, file_of_no_bytes_is_taken_as_new);
    tcase_add_test(tests, reopening_keeps_everything);
    tcase_add_test(tests, description_tells_the_facts);
    tcase_add_test(tests, new_store_describes_itself_as_empty);
    tcase_add_test(tests, description_fills_no_more_than_the_caller_has);
    tcase_add_test(tests, memory_stores_are_private);
    tcase_add_test(tests, two_handles_of_one_file_are_one_store);
    tcase_add_test(tests, path_that_is_a_link_is_misuse);
    tcase_add_test(tests, folder_that_is_a_link_is_resolved);
    tcase_add_test(tests, relative_path_stays_what_it_was);
    tcase_add_test(tests, paths_that_name_no_store_are_refused);
    tcase_add_test(tests, names_with_a_meaning_in_uris_are_plain_names);
    tcase_add_test(tests, missing_file_is_not_created_when_it_must_exist);
    tcase_add_test(tests, options_out_of_range_are_misuse);
    tcase_add_test(tests, limits_of_sizes_are_allowed_themselves);
    tcase_add_test(tests, smaller_options_of_an_older_program_get_defaults);
    tcase_add_test(tests, init_function_does_as_the_initializer);
    tcase_add_test(tests, relaxed_durability_is_told_and_keeps_what_was_closed);
    return run_suite(suite);
}
