/*
 * Repair: what is derived is built anew, and the log stays byte for byte what it was; what can't be
 * mended without harm stays as it is, and stays failed.
 */
#include "imposter.h"
#include "log_text.h"

#include <stele/verify.h>

#define PAGE 4096

/* Events enough for indexes of several pages; and the digest of the whole log. */
static void make_deep_file(char digest[17])
{
    make_rich_file();
    open_in_file();
    enum { COUNT = 1500 };
    stele_event *events = calloc(COUNT, sizeof(*events));
    ck_assert_ptr_nonnull(events);
    for (size_t i = 0; i < COUNT; i++)
        events[i] = make_event("counted", "{\"n\":1}");
    stele_append append = make_append("deep-1", STELE_ANY, events, COUNT);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    free(events);
    assert_status(stele_store_digest(store, digest), STELE_OK);
    close_store();
}

typedef struct repairs {
    uint64_t failed;   /* checks with failures at last */
    uint64_t repaired; /* checks that say so */
    char names[256];   /* of those */
    char offender[512];
} repairs;

static repairs run_verify(bool repair)
{
    repairs found = { 0 };
    stele_verify_options options = STELE_VERIFY_INIT;
    options.repair = repair;
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status;
    assert_status(stele_verify_open(store, &options, &verify), STELE_OK);
    while ((status = stele_verify_next(verify, &check)) == STELE_OK) {
        found.failed += check->failures > 0;
        found.repaired += check->repaired;
        if (check->repaired)
            snprintf(found.names + strlen(found.names), sizeof(found.names) - strlen(found.names),
                     " %s", check->name);
        if (check->failures > 0)
            snprintf(found.offender, sizeof(found.offender), "%s", check->offender);
    }
    assert_status(status, STELE_DONE);
    stele_verify_close(verify);
    return found;
}

static void expect_log(const log_text *original, const char *digest)
{
    char now[17];
    log_text read = read_log_text(store);
    assert_status(read.status, STELE_OK);
    ck_assert(same_text(&read, original));
    free(read.text);
    assert_status(stele_store_digest(store, now), STELE_OK);
    ck_assert_str_eq(now, digest);
}

static log_text read_whole_log(void)
{
    open_in_file();
    log_text original = read_log_text(store);
    assert_status(original.status, STELE_OK);
    close_store();
    return original;
}

static size_t root_of(const char *name)
{
    char text[128];
    snprintf(text, sizeof(text), "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", name);
    return (size_t)sql_number(store_path(), text);
}

static void remove_anchor(void)
{
    ck_assert_int_eq(unlink(test_path("store.db-anchor")), 0);
}

/* --- What can be repaired --- */

#define EVENT_INDEX "sqlite_autoindex_events_1"
#define OVER_EVENT_INDEX                                                                           \
    "CREATE TABLE imposter(stream, version, position, PRIMARY KEY(stream, version, position))"     \
    " WITHOUT ROWID"
#define OVER_NAME_INDEX "CREATE TABLE imposter(name, id, PRIMARY KEY(name, id)) WITHOUT ROWID"

static const struct {
    const char *index;
    const char *over;
    const char *sql;
    const char *names; /* of the checks that say that they repaired it */
} index_damages[] = {
    { EVENT_INDEX, OVER_EVENT_INDEX, "DELETE FROM imposter WHERE position = 3", " sqlite" },
    { EVENT_INDEX, OVER_EVENT_INDEX, "DELETE FROM imposter WHERE position = 1506", " sqlite" },
    { EVENT_INDEX, OVER_EVENT_INDEX, "DELETE FROM imposter", " sqlite" },
    { EVENT_INDEX, OVER_EVENT_INDEX, "UPDATE imposter SET position = 2 WHERE position = 3",
      " sqlite" },
    /* To a row that never was: the true one is there. */
    { EVENT_INDEX, OVER_EVENT_INDEX, "UPDATE imposter SET position = 99999 WHERE position = 3",
      " sqlite" },
    { EVENT_INDEX, OVER_EVENT_INDEX, "UPDATE imposter SET version = 9999 WHERE position = 3",
      " sqlite" },
    { EVENT_INDEX, OVER_EVENT_INDEX, "INSERT INTO imposter VALUES(1, 4, 5)", " sqlite" },
    { "sqlite_autoindex_streams_1", OVER_NAME_INDEX, "DELETE FROM imposter WHERE name = 'a-1'",
      " sqlite" },
    { "sqlite_autoindex_types_1", OVER_NAME_INDEX, "UPDATE imposter SET name = 'x' WHERE id = 1",
      " sqlite" },
    { "sqlite_autoindex_codecs_1", OVER_NAME_INDEX, "DELETE FROM imposter", " sqlite" },
    { "sqlite_autoindex_idempotency_1", OVER_NAME_INDEX, "DELETE FROM imposter", " sqlite" },
    { "sqlite_autoindex_epochs_1", OVER_NAME_INDEX, "DELETE FROM imposter", " sqlite" },
};

