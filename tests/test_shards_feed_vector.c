/* Where a feed of shards goes on: by its vector, and when a timeline or a shard is another. */
#include "shard_lists.h"

#include <stele/backup.h>
#include <stele/json.h>

/* --- The vector --- */

START_TEST(a_vector_says_where_to_go_on)
{
    char vector[LIST_TEXT_SIZE];
    char wanted[200];
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    add_events("", "a\"\n", "noted", 3);
    add_events("o", "b", "noted", 2);
    stele_feed *feed = open_feed(NULL);
    ck_assert_str_eq(vector_of(feed), "[]");
    next_in_feed(feed);
    assert_status(stele_feed_ack(feed), STELE_OK);
    next_in_feed(feed);
    snprintf(vector, sizeof(vector), "%s", vector_of(feed));
    assert_status(stele_json_check(vector, strlen(vector), NULL), STELE_OK);
    stele_feed_close(feed);

    stele_shard *shard = get_shard("", "a\"\n");
    stele_store_info info = STELE_STORE_INFO_INIT;
    info.struct_size = sizeof(info);
    assert_status(stele_store_describe(stele_shard_store(shard), &info), STELE_OK);
    snprintf(wanted, sizeof(wanted), "[[\"\",\"a\\\"\\n\",\"%s\",3],[\"o\",\"b\",\"", info.epoch);
    stele_shard_release(shard);
    ck_assert_msg(strncmp(vector, wanted, strlen(wanted)) == 0, "%s", vector);
    ck_assert_str_eq(vector + strlen(vector) - 4, ",0]]");

    options.vector = vector;
    feed = open_feed(&options);
    ck_assert_str_eq(vector_of(feed), vector);
    const stele_feed_batch *batch = next_in_feed(feed);
    ck_assert_str_eq(stele_shard_namespace(batch->shard), "b");
    ck_assert_uint_eq(batch->count, 2);
    ck_assert_str_eq(vector_of(feed), vector);
    expect_nothing(feed);
    stele_feed_close(feed);
}
END_TEST

START_TEST(a_vector_goes_before_the_checkpoint)
{
    char vector[LIST_TEXT_SIZE];
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    add_events("o", "a", "noted", 6);
    options.batch_count_max = 2;
    stele_feed *feed = open_feed(&options);
    next_in_feed(feed);
    assert_status(stele_feed_ack(feed), STELE_OK);
    snprintf(vector, sizeof(vector), "%s", vector_of(feed));
    stele_feed_close(feed);
    feed = open_named_feed("feed");
    ck_assert_uint_eq(drain_feed(feed), 6);
    stele_feed_close(feed);

    options.name = "feed";
    options.vector = vector;
    feed = open_feed(&options);
    ck_assert_int_eq(next_in_feed(feed)->through, 4);
    assert_status(stele_feed_ack(feed), STELE_OK);
    ck_assert_int_eq(next_in_feed(feed)->through, 6);
    stele_feed_close(feed);

    ck_assert_int_eq(checkpoint_in("o", "a", "feed"), 6);
}
END_TEST

#define AN_EPOCH "\"00000000-0000-4000-8000-000000000000\""

START_TEST(a_text_that_is_no_vector_is_refused_with_the_byte)
{
    static const struct {
        const char *text;
        const char *where;
    } bad[] = {
        { "", "byte 0" },
        { "{}", "byte 0" },
        { "[", "byte 1" },
        { "[] ]", "byte 3" },
        { "[1]", "byte 1" },
        { "[[1]]", "byte 2" },
        { "[[\"o\"]]", "byte 5" },
        { "[[\"o\",\"\"," AN_EPOCH ",1]]", "byte 6" },
        { "[[\"o\",\"n\",\"epoch\",1]]", "byte 10" },
        { "[[\"o\",\"n\"," AN_EPOCH ",-1]]", "byte 49" },
        { "[[\"o\",\"n\"," AN_EPOCH ",1.5]]", "byte 49" },
        { "[[\"o\",\"n\"," AN_EPOCH ",1,2]]", "byte 51" },
        { "[[\"o\",\"n\"," AN_EPOCH ",9007199254740993]]", "byte 49" },
        { "[[\"o\",\"n\"," AN_EPOCH ",1],[\"o\",\"n\"," AN_EPOCH ",1]]", "byte 52" },
        { "[[\"p\",\"n\"," AN_EPOCH ",1],[\"o\",\"n\"," AN_EPOCH ",1]]", "byte 52" },
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        stele_feed_options options = STELE_FEED_OPTIONS_INIT;
        stele_feed *feed = (stele_feed *)&feed;
        options.vector = bad[i].text;
        assert_status(stele_feed_open(shards, &options, &feed), STELE_INVALID);
        ck_assert_ptr_null(feed);
        assert_reason_has(bad[i].where);
    }
}
END_TEST

