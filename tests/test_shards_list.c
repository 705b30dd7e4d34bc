/* Listing shards and organisations from their folders. */
#include "shard_lists.h"

#include <stele/shard_work.h>

#include <sys/resource.h>

static const char long_name[] =
    "a name that is much longer than a component of a path may be, so that nothing but its hash is"
    " found there, and the name itself lies beside it; umlauts such as \xc3\xbc count twice";

START_TEST(an_empty_root_has_nothing)
{
    stele_shard_list *list = NULL;

    ck_assert_str_eq(list_shards(NULL), "");

    assert_status(stele_shards_organisations(shards, NULL, &list), STELE_OK);
    ck_assert_str_eq(drain_shards(list), "");
}
END_TEST

START_TEST(the_order_is_that_of_the_names_bytes)
{
    make_shard("b", "z");
    make_shard("", "only");
    make_shard("b", "Z");
    make_shard("a b/c", "\xc3\xa4");
    make_shard("b", "a");
    make_shard("_", "x");
    make_shard("..", "..");

    ck_assert_str_eq(list_shards(NULL), "/only ../.. _/x a b/c/\xc3\xa4 b/Z b/a b/z");
}
END_TEST

START_TEST(organisations_are_listed_once_the_empty_one_first)
{
    stele_shards_read read = STELE_SHARDS_READ_INIT;
    stele_shard_list *list = NULL;
    const stele_shard_entry *entry = NULL;
    make_shard("bb", "1");
    make_shard("bb", "2");
    make_shard("", "1");
    make_shard("ba", "1");

    assert_status(stele_shards_organisations(shards, NULL, &list), STELE_OK);
    assert_status(stele_shard_list_next(list, &entry), STELE_OK);
    ck_assert_str_eq(entry->organisation, "");
    ck_assert_str_eq(entry->name_space, "");
    ck_assert(!entry->open);
    ck_assert(strncmp(entry->path, stele_shards_root(shards), strlen(stele_shards_root(shards)))
              == 0);
    ck_assert_str_eq(drain_shards(list), "ba/ bb/");

    read.prefix = "b";
    read.after_organisation = "ba";
    assert_status(stele_shards_organisations(shards, &read, &list), STELE_OK);
    ck_assert_str_eq(drain_shards(list), "bb/");
    read = (stele_shards_read)STELE_SHARDS_READ_INIT;
    read.limit = 2;
    assert_status(stele_shards_organisations(shards, &read, &list), STELE_OK);
    ck_assert_str_eq(drain_shards(list), "/ ba/");
}
END_TEST

START_TEST(one_organisation_a_prefix_and_a_limit_cut_the_list)
{
    stele_shards_read read = STELE_SHARDS_READ_INIT;
    make_shard("a", "ab");
    make_shard("a", "ac");
    make_shard("a", "b");
    make_shard("b", "ab");

    read.organisation = "a";
    ck_assert_str_eq(list_shards(&read), "a/ab a/ac a/b");
    read.prefix = "a";
    ck_assert_str_eq(list_shards(&read), "a/ab a/ac");
    read.organisation = NULL;
    ck_assert_str_eq(list_shards(&read), "a/ab a/ac b/ab");
    read.limit = 2;
    ck_assert_str_eq(list_shards(&read), "a/ab a/ac");
    read.organisation = "nobody";
    ck_assert_str_eq(list_shards(&read), "");
    read.organisation = "";
    ck_assert_str_eq(list_shards(&read), "");
}
END_TEST

