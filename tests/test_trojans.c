/* Files that somebody has prepared: refused for what they are and left as they were, or harmless.
 */
#include "contract.h"

#include <stele/hooks.h>
#include <stele/verify.h>

/* "name of one of our objects" by another SQL text, as only writing to sqlite_schema can do it. */
#define REWRITE(name, from, to)                                                                    \
    "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '" from "', '" to    \
    "') WHERE name = '" name "'"

/* What the log hook heard last, and how often it heard something. */
static char heard[1024];
static int heard_count;

static void hear(void *context, stele_log_level level, const char *text)
{
    (void)context;
    if (level == STELE_LOG_WARNING && strstr(text, "of others") != NULL) {
        snprintf(heard, sizeof(heard), "%s", text);
        heard_count++;
    }
}

static void make_file(void)
{
    stele_event events[3];
    for (size_t i = 0; i < COUNT_OF(events); i++)
        events[i] = make_event("counted", "{}");
    stele_append append = make_append("a-1", STELE_NO_STREAM, events, COUNT_OF(events));
    open_in_file();
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    close_store();
}

static void make_trojan(const char *sql)
{
    make_file();
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "PRAGMA synchronous = OFF");
    run_raw(raw, sql);
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
    ck_assert(!file_exists(test_path("store.db-wal")));
}

/* In each way of opening, without a byte of it changed and nothing left beside it. */
static void expect_refused(stele_status expected, const char *named)
{
    for (int way = 0; way < 4; way++) {
        file_copy before = load_file(store_path());
        stele_options options = STELE_OPTIONS_INIT;
        options.read_only = way == 1;
        options.strict_schema = way == 2;
        options.no_migrate = way == 3;

        refuse_path(store_path(), &options, expected);

        assert_reason_has(named);
        assert_reason_has(store_path());
        expect_unchanged(store_path(), before);
        /* Only who may not write leaves the empty -wal that SQLite made for reading. */
        ck_assert(options.read_only || !file_exists(test_path("store.db-wal")));
        ck_assert(!file_exists(test_path("store.db-journal")));
    }
}

/* --- The schema --- */