START_TEST(damaged_index_is_built_anew_and_the_log_is_the_same)
{
    char digest[17];
    make_deep_file(digest);
    log_text original = read_whole_log();
    run_on_pages(index_damages[_i].index, index_damages[_i].over, index_damages[_i].sql);
    remove_anchor(); /* which would take a lost epoch for an old copy */
    open_in_file();
    ck_assert_uint_gt(run_verify(false).failed, 0);

    repairs found = run_verify(true);

    ck_assert_msg(found.failed == 0, "still: %s", found.offender);
    ck_assert_str_eq(found.names, index_damages[_i].names);
    expect_log(&original, digest);
    ck_assert_uint_eq(run_verify(true).repaired, 0);
    assert_status(append_one("a-1", 3, "went on", NULL), STELE_OK);
    reopen_file();
    ck_assert_uint_eq(run_verify(false).failed, 0);
    free(original.text);
}
END_TEST

/* One leaf's pointers lead twice to one cell: what SQLite calls out of order. */
START_TEST(index_page_with_a_doubled_entry_is_built_anew)
{
    make_rich_file();
    log_text original = read_whole_log();
    char digest[17];
    open_in_file();
    assert_status(stele_store_digest(store, digest), STELE_OK);
    close_store();
    file_copy file = load_file(store_path());
    unsigned char *pointers = file.data + (root_of(EVENT_INDEX) - 1) * PAGE + 8;
    memcpy(pointers + 4, pointers + 2, 2);
    save_file(store_path(), file.data, file.size);
    free(file.data);
    open_in_file();

    repairs found = run_verify(true);

    ck_assert_msg(found.failed == 0, "still: %s", found.offender);
    ck_assert_uint_eq(found.repaired, 1);
    expect_log(&original, digest);
    free(original.text);
}
END_TEST

START_TEST(check_of_the_index_repairs_it_when_it_runs_alone)
{
    const char *const names[] = { "index", "versions" };
    make_rich_file();
    run_on_pages(EVENT_INDEX, OVER_EVENT_INDEX, "DELETE FROM imposter WHERE position = 3");
    open_in_file();
    stele_verify_options options = STELE_VERIFY_INIT;
    options.repair = true;
    options.names = &names[_i];
    options.name_count = 1;
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    assert_status(stele_verify_open(store, &options, &verify), STELE_OK);

    assert_status(stele_verify_next(verify, &check), STELE_OK);

    ck_assert_str_eq(check->name, names[_i]);
    ck_assert_uint_eq(check->failures, 0);
    ck_assert_uint_eq(check->count, 6);
    ck_assert_str_eq(check->offender, "");
    ck_assert(check->repaired);
    stele_verify_close(verify);
    ck_assert_uint_eq(run_verify(false).failed, 0);
}
END_TEST

/* --- What can't --- */

#define OVER_EVENTS                                                                                \
    "CREATE TABLE imposter(position INTEGER PRIMARY KEY, stream, version, type, schema_version,"   \
    " codec, recorded_at, occurred_at, flags, payload_hash, checksum, data, metadata)"

/* The index is then the last that knows of the row, but for the anchor: with it nothing is written
 * at all. */
