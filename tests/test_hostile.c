/* Files whose schema somebody has tampered with: refused, or made harmless. */
#include "contract.h"

static void make_file(void)
{
    open_in_file();
    fill_stream("a-1", 3);
    close_store();
}

static bool has_foreign_objects(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    return info.foreign_objects;
}

/* --- Refused --- */

static const struct {
    const char *sql;
    const char *named; /* What the reason must say. */
} attacks[] = {
    { "CREATE TRIGGER trojan AFTER INSERT ON events BEGIN DELETE FROM events; END", "trojan" },
    { "CREATE TRIGGER trojan BEFORE UPDATE ON checkpoints BEGIN SELECT raise(ignore); END",
      "trojan" },
    { "CREATE TRIGGER trojan INSTEAD OF INSERT ON log BEGIN SELECT 1; END", "trojan" },
    { "CREATE INDEX spare ON events(type)", "spare" },
    { "CREATE UNIQUE INDEX spare ON events(version, stream)", "spare" },
    { "CREATE INDEX spare ON streams(state) WHERE state > 0", "spare" },
    { "CREATE TABLE follower(s TEXT REFERENCES streams(name))", "follower" },
    { "CREATE TABLE follower(s INTEGER, FOREIGN KEY(s) REFERENCES EVENTS(position))", "follower" },
    { "DROP TABLE parked; CREATE VIEW parked AS SELECT 1 AS subscription", "parked" },
    { "DROP TABLE parked", "" },
    { "DROP VIEW log", "" },
    { "DROP VIEW log; CREATE VIEW log AS SELECT 1", "log" },
    { "DROP VIEW log; CREATE TABLE log(n)", "log" },
    { "DROP INDEX state_newest", "" },
    { "DROP INDEX state_newest; CREATE INDEX state_newest ON state(scope)", "state_newest" },
    { "DROP TABLE types; CREATE TABLE types(id INTEGER PRIMARY KEY, name TEXT, checksum)",
      "types" },
    { "ALTER TABLE events ADD COLUMN extra INTEGER", "events" },
    { "ALTER TABLE streams RENAME COLUMN state TO condition", "" },
    { "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql ="
      " replace(sql, 'CHECK(version > 0)', 'CHECK(version > 9)') WHERE name = 'events'",
      "events" },
    { "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql ="
      " replace(sql, 'UNIQUE', 'unique') WHERE name = 'codecs'",
      "codecs" },
};

START_TEST(tampered_schema_is_refused_by_name)
{
    make_file();
    run_sql(store_path(), attacks[_i].sql);

    refuse_path(store_path(), NULL, STELE_CORRUPT);

    assert_reason_has(attacks[_i].named);
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    refuse_path(store_path(), &options, STELE_CORRUPT);
}
END_TEST

/* --- Left in peace --- */

static const struct {
    const char *sql;
    bool foreign;
} friendly[] = {
    { "SELECT 1", false },
    { "ANALYZE", false },
    { "CREATE TABLE mine(n)", true },
    { "CREATE TABLE mine(n UNIQUE); CREATE INDEX mine_n ON mine(n)", true },
    { "CREATE TABLE mine(n INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO mine VALUES(7)", true },
    { "CREATE VIEW mine AS SELECT count(*) FROM events", true },
    { "CREATE TABLE mine(n); CREATE TRIGGER t AFTER INSERT ON mine BEGIN DELETE FROM events; END",
      true },
    { "CREATE TABLE mine(n PRIMARY KEY); CREATE TABLE other(n REFERENCES mine(n))", true },
};

START_TEST(objects_of_the_user_are_told_of_and_left_in_peace)
{
    make_file();
    run_sql(store_path(), friendly[_i].sql);

    open_in_file();

    ck_assert_int_eq(has_foreign_objects(), friendly[_i].foreign);
    fill_stream("a-1", 1);
    ck_assert_str_eq(positions_of(NULL), "1 2 3 4");
}
END_TEST

