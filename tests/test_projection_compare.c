/* Comparing the new tables of a projection with the old ones, before they take their place. */
#include "projections.h"

#define EVENTS 60

static model_context model;
static model_context newer;

static void open_with_model(void)
{
    model = (model_context){ 0 };
    newer = (model_context){ 0 };
    open_in_file();
    for (int i = 0; i < EVENTS; i++)
        assert_status(append_one(i % 3 == 0 ? "a-1" : "b-1", STELE_ANY, "t", NULL), STELE_OK);
    follow_model(&model, 1);
}

static int64_t count_build_tables(void)
{
    return number_of("SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
                     " AND name GLOB '*_b[0-9]*'");
}

typedef struct differences {
    int count;
    int answer;
    stele_table_difference last;
    char table[64];
    char first_old[100];
    char first_new[100];
} differences;

static int note_difference(void *context, const stele_table_difference *difference)
{
    differences *of = context;
    of->count++;
    of->last = *difference;
    snprintf(of->table, sizeof(of->table), "%s", difference->table);
    snprintf(of->first_old, sizeof(of->first_old), "%s", difference->first_old);
    snprintf(of->first_new, sizeof(of->first_new), "%s", difference->first_new);
    return of->answer;
}

static stele_status rebuild_and_compare(int64_t version, differences *of)
{
    stele_projection projection = make_projection(&newer, version);
    stele_rebuild rebuild = STELE_REBUILD_INIT;
    of->count = 0;
    rebuild.differs = note_difference;
    rebuild.context = of;
    return stele_projection_rebuild(store, &projection, &rebuild, NULL);
}

static void tamper_with_model(const char *sql)
{
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    ck_assert_int_eq(sqlite3_exec(stele_transaction_sqlite(transaction), sql, NULL, NULL, NULL),
                     SQLITE_OK);
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);
}

START_TEST(tables_that_differ_are_told_of)
{
    differences of = { 0 };
    assert_status(rebuild_and_compare(1, &of), STELE_OK);
    ck_assert_int_eq(of.count, 0);

    tamper_with_model("UPDATE entries SET version = 99 WHERE position = 5;"
                      " DELETE FROM entries WHERE position = 7");
    of.answer = 1;
    assert_status(rebuild_and_compare(1, &of), STELE_CANCELLED);
    ck_assert_int_eq(of.count, 1);
    ck_assert_str_eq(of.table, "entries");
    ck_assert(!of.last.missing);
    ck_assert_uint_eq(of.last.rows_old, EVENTS - 1);
    ck_assert_uint_eq(of.last.rows_new, EVENTS);
    ck_assert_uint_eq(of.last.only_old, 1);
    ck_assert_uint_eq(of.last.only_new, 2);
    ck_assert_str_eq(of.first_old, "'b-1',5,99");
    ck_assert_str_eq(of.first_new, "'a-1',7,3");
    /* The old ones are in place, the new ones there to be looked at. */
    ck_assert_int_eq(number_of("SELECT version FROM entries WHERE position = 5"), 99);
    ck_assert_int_eq(count_build_tables(), 2);

    of.answer = 0;
    assert_status(rebuild_and_compare(1, &of), STELE_OK);
    ck_assert_int_eq(of.count, 1);
    expect_model(1);
}
END_TEST

static stele_status count_in_table(const stele_projecting *projecting, const char *before,
                                   const char *after)
{
    char table[STELE_TABLE_NAME_SIZE];
    char sql[300];
    stele_status status = stele_projecting_table(projecting, "order", table);
    snprintf(sql, sizeof(sql), "%s \"%s\"%s", before, table, after);
    if (status == STELE_OK
        && sqlite3_exec(stele_transaction_sqlite(projecting->transaction), sql, NULL, NULL, NULL)
               != SQLITE_OK)
        status = STELE_IO;
    return status;
}

static stele_status set_up_orders(void *context, const stele_projecting *projecting)
{
    (void)context;
    return count_in_table(projecting, "CREATE TABLE", "(stream TEXT)");
}

static stele_status project_orders(void *context, const stele_record *record,
                                   const stele_projecting *projecting)
{
    (void)context;
    (void)record;
    return count_in_table(projecting, "INSERT INTO", " VALUES('x')");
}

/* Names that are words of SQL are names as well. */
START_TEST(table_whose_name_is_a_keyword_is_compared)
{
    static const char *const tables[] = { "order" };
    differences of = { 0 };
    stele_projector *projector = NULL;
    stele_projection projection = STELE_PROJECTION_INIT;
    stele_rebuild rebuild = STELE_REBUILD_INIT;
    projection.name = "orders";
    projection.tables = tables;
    projection.table_count = 1;
    projection.setup = set_up_orders;
    projection.project = project_orders;
    rebuild.differs = note_difference;
    rebuild.context = &of;
    assert_status(stele_projector_open_inline(store, &projection, NULL, &projector), STELE_OK);

    assert_status(stele_projection_rebuild(store, &projection, &rebuild, NULL), STELE_OK);
    ck_assert_int_eq(of.count, 0);
    tamper_with_model("DELETE FROM \"order\"");
    assert_status(stele_projection_rebuild(store, &projection, &rebuild, NULL), STELE_OK);

    ck_assert_int_eq(of.count, 1);
    ck_assert_uint_eq(of.last.only_new, EVENTS);
    ck_assert_int_eq(number_of("SELECT count(*) FROM \"order\""), EVENTS);
    stele_projector_close(projector);
}
END_TEST