START_TEST(a_page_goes_on_behind_the_last_one)
{
    stele_shards_read read = STELE_SHARDS_READ_INIT;
    char organisation[4] = "";
    char name_space[4] = "";
    int rows = 0;
    for (char o = 'a'; o < 'd'; o++)
        for (char n = 'k'; n < 'p'; n++) {
            snprintf(organisation, sizeof(organisation), "%c", o);
            snprintf(name_space, sizeof(name_space), "%c", n);
            make_shard(organisation, name_space);
        }

    read.limit = 4;
    for (;;) {
        stele_shard_list *list = NULL;
        const stele_shard_entry *entry = NULL;
        int page = 0;
        assert_status(stele_shards_list(shards, &read, &list), STELE_OK);
        while (stele_shard_list_next(list, &entry) == STELE_OK) {
            snprintf(organisation, sizeof(organisation), "%s", entry->organisation);
            snprintf(name_space, sizeof(name_space), "%s", entry->name_space);
            ck_assert_int_eq(organisation[0], 'a' + rows / 5);
            ck_assert_int_eq(name_space[0], 'k' + rows % 5);
            page++;
            rows++;
        }
        stele_shard_list_close(list);
        if (page == 0)
            break;
        ck_assert_int_le(page, 4);
        read.after_organisation = organisation;
        read.after_namespace = name_space;
    }
    ck_assert_int_eq(rows, 15);

    /* What one goes on behind need not be there; its organisation may be the one that is read. */
    read = (stele_shards_read)STELE_SHARDS_READ_INIT;
    read.organisation = "b";
    read.after_namespace = "mm";
    ck_assert_str_eq(list_shards(&read), "b/n b/o");
    read.organisation = NULL;
    read.after_namespace = NULL;
    read.after_organisation = "b";
    ck_assert_str_eq(list_shards(&read), "c/k c/l c/m c/n c/o");
}
END_TEST

START_TEST(hashed_names_are_read_from_what_lies_beside_them)
{
    char text[1000];
    make_shard(long_name, long_name);
    make_shard(long_name, "short");
    make_shard("a", long_name);
    close_shards();
    open_shards();

    snprintf(text, sizeof(text), "a/%s %s/%s %s/short", long_name, long_name, long_name, long_name);
    ck_assert_str_eq(list_shards(NULL), text);
}
END_TEST

/* By another name than its own nobody would find it. */
START_TEST(what_lies_under_the_hash_of_another_name_is_passed_over)
{
    static const char *const ends[] = { ".name", ".db" };
    char path[600];
    make_shard("a", long_name);
    make_shard("a", "b");
    assert_status(stele_shards_path(shards, "a", long_name, path, sizeof(path)), STELE_OK);
    close_shards();
    size_t size = strlen(path) - strlen(".db");
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        char from[620];
        char to[620];
        snprintf(from, sizeof(from), "%.*s%s", (int)size, path, ends[i]);
        memcpy(to, from, sizeof(to));
        to[size - 1] = to[size - 1] == '0' ? '1' : '0';
        ck_assert_int_eq(rename(from, to), 0);
    }
    open_shards();

    ck_assert_str_eq(list_shards(NULL), "a/b");
}
END_TEST

/* The file beside a hashed one is gone. */
static void remove_beside(const char *organisation, const char *name_space, bool of_organisation)
{
    char path[600];
    assert_status(stele_shards_path(shards, organisation, name_space, path, sizeof(path)),
                  STELE_OK);
    if (of_organisation)
        snprintf(strrchr(path, '/'), 10, "/.name");
    else
        snprintf(strrchr(path, '.'), 10, ".name");
    ck_assert_int_eq(unlink(path), 0);
}

START_TEST(without_that_the_store_itself_is_asked)
{
    char text[1000];
    make_shard(long_name, long_name);
    make_shard("a", long_name);
    remove_beside("a", long_name, false);
    remove_beside(long_name, long_name, false);
    remove_beside(long_name, long_name, true);

    snprintf(text, sizeof(text), "a/%s %s/%s", long_name, long_name, long_name);
    ck_assert_str_eq(list_shards(NULL), text);
    close_shards();
    open_shards();
    ck_assert_str_eq(list_shards(NULL), text);
}
END_TEST

START_TEST(what_stands_for_no_name_is_passed_over)
{
    char path[700];
    make_shard("a", "b");
    put_stray("stray");
    put_stray(".hidden");
    put_stray("a/stray");
    put_stray("a/Upper.db");
    put_stray("a/.new-1.db");
    put_stray("a/%zz.db");
    put_stray("a/%61.db");
    put_stray("a/x%%00000000000000000000000000000000.db");
    put_stray("a/c.db-wal");
    snprintf(path, sizeof(path), "%s/Capital", test_path("root"));
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/a/folder.db", test_path("root"));
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/a/link.db", test_path("root"));
    ck_assert_int_eq(symlink("b.db", path), 0);
    snprintf(path, sizeof(path), "%s/linked", test_path("root"));
    ck_assert_int_eq(symlink("a", path), 0);

    ck_assert_str_eq(list_shards(NULL), "a/b");
}
END_TEST