START_TEST(what_the_vector_names_and_is_not_there_stays_in_it)
{
    static const char vector[] = "[[\"o\",\"n\"," AN_EPOCH ",7]]";
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    add_events("a", "b", "noted", 1);
    add_events("z", "b", "noted", 1);
    options.vector = vector;
    stele_feed *feed = open_feed(&options);
    ck_assert_uint_eq(drain_feed(feed), 2);

    const char *text = vector_of(feed);
    ck_assert_ptr_nonnull(strstr(text, ",1],[\"o\",\"n\"," AN_EPOCH ",7],[\"z\""));

    /* A shard of that name that knows nothing of that epoch isn't skipped silently. */
    add_events("o", "n", "noted", 1);
    stele_wait wait = STELE_WAIT_INIT;
    const stele_feed_batch *batch = NULL;
    wait.timeout_ms = 60000;
    assert_status(stele_feed_next(feed, &wait, &batch), STELE_EPOCH);
    stele_feed_close(feed);
}
END_TEST

/* --- Recovered shards --- */

static void put_back(const char *backup, const char *path)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-lock", "-anchor" };
    stele_recover recover = STELE_RECOVER_INIT;
    char name[700];
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        unlink(name);
    }
    recover.backup = backup;
    recover.path = path;
    assert_status(stele_recover_backup(&recover, NULL), STELE_OK);
}

static void back_up_shard(const char *organisation, const char *name_space, const char *to)
{
    stele_backup backup = STELE_BACKUP_INIT;
    stele_shard *shard = get_shard(organisation, name_space);
    backup.path = to;
    assert_status(stele_store_backup(stele_shard_store(shard), &backup, NULL), STELE_OK);
    stele_shard_release(shard);
}

/* Close its store, put the backup in its place, and let it take another way. */
static void recover_shard(const char *name_space, const char *backup, int events)
{
    char path[600];
    assert_status(stele_shards_path(shards, "o", name_space, path, sizeof(path)), STELE_OK);
    put_back(backup, path);
    add_events("o", name_space, "changed", events);
}

START_TEST(a_shard_that_was_recovered_is_not_skipped_silently)
{
    stele_shards_options shards_options = STELE_SHARDS_OPTIONS_INIT;
    stele_wait wait = STELE_WAIT_INIT;
    const stele_feed_batch *batch = NULL;
    const char *organisation = NULL;
    const char *name_space = NULL;
    wait.timeout_ms = 60000;
    close_shards();
    shards_options.open_max = 1;
    shards = open_root(&shards_options);
    for (int named = 0; named < 2; named++) {
        const char *shard = named ? "named" : "nameless";
        char path[600];
        snprintf(path, sizeof(path), "%s", test_path(named ? "backup-1" : "backup-0"));
        add_events("o", shard, "noted", 2);
        back_up_shard("o", shard, path);
        add_events("o", shard, "noted", 3);
        stele_feed *feed = named ? open_named_feed("feed") : open_feed(NULL);
        ck_assert_uint_ge(drain_feed(feed), 5);
        make_shard("z", "other"); /* the only one that may be open */
        recover_shard(shard, path, 3);

        /* There are five events again, and three of them are others. */
        assert_status(stele_feed_next(feed, &wait, &batch), STELE_EPOCH);
        ck_assert_ptr_null(batch);
        stele_feed_fault(feed, &organisation, &name_space);
        ck_assert_str_eq(organisation, "o");
        ck_assert_str_eq(name_space, shard);
        assert_reason_has(shard);
        add_events("z", "other", "noted", 1);
        assert_status(stele_feed_next(feed, &wait, &batch), STELE_OK);
        ck_assert_str_eq(stele_shard_namespace(batch->shard), "other");
        assert_status(stele_feed_ack(feed), STELE_OK);
        assert_status(stele_feed_next(feed, &wait, &batch), STELE_EPOCH);
        stele_feed_close(feed);
    }

    /* The checkpoint was recovered along with the shard: by name one goes on from there. */
    stele_feed *feed = open_named_feed("feed");
    stele_shards_read read = STELE_SHARDS_READ_INIT;
    read.organisation = "o";
    read.prefix = "named";
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    options.name = "feed";
    options.read = &read;
    stele_feed_close(feed);
    feed = open_feed(&options);
    ck_assert_uint_eq(drain_feed(feed), 5);
    stele_feed_close(feed);
}
END_TEST