static const struct {
    const char *sql;
    const char *named;
} trojans[] = {
    /* Hung on our tables. */
    { "CREATE TRIGGER trojan BEFORE INSERT ON events BEGIN SELECT raise(IGNORE); END", "trojan" },
    { "CREATE TRIGGER trojan AFTER INSERT ON EVENTS BEGIN DELETE FROM events; END", "trojan" },
    { "CREATE TRIGGER trojan AFTER DELETE ON \"events\" WHEN abs(1) BEGIN SELECT 1; END",
      "trojan" },
    { "CREATE TRIGGER trojan AFTER UPDATE OF position ON CHECKPOINTS BEGIN SELECT 1; END",
      "trojan" },
    { "CREATE TRIGGER trojan INSTEAD OF DELETE ON Log BEGIN SELECT 1; END", "trojan" },
    { "CREATE INDEX trojan ON events(abs(version))", "trojan" },
    { "CREATE INDEX trojan ON events(type) WHERE abs(type) > 0", "trojan" },
    { "CREATE UNIQUE INDEX trojan ON [events](version)", "trojan" },
    { "CREATE INDEX \"main.events\" ON events(json(data))", "main.events" },
    /* Under names that SQLite keeps for itself. */
    { "CREATE INDEX trojan ON events(type); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET"
      " name = 'sqlite_stat9', sql = replace(sql, 'trojan', 'sqlite_stat9') WHERE name = 'trojan'",
      "sqlite_stat9" },
    { "CREATE TRIGGER trojan AFTER INSERT ON events BEGIN SELECT 1; END;"
      " PRAGMA writable_schema = ON; UPDATE sqlite_schema SET name = 'sqlite_sequence',"
      " sql = replace(sql, 'trojan', 'sqlite_sequence') WHERE name = 'trojan'",
      "sqlite_sequence" },
    { "CREATE INDEX trojan ON events(type); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET"
      " name = 'sqlite_autoindex_events_2',"
      " sql = replace(sql, 'trojan', 'sqlite_autoindex_events_2') WHERE name = 'trojan'",
      "sqlite_autoindex_events_2" },
    /* Something else in the place of ours. */
    { "DROP TABLE archives; CREATE VIEW archives AS SELECT 1 AS id", "archives" },
    { "DROP TABLE types; CREATE VIRTUAL TABLE types USING fts5(id, name, checksum)", "types" },
    { "DROP VIEW log; CREATE VIEW log AS SELECT position, data FROM events", "log" },
    { "DROP VIEW log; CREATE TABLE log(position, stream)", "log" },
    { "DROP TABLE state; CREATE TABLE state(id)", "" },
    { "DROP INDEX state_newest; CREATE INDEX state_newest ON state(key)", "state_newest" },
    { "DROP INDEX state_newest; CREATE TRIGGER state_newest AFTER INSERT ON state BEGIN"
      " SELECT 1; END",
      "state_newest" },
    { "DROP TABLE archive_ranges", "archive_ranges" },
    { "DROP TABLE meta", "meta" },
    /* Ours, but not quite. */
    { "ALTER TABLE events ADD COLUMN extra TEXT", "events" },
    { "ALTER TABLE events ADD COLUMN twin INTEGER AS (version + 1) VIRTUAL", "events" },
    { "ALTER TABLE streams ADD COLUMN twin INTEGER AS (abs(state))", "streams" },
    { "ALTER TABLE checkpoints RENAME COLUMN owner TO holder", "checkpoints" },
    { REWRITE("events", "CHECK(version > 0)", "CHECK(randomblob(version) > 0)"), "events" },
    { REWRITE("events", "version INTEGER NOT NULL", "version INTEGER NOT NULL DEFAULT 1"),
      "events" },
    { REWRITE("events", ") STRICT", ")"), "events" },
    { REWRITE("streams", "name TEXT UNIQUE", "name TEXT COLLATE NOCASE UNIQUE"), "streams" },
    { REWRITE("streams", "name TEXT UNIQUE", "name TEXT UNIQUE ON CONFLICT IGNORE"), "streams" },
    { REWRITE("checkpoints", "position INTEGER", "position INTEGER REFERENCES events"),
      "checkpoints" },
    { REWRITE("parked", "STRICT, WITHOUT ROWID", "STRICT"), "parked" },
    { REWRITE("parked", "CREATE TABLE parked", "CREATE TABLE \"parked\""), "parked" },
    { REWRITE("parked", "CREATE TABLE parked", "create table parked"), "parked" },
    { "DROP INDEX parked_key", "parked_key" },
    { "DROP INDEX parked_key; CREATE INDEX parked_key ON parked(subscription, key)", "parked_key" },
    { "DROP TABLE members", "members" },
    { "ALTER TABLE members ADD COLUMN extra TEXT", "members" },
    { REWRITE("checkpoints", "PRIMARY KEY(name, lane)", "PRIMARY KEY(name, lane, position)"),
      "checkpoints" },
    { "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET name = 'PARKED', tbl_name = 'PARKED',"
      " sql = replace(sql, 'parked', 'PARKED') WHERE name = 'parked'",
      "PARKED" },
    { "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = sql ||"
      " printf('%.*c', 20000000, ' ') WHERE name = 'types'",
      "types" },
    /* A schema that contradicts itself. */
    { "CREATE TABLE mine(n); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage ="
      " (SELECT rootpage FROM sqlite_schema WHERE name = 'events') WHERE name = 'mine'",
      "mine" },
    { "CREATE TABLE mine(n); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 1"
      " WHERE name = 'mine'",
      "mine" },
    { "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema"
      " WHERE name = 'sqlite_autoindex_events_1'",
      "" },
    { "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'events'", "" },
    { "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT type, name, tbl_name,"
      " rootpage, sql FROM sqlite_schema WHERE name = 'types'; DELETE FROM sqlite_schema"
      " WHERE name = 'parked'",
      "" },
    { "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES(NULL, NULL, NULL, NULL,"
      " NULL)",
      "" },
    { "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'garbage' WHERE name = 'types'",
      "" },
    { "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = NULL WHERE name = 'types'", "" },
    { "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = x'00ff' WHERE name = 'types'",
      "" },
    { "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET type = 'view' WHERE name = 'types'",
      "" },
    { "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 999999"
      " WHERE name = 'events'",
      "" },
    { "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 0 WHERE name = 'events'",
      "" },
    { "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = -1 WHERE name = 'events'",
      "" },
    { "CREATE TRIGGER trojan AFTER INSERT ON events BEGIN SELECT 1; END;"
      " CREATE TABLE mine(n); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET"
      " tbl_name = 'mine' WHERE name = 'trojan'",
      "" },
    { "CREATE INDEX trojan ON events(type); CREATE TABLE mine(n); PRAGMA writable_schema = ON;"
      " UPDATE sqlite_schema SET tbl_name = 'mine' WHERE name = 'trojan'",
      "" },
    { "PRAGMA application_id = 7", "not a stele store" },
    { "PRAGMA application_id = 0", "not a stele store" },
    { "PRAGMA user_version = 0", "format 0" },
    { "PRAGMA user_version = -1", "format -1" },
};

