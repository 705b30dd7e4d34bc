/* Verification of what happened to streams: states, husks, archives and what is kept for others. */
#include "contract.h"

#include <stele/lifecycle.h>
#include <stele/verify.h>

static stele_store *archive;

static void open_both(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.no_resume = true;
    store = open_path(store_path(), &options);
    archive = open_path(test_path("archive.db"), &options);
    assert_status(stele_store_attach(store, archive), STELE_OK);
}

static void close_both(void)
{
    close_store();
    stele_store_close(archive);
    archive = NULL;
}

/*
 * Streams: 1 active, 2 archived in place, 3 moved, 4 tombstoned, 5 deleted; each with three events,
 * interleaved, at the positions id, id + 5 and id + 10.
 */
static void make_lives(void)
{
    static const char *const names[] = { "active-1", "archived-1", "moved-1", "closed-1",
                                         "deleted-1" };
    open_both();
    for (int version = 1; version <= 3; version++)
        for (size_t i = 0; i < COUNT_OF(names); i++)
            assert_status(append_to(store, names[i], STELE_ANY, "told", NULL), STELE_OK);
    stele_archive in_place = STELE_ARCHIVE_INIT;
    in_place.stream = "archived-1";
    assert_status(stele_store_archive(store, &in_place, NULL), STELE_OK);
    stele_archive away = STELE_ARCHIVE_INIT;
    away.stream = "moved-1";
    away.to = archive;
    assert_status(stele_store_archive(store, &away, NULL), STELE_OK);
    stele_tombstone tombstone = STELE_TOMBSTONE_INIT;
    tombstone.stream = "closed-1";
    tombstone.reason = "over";
    assert_status(stele_store_tombstone(store, &tombstone, NULL), STELE_OK);
    stele_delete what = STELE_DELETE_INIT;
    what.stream = "deleted-1";
    assert_status(stele_store_delete(store, &what, NULL), STELE_OK);
    close_both();
}

/* The outcome of the one check. */
static stele_check run_check_of(stele_store *checked, const char *name, char offender_out[512])
{
    const char *const names[] = { name };
    stele_verify_options options = STELE_VERIFY_INIT;
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    options.names = names;
    options.name_count = 1;
    assert_status(stele_verify_open(checked, &options, &verify), STELE_OK);
    assert_status(stele_verify_next(verify, &check), STELE_OK);
    stele_check found = *check;
    snprintf(offender_out, 512, "%s", check->offender);
    stele_verify_close(verify);
    return found;
}

static const char *const lifecycle_checks[] = { "states", "husks", "archives", "kept" };

START_TEST(every_life_of_a_stream_passes_with_its_counts)
{
    char offender[512];
    make_lives();
    open_both();

    for (size_t i = 0; i < COUNT_OF(lifecycle_checks); i++) {
        stele_check found = run_check_of(store, lifecycle_checks[i], offender);
        ck_assert_msg(found.failures == 0, "%s: %s", found.name, offender);
        found = run_check_of(archive, lifecycle_checks[i], offender);
        ck_assert_msg(found.failures == 0, "%s of the archive: %s", found.name, offender);
    }
    ck_assert_uint_eq(run_check_of(store, "states", offender).count, 6); /* with $stele */
    ck_assert_uint_eq(run_check_of(store, "husks", offender).count, 19);
    ck_assert_uint_eq(run_check_of(store, "archives", offender).count, 1);
    ck_assert_uint_eq(run_check_of(store, "kept", offender).count, 0);
    ck_assert_uint_eq(run_check_of(archive, "kept", offender).count, 4);
    close_both();
}
END_TEST