START_TEST(a_vector_of_a_lost_timeline_is_told)
{
    stele_shards_options shards_options = STELE_SHARDS_OPTIONS_INIT;
    char vector[LIST_TEXT_SIZE];
    char path[600];
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    const stele_feed_batch *batch = NULL;
    close_shards();
    shards_options.open_max = 1;
    shards = open_root(&shards_options);
    snprintf(path, sizeof(path), "%s", test_path("backup"));
    add_events("o", "a", "noted", 2);
    back_up_shard("o", "a", path);
    add_events("o", "a", "noted", 1);
    stele_feed *feed = open_feed(NULL);
    drain_feed(feed);
    snprintf(vector, sizeof(vector), "%s", vector_of(feed));
    stele_feed_close(feed);
    make_shard("z", "other");
    recover_shard("a", path, 4);

    options.vector = vector;
    feed = open_feed(&options);
    assert_status(stele_feed_next(feed, NULL, &batch), STELE_EPOCH);
    expect_nothing(feed); /* it was told just now */
    ck_assert(strncmp(vector_of(feed), vector, strlen(vector) - 1) == 0);
    stele_feed_close(feed);

    /* What both timelines share is no loss: 2 of the 3. */
    vector[strlen(vector) - 3] = '2';
    feed = open_feed(&options);
    ck_assert_uint_eq(drain_feed(feed), 4);
    stele_feed_close(feed);
}
END_TEST

START_TEST(a_shard_made_anew_under_its_name_is_another)
{
    char path[600];
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    close_shards();
    options.open_max = 1;
    shards = open_root(&options);
    add_events("o", "a", "noted", 5);
    stele_feed *feed = open_named_feed("feed");
    ck_assert_uint_eq(drain_feed(feed), 5);
    make_shard("z", "other");
    assert_status(stele_shards_path(shards, "o", "a", path, sizeof(path)), STELE_OK);
    ck_assert_int_eq(unlink(path), 0);
    snprintf(strrchr(path, '.'), 30, ".db-anchor");
    unlink(path);
    add_events("o", "a", "noted", 3);

    ck_assert_uint_eq(drain_feed(feed), 3);

    stele_feed_close(feed);
}
END_TEST

static Suite *shards_feed_vector_suite(void)
{
    Suite *suite = suite_create("shards_feed_vector");
    TCase *tests = add_shard_case(suite, "vector");
    tcase_add_test(tests, a_vector_says_where_to_go_on);
    tcase_add_test(tests, a_vector_goes_before_the_checkpoint);
    tcase_add_test(tests, a_text_that_is_no_vector_is_refused_with_the_byte);
    tcase_add_test(tests, what_the_vector_names_and_is_not_there_stays_in_it);
    tests = add_shard_case(suite, "epochs");
    tcase_add_test(tests, a_shard_that_was_recovered_is_not_skipped_silently);
    tcase_add_test(tests, a_vector_of_a_lost_timeline_is_told);
    tcase_add_test(tests, a_shard_made_anew_under_its_name_is_another);
    return suite;
}

int main(void)
{
    return run_suite(shards_feed_vector_suite());
}