static stele_status set_up_words(void *context, const stele_projecting *projecting)
{
    (void)context;
    return count_in_table(projecting, "CREATE TABLE",
                          "(word TEXT COLLATE NOCASE, side, c1, twice AS (side + side))");
}

/* Two rows in turn. */
static stele_status project_words(void *context, const stele_record *record,
                                  const stele_projecting *projecting)
{
    (void)context;
    return count_in_table(projecting, "INSERT INTO",
                          record->position % 2 == 0 ? " VALUES('even', NULL, x'00')"
                                                    : " VALUES('odd', 2.5, 'c')");
}

static stele_projector *open_words(differences *of, stele_projection *projection,
                                   stele_rebuild *rebuild)
{
    static const char *const tables[] = { "order" };
    stele_projector *projector = NULL;
    stele_projection_init(projection);
    stele_rebuild_init(rebuild);
    projection->name = "words";
    projection->tables = tables;
    projection->table_count = 1;
    projection->setup = set_up_words;
    projection->project = project_words;
    rebuild->differs = note_difference;
    rebuild->context = of;
    assert_status(stele_projector_open_inline(store, projection, NULL, &projector), STELE_OK);
    return projector;
}

/* Equal totals of equal rows aren't enough: how often each is there has to be the same. */
START_TEST(rows_that_are_there_more_often_are_told_of)
{
    differences of = { .answer = 1 };
    stele_projection projection;
    stele_rebuild rebuild;
    stele_projector *projector = open_words(&of, &projection, &rebuild);
    assert_status(stele_projection_rebuild(store, &projection, &rebuild, NULL), STELE_OK);
    ck_assert_int_eq(of.count, 0);

    tamper_with_model("UPDATE \"order\" SET word = 'odd', side = 2.5, c1 = 'c' WHERE rowid IN"
                      " (SELECT rowid FROM \"order\" WHERE word = 'even' LIMIT 3)");
    assert_status(stele_projection_rebuild(store, &projection, &rebuild, NULL), STELE_CANCELLED);

    ck_assert_int_eq(of.count, 1);
    ck_assert_uint_eq(of.last.rows_old, of.last.rows_new);
    ck_assert_uint_eq(of.last.only_old, 3);
    ck_assert_uint_eq(of.last.only_new, 3);
    ck_assert_str_eq(of.first_old, "'odd',2.5,'c',5.0");
    ck_assert_str_eq(of.first_new, "'even',NULL,(1 bytes),NULL");

    of.answer = 0;
    assert_status(stele_projection_rebuild(store, &projection, &rebuild, NULL), STELE_OK);
    of.count = 0;
    tamper_with_model("UPDATE \"order\" SET word = 'ODD' WHERE word = 'odd'");
    assert_status(stele_projection_rebuild(store, &projection, &rebuild, NULL), STELE_OK);
    ck_assert_int_eq(of.count, 1);
    ck_assert_uint_eq(of.last.only_old, EVENTS / 2);
    stele_projector_close(projector);
}
END_TEST

/* The rows are compared column by column, so these have to be in the same order. */
START_TEST(table_with_its_columns_in_another_order_is_told_of_as_missing)
{
    differences of = { .answer = 0 };
    stele_projection projection;
    stele_rebuild rebuild;
    stele_projector *projector = open_words(&of, &projection, &rebuild);
    tamper_with_model("DROP TABLE \"order\"; CREATE TABLE \"order\"(side, word TEXT COLLATE"
                      " NOCASE, c1, twice AS (side + side))");

    assert_status(stele_projection_rebuild(store, &projection, &rebuild, NULL), STELE_OK);

    ck_assert_int_eq(of.count, 1);
    ck_assert(of.last.missing);
    stele_projector_close(projector);
}
END_TEST

START_TEST(tables_of_one_side_only_are_told_of)
{
    differences of = { .answer = 1 };
    tamper_with_model("ALTER TABLE totals ADD COLUMN more");
    assert_status(rebuild_and_compare(1, &of), STELE_CANCELLED);
    ck_assert_str_eq(of.table, "totals");
    ck_assert(of.last.missing);
    tamper_with_model("ALTER TABLE totals DROP COLUMN more;"
                      " ALTER TABLE totals RENAME COLUMN sum TO other");
    assert_status(rebuild_and_compare(1, &of), STELE_CANCELLED);
    ck_assert(of.last.missing);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("projection_compare");
    TCase *comparing = add_case(suite, "comparing", open_with_model);
    tcase_add_test(comparing, tables_that_differ_are_told_of);
    tcase_add_test(comparing, rows_that_are_there_more_often_are_told_of);
    tcase_add_test(comparing, table_with_its_columns_in_another_order_is_told_of_as_missing);
    tcase_add_test(comparing, tables_of_one_side_only_are_told_of);
    tcase_add_test(comparing, table_whose_name_is_a_keyword_is_compared);
    return run_suite(suite);
}