static const struct {
    const char *sql;
    bool of_archive; /* done to it, and its own check */
    const char *check;
    const char *offender;
} damages[] = {
    { "UPDATE streams SET state = 7 WHERE id = 1", false, "states", "stream 1 is in a state" },
    { "UPDATE streams SET name = 'back-1' WHERE id = 5", false, "states", "stream 5 is deleted" },
    { "UPDATE streams SET name = NULL WHERE id = 1", false, "states", "stream 1 isn't deleted" },
    { "UPDATE streams SET state = 3 WHERE id = 5", false, "states", "nobody erases it" },
    { "INSERT INTO unfinished VALUES(1, 4, 0, 0)", false, "states", "is being erased" },
    { "UPDATE streams SET base_version = 4 WHERE id = 1", false, "states", "beyond its last" },
    { "UPDATE streams SET state = 0 WHERE id = 3", false, "states", "isn't archived" },
    { "INSERT INTO unfinished VALUES(2, 1, 0, 0)", false, "states", "no archive is named" },
    { "UPDATE events SET flags = 3 WHERE position = 3", false, "husks", "position 3 is both" },
    { "UPDATE events SET data = 'x' WHERE position = 3", false, "husks", "position 3 is a husk" },
    { "UPDATE events SET data = NULL WHERE position = 1", false, "husks", "position 1 has lost" },
    { "UPDATE events SET flags = 0, data = 'x' WHERE position = 5", false, "husks",
      "position 5 belongs to a deleted stream" },
    { "UPDATE events SET flags = 1, data = NULL WHERE position = 1", false, "husks",
      "position 1 was erased" },
    { "UPDATE streams SET base_version = 1 WHERE id = 1", false, "husks",
      "position 1 was trimmed" },
    { "UPDATE events SET flags = 2, data = NULL WHERE position = 6", false, "husks",
      "position 6 is in an archive that the file doesn't name" },
    { "UPDATE events SET flags = 0, data = 'x' WHERE position = 8", false, "husks",
      "position 8 was moved to an archive, and is here" },
    { "DELETE FROM archive_ranges", false, "husks", "position 3 is in an archive" },
    { "UPDATE archive_ranges SET last_version = 2", false, "archives", "stream 3" },
    { "UPDATE archives SET hint = '/else'", false, "archives", "stream 3" },
    { "DELETE FROM archives", false, "archives", "stream 3" },
    { "INSERT INTO unfinished VALUES(1, 2, 0, 0)", false, "archives", "unfinished" },
    { "DELETE FROM kept_streams", true, "kept", "isn't there" },
    { "UPDATE kept_streams SET name = 'other-1'", true, "kept", "kept_streams" },
    { "DELETE FROM kept_events WHERE version = 3", true, "kept", "is versions 1 to 2" },
    { "DELETE FROM kept_events WHERE version = 2", true, "kept", "version 2" },
    { "DELETE FROM kept_events", true, "kept", "is versions 1 to 0" },
    { "DELETE FROM kept_events WHERE version = 1", true, "kept", "is versions 2 to 3" },
    { "UPDATE kept_streams SET state = 3", true, "kept", "kept_streams" },
    { "UPDATE kept_events SET data = 'x' WHERE version = 2", true, "kept", "version 2" },
    { "UPDATE kept_events SET version = 4 WHERE version = 3", true, "kept", "versions 1 to 4" },
};

START_TEST(damage_to_what_became_of_streams_fails_its_check)
{
    char offender[512];
    make_lives();
    run_sql(damages[_i].of_archive ? test_path("archive.db") : store_path(), damages[_i].sql);
    open_both();

    stele_check found =
        run_check_of(damages[_i].of_archive ? archive : store, damages[_i].check, offender);

    ck_assert_uint_gt(found.failures, 0);
    ck_assert_msg(strstr(offender, damages[_i].offender) != NULL, "'%s' lacks '%s'", offender,
                  damages[_i].offender);
    close_both();
}
END_TEST

/* What only the source can tell: that its archive is attached, and hasn't got what it should. */
START_TEST(archive_that_lost_a_stream_fails_when_attached)
{
    char offender[512];
    make_lives();
    run_sql(test_path("archive.db"), "DELETE FROM kept_events; DELETE FROM kept_streams");
    open_both();

    ck_assert_uint_eq(run_check_of(store, "archives", offender).failures, 1);

    ck_assert_msg(strstr(offender, "knows nothing of stream 3") != NULL, "%s", offender);
    assert_status(stele_store_detach(store, archive), STELE_OK);
    ck_assert_uint_eq(run_check_of(store, "archives", offender).failures, 0);
    close_both();
}
END_TEST

/* The archive itself can't tell: one that is being emptied looks the same. */
START_TEST(archive_that_lost_the_first_or_all_of_a_stream_fails_when_attached)
{
    static const char *const losses[] = { "DELETE FROM kept_events",
                                          "DELETE FROM kept_events WHERE version = 1" };
    char offender[512];
    make_lives();
    run_sql(test_path("archive.db"), losses[_i]);
    open_both();

    ck_assert_uint_eq(run_check_of(store, "archives", offender).failures, 1);

    ck_assert_msg(strstr(offender, "hasn't all of stream 3") != NULL, "%s", offender);
    close_both();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify lifecycle");
    TCase *tests = add_case(suite, "checks", NULL);
    tcase_add_test(tests, every_life_of_a_stream_passes_with_its_counts);
    tcase_add_loop_test(tests, damage_to_what_became_of_streams_fails_its_check, 0,
                        (int)COUNT_OF(damages));
    tcase_add_test(tests, archive_that_lost_a_stream_fails_when_attached);
    tcase_add_loop_test(tests, archive_that_lost_the_first_or_all_of_a_stream_fails_when_attached,
                        0, 2);
    return run_suite(suite);
}