START_TEST(objects_of_the_user_are_refused_by_strict_schema)
{
    make_file();
    run_sql(store_path(), friendly[_i].sql);
    stele_options options = STELE_OPTIONS_INIT;
    options.strict_schema = true;

    if (friendly[_i].foreign) {
        refuse_path(store_path(), &options, STELE_CORRUPT);
        assert_reason_has("mine");
    } else {
        store = open_path(store_path(), &options);
        fill_stream("a-1", 1);
    }
}
END_TEST

/* --- While it is open --- */

typedef struct accomplice {
    pid_t process;
    int to_start, when_done; /* Ends of pipes. */
} accomplice;

/* A process of its own that runs `sql` on the file when told; forked before any store is open. */
static accomplice hire_accomplice(const char *sql)
{
    int start[2], done[2];
    ck_assert_int_eq(pipe(start), 0);
    ck_assert_int_eq(pipe(done), 0);
    char path[4096];
    snprintf(path, sizeof(path), "%s", store_path());
    fflush(NULL);
    pid_t process = fork();
    ck_assert_int_ge(process, 0);
    if (process == 0) {
        char byte = 'x';
        sqlite3 *raw = NULL;
        if (read(start[0], &byte, 1) != 1 || sqlite3_open(path, &raw) != SQLITE_OK
            || sqlite3_busy_timeout(raw, 5000) != SQLITE_OK
            || sqlite3_exec(raw, sql, NULL, NULL, NULL) != SQLITE_OK)
            byte = 'f';
        sqlite3_close(raw);
        ssize_t written = write(done[1], &byte, 1);
        _exit(byte == 'f' || written != 1);
    }
    close(start[0]);
    close(done[1]);
    return (accomplice){ process, start[1], done[0] };
}

static void let_accomplice_act(accomplice *helper)
{
    char byte = 's';
    ck_assert_int_eq(write(helper->to_start, &byte, 1), 1);
    ck_assert_int_eq(read(helper->when_done, &byte, 1), 1);
    ck_assert_int_eq(byte, 's');
    close(helper->to_start);
    close(helper->when_done);
    int status = 0;
    ck_assert_int_eq(waitpid(helper->process, &status, 0), helper->process);
}

START_TEST(trigger_planted_while_open_does_not_run)
{
    make_file();
    accomplice helper = hire_accomplice(
        "CREATE TRIGGER trojan AFTER INSERT ON events BEGIN DELETE FROM events; END");
    open_in_file();
    fill_stream("a-1", 1);

    let_accomplice_act(&helper);
    stele_status status = append_one("a-1", STELE_ANY, "after", NULL);

    ck_assert(status == STELE_OK || status == STELE_CORRUPT);
    close_store();
    run_sql(store_path(), "DROP TRIGGER trojan");
    open_in_file();
    ck_assert_int_eq(head_of(store), status == STELE_OK ? 5 : 4);
    ck_assert_str_eq(positions_of(NULL), status == STELE_OK ? "1 2 3 4 5" : "1 2 3 4");
}
END_TEST

START_TEST(commits_of_another_program_to_its_own_tables_do_no_harm)
{
    make_file();
    accomplice helper = hire_accomplice("CREATE TABLE mine(n); INSERT INTO mine VALUES(1)");
    open_in_file();
    fill_stream("a-1", 1);

    let_accomplice_act(&helper);
    fill_stream("a-1", 1);

    ck_assert_str_eq(positions_of(NULL), "1 2 3 4 5");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hostile");
    TCase *tests = add_case(suite, "file", NULL);
    tcase_add_loop_test(tests, tampered_schema_is_refused_by_name, 0, (int)COUNT_OF(attacks));
    tcase_add_loop_test(tests, objects_of_the_user_are_told_of_and_left_in_peace, 0,
                        (int)COUNT_OF(friendly));
    tcase_add_loop_test(tests, objects_of_the_user_are_refused_by_strict_schema, 0,
                        (int)COUNT_OF(friendly));
    tcase_add_test(tests, trigger_planted_while_open_does_not_run);
    tcase_add_test(tests, commits_of_another_program_to_its_own_tables_do_no_harm);
    return run_suite(suite);
}