START_TEST(index_that_names_a_lost_event_is_left_as_the_witness)
{
    make_rich_file();
    run_on_pages("events", OVER_EVENTS, "DELETE FROM imposter WHERE position = 6");
    if (_i == 0)
        remove_anchor();
    open_in_file();

    repairs found = run_verify(true);

    ck_assert_uint_eq(found.repaired, 0);
    ck_assert_uint_gt(found.failed, 0);
    ck_assert_uint_gt(run_verify(false).failed, 0);
    close_store();
    ck_assert_int_eq(
        sql_number(store_path(), "SELECT count(*) FROM events INDEXED BY " EVENT_INDEX), 6);
}
END_TEST

static const char *const event_damages[] = {
    "UPDATE events SET data = x'00' WHERE position = 4",
    "UPDATE events SET version = 9 WHERE position = 5",
    "DELETE FROM events WHERE position = 3",
    "DELETE FROM idempotency",
    "UPDATE types SET name = 'other' WHERE name = 'uploaded'",
};

START_TEST(damage_of_events_and_names_stays_failed_and_untouched)
{
    make_rich_file();
    run_sql(store_path(), event_damages[_i]);
    char before[17], after[17];
    open_in_file();
    assert_status(stele_store_digest(store, before), STELE_OK);

    repairs found = run_verify(true);

    ck_assert_uint_gt(found.failed, 0);
    ck_assert_uint_eq(found.repaired, 0);
    assert_status(stele_store_digest(store, after), STELE_OK);
    ck_assert_str_eq(before, after);
}
END_TEST

/* Two events with one version: the index can't hold both. */
START_TEST(versions_that_two_events_share_stay_failed)
{
    make_rich_file();
    run_on_pages("events", OVER_EVENTS, "UPDATE imposter SET version = 1 WHERE position = 3");
    open_in_file();

    repairs found = run_verify(true);

    ck_assert_uint_eq(found.repaired, 0);
    ck_assert_uint_gt(found.failed, 1);
}
END_TEST

/* The place of the pointer to the first child of the tree `name`, whose root is an inner page. */
static unsigned char *first_child(const file_copy *file, const char *name)
{
    unsigned char *root = file->data + (root_of(name) - 1) * PAGE;
    ck_assert(root[0] == 2 || root[0] == 5);
    return root + (root[12] << 8 | root[13]);
}

/* Clearing such an index would give away a page that is somebody else's: of the events, of another
 * index, or its own a second time. */
START_TEST(index_that_leads_into_another_tree_never_takes_that_with_it)
{
    char digest[17], now[17];
    make_deep_file(digest);
    size_t other = root_of("sqlite_autoindex_idempotency_1");
    file_copy file = load_file(store_path());
    unsigned char *root = file.data + (root_of(EVENT_INDEX) - 1) * PAGE;
    unsigned char *child = first_child(&file, EVENT_INDEX);
    const unsigned char number[4] = { 0, 0, (unsigned char)(other >> 8), (unsigned char)other };
    switch (_i) {
    case 0: memcpy(child, first_child(&file, "events"), 4); break;
    case 1: memcpy(root + 8, first_child(&file, "events"), 4); break;
    case 2: memcpy(child, number, 4); break;
    case 3: memcpy(root + 8, number, 4); break;
    default: memcpy(child, root + 8, 4); break;
    }
    save_file(store_path(), file.data, file.size);
    free(file.data);
    open_in_file();

    repairs found = run_verify(true);

    ck_assert_uint_gt(found.failed + found.repaired, 0);
    assert_status(stele_store_digest(store, now), STELE_OK);
    ck_assert_str_eq(now, digest);
    close_store();
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM idempotency INDEXED BY"
                                              " sqlite_autoindex_idempotency_1"),
                     1);
}
END_TEST