/* As acquiring one with `must_exist` says. */
START_TEST(what_has_its_name_alone_is_no_shard_yet)
{
    static const char *const empty[] = { "a/c.db", "a/.db", "a/%%.db", "d/e.db" };
    stele_shard *shard = NULL;
    stele_acquire how = STELE_ACQUIRE_INIT;
    make_shard("a", "b");
    make_shard("d", "f");
    for (size_t i = 0; i < COUNT_OF(empty); i++) {
        char path[700];
        snprintf(path, sizeof(path), "%s/%s", test_path("root"), empty[i]);
        FILE *file = fopen(path, "wx");
        ck_assert_ptr_nonnull(file);
        fclose(file);
    }

    ck_assert_str_eq(list_shards(NULL), "a/b d/f");

    how.must_exist = true;
    assert_status(stele_shards_acquire(shards, "a", "c", &how, &shard), STELE_NOT_FOUND);
    make_shard("a", "c");
    ck_assert_str_eq(list_shards(NULL), "a/b a/c d/f");
    put_stray("d/e.db-wal"); /* it has lost what it held */
    ck_assert_str_eq(list_shards(NULL), "a/b a/c d/e d/f");
    assert_status(stele_shards_verify(shards, "d", "e", NULL, NULL), STELE_CORRUPT);
}
END_TEST

START_TEST(who_has_moved_is_marked)
{
    put_stray("nothing");
    make_shard("a", "b");
    make_shard("a", "c");
    put_stray("a/c.moved");
    put_stray("a/d.moved");

    ck_assert_str_eq(list_shards(NULL), "a/b a/c* a/d*");
}
END_TEST

START_TEST(an_entry_says_where_and_whether_it_is_open)
{
    stele_shard_list *list = NULL;
    const stele_shard_entry *entry = NULL;
    stele_shard *shard = get_shard("a", "b");
    make_shard("a", "c");
    stele_shards *other = open_root(NULL);

    assert_status(stele_shards_list(shards, NULL, &list), STELE_OK);
    assert_status(stele_shard_list_next(list, &entry), STELE_OK);
    ck_assert_str_eq(entry->path, stele_shard_path(shard));
    ck_assert(entry->open);
    stele_shard_list_close(list);

    assert_status(stele_shards_list(other, NULL, &list), STELE_OK);
    assert_status(stele_shard_list_next(list, &entry), STELE_OK);
    ck_assert(!entry->open);
    stele_shard_list_close(list);
    stele_shard_release(shard);
    stele_shards_close(other);
}
END_TEST

START_TEST(a_list_outlives_the_shards_and_says_so)
{
    stele_shard_list *list = NULL;
    const stele_shard_entry *entry = NULL;
    make_shard("a", "b");
    make_shard("a", "c");
    assert_status(stele_shards_list(shards, NULL, &list), STELE_OK);
    assert_status(stele_shard_list_next(list, &entry), STELE_OK);

    close_shards();

    assert_status(stele_shard_list_next(list, &entry), STELE_CLOSED);
    ck_assert_ptr_null(entry);
    stele_shard_list_close(list);
    open_shards();
}
END_TEST

static void refuse_read(const stele_shards_read *read, stele_status expected)
{
    stele_shard_list *list = (stele_shard_list *)&list;
    assert_status(stele_shards_list(shards, read, &list), expected);
    ck_assert_ptr_null(list);
}