START_TEST(trojan_is_refused_by_name_and_left_as_it_was)
{
    make_trojan(trojans[_i].sql);

    expect_refused(STELE_CORRUPT, trojans[_i].named);
}
END_TEST

START_TEST(file_of_a_later_format_is_unsupported)
{
    make_trojan("PRAGMA user_version = 2; DROP TABLE parked");
    expect_refused(STELE_UNSUPPORTED, "format 2");
}
END_TEST

/* Taking any of these for an empty file would write over it. */
START_TEST(emptied_schema_is_refused)
{
    make_trojan("PRAGMA writable_schema = ON; DELETE FROM sqlite_schema");
    expect_refused(STELE_CORRUPT, "");
}
END_TEST

/* What the refusal prevents: SQLite says that all went well. */
START_TEST(control_plain_append_beside_the_trojan_succeeds_and_stores_nothing)
{
    make_trojan(trojans[0].sql);
    sqlite3 *raw = open_raw(store_path());

    run_raw(raw, "BEGIN IMMEDIATE; INSERT INTO events SELECT 4, stream, 4, type, schema_version,"
                 " codec, recorded_at, occurred_at, flags, payload_hash, checksum, data, metadata"
                 " FROM events WHERE position = 3; COMMIT");

    ck_assert_int_eq(sqlite3_errcode(raw), SQLITE_OK);
    ck_assert_int_eq(raw_number(raw, "SELECT count(*) FROM events"), 3);
    sqlite3_close(raw);
    expect_refused(STELE_CORRUPT, "trojan");
    run_sql(store_path(), "DROP TRIGGER trojan");
    open_in_file();
    fill_stream("a-1", 1);
    ck_assert_int_eq(head_of(store), 4);
}
END_TEST

/* --- Strange, but none of our business --- */