START_TEST(zeroed_page_of_an_index_harms_nothing)
{
    char digest[17], now[17];
    make_deep_file(digest);
    file_copy file = load_file(store_path());
    unsigned char *root = file.data + (root_of(EVENT_INDEX) - 1) * PAGE;
    const unsigned char *cell = root + (root[12] << 8 | root[13]);
    size_t child = (size_t)cell[0] << 24 | (size_t)cell[1] << 16 | (size_t)cell[2] << 8 | cell[3];
    memset(file.data + (child - 1) * PAGE, 0, PAGE);
    save_file(store_path(), file.data, file.size);
    free(file.data);
    open_in_file();

    repairs found = run_verify(true);

    ck_assert_uint_gt(found.failed + found.repaired, 0);
    assert_status(stele_store_digest(store, now), STELE_OK);
    ck_assert_str_eq(now, digest);
}
END_TEST

/* --- Who may --- */

START_TEST(repair_of_a_read_only_store_is_misuse)
{
    make_rich_file();
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    store = open_path(store_path(), &options);
    stele_verify_options wanted = STELE_VERIFY_INIT;
    wanted.repair = true;
    stele_verify *verify = NULL;

    assert_status(stele_verify_open(store, &wanted, &verify), STELE_MISUSE);

    assert_reason_has("for reading");
    ck_assert_ptr_null(verify);
}
END_TEST

START_TEST(repair_inside_a_transaction_of_this_thread_is_misuse)
{
    make_rich_file();
    run_on_pages(EVENT_INDEX, OVER_EVENT_INDEX, "DELETE FROM imposter WHERE position = 3");
    open_in_file();
    stele_transaction *transaction = begin();
    stele_verify_options options = STELE_VERIFY_INIT;
    options.repair = true;
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    assert_status(stele_verify_open(store, &options, &verify), STELE_OK);

    assert_status(stele_verify_next(verify, &check), STELE_MISUSE);

    ck_assert_ptr_null(check);
    stele_transaction_end(transaction);
    assert_status(stele_verify_next(verify, &check), STELE_OK);
    ck_assert(check->repaired);
    stele_verify_close(verify);
}
END_TEST

START_TEST(repair_waits_for_another_writer_no_longer_than_told)
{
    make_rich_file();
    run_on_pages(EVENT_INDEX, OVER_EVENT_INDEX, "DELETE FROM imposter WHERE position = 3");
    open_in_file();
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "BEGIN IMMEDIATE");
    stele_wait wait = STELE_WAIT_INIT;
    stele_work work = STELE_WORK_INIT;
    stele_verify_options options = STELE_VERIFY_INIT;
    wait.timeout_ms = 0;
    work.wait = &wait;
    options.work = &work;
    options.repair = true;
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    assert_status(stele_verify_open(store, &options, &verify), STELE_OK);

    assert_status(stele_verify_next(verify, &check), STELE_BUSY);

    run_raw(raw, "ROLLBACK");
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
    assert_status(stele_verify_next(verify, &check), STELE_OK);
    ck_assert(check->repaired);
    stele_verify_close(verify);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify repair");
    TCase *tests = add_case(suite, "repair", NULL);
    tcase_add_loop_test(tests, damaged_index_is_built_anew_and_the_log_is_the_same, 0,
                        (int)COUNT_OF(index_damages));
    tcase_add_test(tests, index_page_with_a_doubled_entry_is_built_anew);
    tcase_add_loop_test(tests, check_of_the_index_repairs_it_when_it_runs_alone, 0, 2);
    tcase_add_loop_test(tests, index_that_names_a_lost_event_is_left_as_the_witness, 0, 2);
    tcase_add_loop_test(tests, damage_of_events_and_names_stays_failed_and_untouched, 0,
                        (int)COUNT_OF(event_damages));
    tcase_add_test(tests, versions_that_two_events_share_stay_failed);
    tcase_add_loop_test(tests, index_that_leads_into_another_tree_never_takes_that_with_it, 0, 5);
    tcase_add_test(tests, zeroed_page_of_an_index_harms_nothing);
    tcase_add_test(tests, repair_of_a_read_only_store_is_misuse);
    tcase_add_test(tests, repair_inside_a_transaction_of_this_thread_is_misuse);
    tcase_add_test(tests, repair_waits_for_another_writer_no_longer_than_told);
    return run_suite(suite);
}