START_TEST(what_can_not_be_asked_is_refused)
{
    char huge[STELE_SHARD_NAME_MAX + 2];
    const stele_shard_entry *entry = (const stele_shard_entry *)&entry;
    stele_shards_read read = STELE_SHARDS_READ_INIT;
    memset(huge, 'x', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';

    assert_status(stele_shards_list(shards, NULL, NULL), STELE_MISUSE);
    assert_status(stele_shard_list_next(NULL, &entry), STELE_MISUSE);
    ck_assert_ptr_null(entry);
    read.struct_size = 0;
    refuse_read(&read, STELE_MISUSE);
    stele_shards_read_init(&read);
    read.after_namespace = "a";
    refuse_read(&read, STELE_MISUSE);
    read.after_organisation = "a";
    read.after_namespace = "";
    refuse_read(&read, STELE_MISUSE);
    stele_shards_read_init(&read);
    read.organisation = huge;
    refuse_read(&read, STELE_TOO_LARGE);
    read.organisation = "\xff";
    refuse_read(&read, STELE_INVALID);
    stele_shards_read_init(&read);
    read.prefix = huge;
    refuse_read(&read, STELE_TOO_LARGE);
    stele_shard_list_close(NULL);
    stele_shard_list *list = (stele_shard_list *)&list;
    assert_status(stele_shards_list(NULL, NULL, &list), STELE_MISUSE);
    ck_assert_ptr_null(list);
}
END_TEST

START_TEST(a_folder_that_can_not_be_read_is_told)
{
    stele_shard_list *list = (stele_shard_list *)&list;
    struct rlimit limit;
    make_shard("a", "b");
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = { .rlim_cur = 0, .rlim_max = limit.rlim_max };

    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    stele_status status = stele_shards_list(shards, NULL, &list);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);

    assert_status(status, STELE_IO);
    ck_assert_ptr_null(list);
}
END_TEST

/* Names alone: no store is opened, and 10,000 files that are none are listed all the same. */
START_TEST(ten_thousand_are_listed_without_opening_one)
{
    enum { MANY = 10000 };
    stele_shard_list *list = NULL;
    const stele_shard_entry *entry = NULL;
    char name[40];
    int count = 0;
    make_shard("a", "b");
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "a/n%05d.db", i);
        put_stray(name);
    }
    stele_shards_info before;
    stele_shards_info after;
    assert_status(stele_shards_describe(shards, &before), STELE_OK);

    assert_status(stele_shards_list(shards, NULL, &list), STELE_OK);
    while (stele_shard_list_next(list, &entry) == STELE_OK) {
        snprintf(name, sizeof(name), "n%05d", count - 1);
        ck_assert_str_eq(entry->name_space, count == 0 ? "b" : name);
        count++;
    }
    stele_shard_list_close(list);

    ck_assert_int_eq(count, MANY + 1);
    assert_status(stele_shards_describe(shards, &after), STELE_OK);
    ck_assert_uint_eq(after.opened, before.opened);
}
END_TEST

static Suite *shards_list_suite(void)
{
    Suite *suite = suite_create("shards_list");
    TCase *tests = add_shard_case(suite, "list");
    tcase_add_test(tests, an_empty_root_has_nothing);
    tcase_add_test(tests, the_order_is_that_of_the_names_bytes);
    tcase_add_test(tests, organisations_are_listed_once_the_empty_one_first);
    tcase_add_test(tests, one_organisation_a_prefix_and_a_limit_cut_the_list);
    tcase_add_test(tests, a_page_goes_on_behind_the_last_one);
    tcase_add_test(tests, hashed_names_are_read_from_what_lies_beside_them);
    tcase_add_test(tests, what_lies_under_the_hash_of_another_name_is_passed_over);
    tcase_add_test(tests, without_that_the_store_itself_is_asked);
    tcase_add_test(tests, what_stands_for_no_name_is_passed_over);
    tcase_add_test(tests, what_has_its_name_alone_is_no_shard_yet);
    tcase_add_test(tests, who_has_moved_is_marked);
    tcase_add_test(tests, an_entry_says_where_and_whether_it_is_open);
    tcase_add_test(tests, a_list_outlives_the_shards_and_says_so);
    tcase_add_test(tests, what_can_not_be_asked_is_refused);
    tcase_add_test(tests, a_folder_that_can_not_be_read_is_told);
    tcase_add_test(tests, ten_thousand_are_listed_without_opening_one);
    return suite;
}

int main(void)
{
    return run_suite(shards_list_suite());
}