static const char *const harmless[] = {
    /* Twins that are other names to SQLite. */
    "CREATE TABLE \"\xd0\xb5vents\"(n)",
    ("CREATE TABLE \"events \"(n); CREATE TRIGGER t AFTER INSERT ON \"events \" BEGIN"
     " DELETE FROM events; END"),
    "CREATE TABLE \"main.events\"(n)",
    "CREATE TABLE \"\"(n)",
    "CREATE TABLE \"%s%n\"(\"'\")",
    "CREATE VIEW \"my log\" AS SELECT * FROM log",
    /* On tables of others. */
    "CREATE TABLE mine(n); CREATE TRIGGER t AFTER INSERT ON mine BEGIN DELETE FROM events; END",
    ("CREATE TABLE mine(n CHECK(abs(n) > 0), m AS (n + 1)); CREATE INDEX i ON mine(abs(n))"
     " WHERE n > 7"),
    ("CREATE TABLE mine(n); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql ="
     " 'CREATE TABLE mine(n CHECK(nosuch(n)), m AS (nosuch(n)))' WHERE name = 'mine'"),
    "CREATE VIRTUAL TABLE archive USING fts5(data, content='events', content_rowid='position')",
    "CREATE VIRTUAL TABLE events_of USING fts5(data)",
    ("PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES('table', 'mine', 'mine', 0,"
     " 'CREATE VIRTUAL TABLE mine USING nosuch(events)')"),
    "CREATE TABLE mine(n REFERENCES nosuch)",
    /* SQLite's own tables. */
    ("CREATE TABLE mine(n INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO sqlite_sequence"
     " VALUES('events', 9223372036854775807), ('streams', -5), (NULL, 'x')"),
    ("ANALYZE; INSERT INTO sqlite_stat1 VALUES('events', 'sqlite_autoindex_events_1', '1 1 1'),"
     " ('events', NULL, 'x'), ('nosuch', 'none', '9 9'), (NULL, NULL, NULL)"),
    "ANALYZE; UPDATE sqlite_stat1 SET stat = '99999999999 unordered noskipscan sz=0'",
    /* Large. */
    ("CREATE TABLE mine(n); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql ="
     " 'CREATE TABLE mine(n /*' || printf('%.*c', 20000000, 'x') || '*/)' WHERE name = 'mine'"),
    /* Settings of the file. */
    "PRAGMA journal_mode = DELETE",
    "PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM",
    "PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM",
    "PRAGMA journal_mode = DELETE; PRAGMA page_size = 65536; VACUUM",
    "PRAGMA default_cache_size = 1",
    "PRAGMA schema_version = 4294967295",
};

START_TEST(strange_things_of_others_do_no_harm)
{
    make_trojan(harmless[_i]);

    open_in_file();

    fill_stream("a-1", 2);
    assert_status(append_one("b-1", STELE_NO_STREAM, "opened", NULL), STELE_OK);
    ck_assert_str_eq(positions_of(NULL), "1 2 3 4 5 6");
    stele_read read = STELE_READ_INIT;
    read.stream = "a-1";
    ck_assert_str_eq(versions_of(&read), "1 2 3 4 5");
    reopen_file();
    ck_assert_int_eq(version_of("a-1"), 5);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM events"), 6);
}
END_TEST

/* They don't run, which whoever made them may not know. */
START_TEST(opening_warns_of_triggers_and_views_of_others)
{
    heard_count = 0;
    make_trojan("CREATE TABLE mine(n); CREATE INDEX i ON mine(n); ANALYZE");
    open_in_file();
    close_store();
    ck_assert_int_eq(heard_count, 0);
    run_sql(store_path(), "CREATE VIEW seen AS SELECT 1; CREATE TRIGGER t AFTER INSERT ON mine"
                          " BEGIN SELECT 1; END");

    open_in_file();

    ck_assert_int_eq(heard_count, 1);
    ck_assert_ptr_nonnull(strstr(heard, store_path()));
    ck_assert_ptr_nonnull(strstr(heard, "has 2 trigger(s) or view(s)"));
}
END_TEST

START_TEST(looking_at_a_file_without_wal_leaves_it_so)
{
    make_trojan("PRAGMA journal_mode = DELETE");
    file_copy before = load_file(store_path());
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    store = open_path(store_path(), &options);
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
    close_store();
    expect_unchanged(store_path(), before);
}
END_TEST

START_TEST(file_in_utf16_is_unsupported)
{
    static const char *const encodings[] = { "PRAGMA encoding = 'UTF-16le'",
                                             "PRAGMA encoding = 'UTF-16be'" };
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, encodings[_i]);
    run_raw(raw, "CREATE TABLE first(n)");
    run_raw(raw, stele_schema_sql());
    run_raw(raw, "DROP TABLE first");
    sqlite3_close(raw);

    expect_refused(STELE_UNSUPPORTED, "UTF-8");
}
END_TEST

/* --- Bytes --- */

/* Cut to `size` bytes; what is refused stays as it is, what is not is told by verify or a read. */
static void cut_file(const file_copy *whole, size_t size)
{
    save_file(store_path(), whole->data, size);
    file_copy before = load_file(store_path());
    stele_store *opened = NULL;
    stele_status status = stele_store_open(store_path(), NULL, &opened);
    if (status != STELE_OK) {
        ck_assert_int_eq(status, STELE_CORRUPT);
        ck_assert_ptr_null(opened);
        expect_unchanged(store_path(), before);
        return;
    }
    free(before.data);
    store = opened;
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    uint64_t failures = 0;
    assert_status(stele_verify_open(store, NULL, &verify), STELE_OK);
    while ((status = stele_verify_next(verify, &check)) == STELE_OK)
        failures += check->failures;
    stele_verify_close(verify);
    ck_assert_msg(status != STELE_DONE || failures > 0, "cut to %zu bytes it passes", size);
    close_store();
}

START_TEST(file_cut_short_is_refused_or_found_out)
{
    make_file();
    file_copy whole = load_file(store_path());
    ck_assert_uint_gt(whole.size, 40000);

    for (size_t size = 512; size < whole.size; size += size < 8192 ? 512 : 4096)
        cut_file(&whole, size);
    cut_file(&whole, whole.size - 1);

    free(whole.data);
}
END_TEST

START_TEST(file_shorter_than_a_header_is_refused)
{
    static const size_t sizes[] = { 1, 2, 15, 16, 17, 99, 100, 101, 510, 511 };
    make_file();
    file_copy whole = load_file(store_path());
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        save_file(store_path(), whole.data, sizes[i]);
        expect_refused(STELE_CORRUPT, "not a SQLite file");
    }
    free(whole.data);
}
END_TEST

/* Each byte of the header wrong in turn: an answer with a type, and a refused file is not touched.
 * Where the store opens, its events are the same. */
START_TEST(each_wrong_byte_in_the_header_has_an_answer)
{
    make_file();
    file_copy whole = load_file(store_path());
    unsigned opened_count = 0;
    for (size_t at = 0; at < 100; at++) {
        unsigned char good = whole.data[at];
        whole.data[at] = (unsigned char)(good ^ (at % 2 == 0 ? 0xff : 0x01));
        save_file(store_path(), whole.data, whole.size);
        file_copy before = load_file(store_path());
        stele_store *opened = NULL;
        stele_status status = stele_store_open(store_path(), NULL, &opened);
        if (status != STELE_OK) {
            ck_assert_msg(status == STELE_CORRUPT || status == STELE_UNSUPPORTED
                              || status == STELE_READ_ONLY,
                          "byte %zu: %s: %s", at, stele_status_name(status), stele_error_text());
            expect_unchanged(store_path(), before);
        } else {
            free(before.data);
            store = opened;
            ck_assert_str_eq(positions_of(NULL), "1 2 3");
            close_store();
            opened_count++;
        }
        unlink(test_path("store.db-wal"));
        unlink(test_path("store.db-shm"));
        whole.data[at] = good;
    }
    ck_assert_uint_gt(opened_count, 0); /* unused bytes, counters */
    ck_assert_uint_lt(opened_count, 100);
    free(whole.data);
}
END_TEST

int main(void)
{
    /* Before the first store, whichever test opens that. */
    if (stele_log_set(hear, NULL) != STELE_OK)
        return 1;
    Suite *suite = suite_create("trojans");
    TCase *tests = add_case(suite, "file", NULL);
    tcase_add_loop_test(tests, trojan_is_refused_by_name_and_left_as_it_was, 0,
                        (int)COUNT_OF(trojans));
    tcase_add_test(tests, file_of_a_later_format_is_unsupported);
    tcase_add_test(tests, emptied_schema_is_refused);
    tcase_add_test(tests, control_plain_append_beside_the_trojan_succeeds_and_stores_nothing);
    tcase_add_loop_test(tests, strange_things_of_others_do_no_harm, 0, (int)COUNT_OF(harmless));
    tcase_add_test(tests, opening_warns_of_triggers_and_views_of_others);
    tcase_add_test(tests, looking_at_a_file_without_wal_leaves_it_so);
    tcase_add_loop_test(tests, file_in_utf16_is_unsupported, 0, 2);
    tcase_add_test(tests, file_cut_short_is_refused_or_found_out);
    tcase_add_test(tests, file_shorter_than_a_header_is_refused);
    tcase_add_test(tests, each_wrong_byte_in_the_header_has_an_answer);
    return run_suite(suite);
}
