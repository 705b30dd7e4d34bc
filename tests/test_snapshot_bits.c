/* Snapshots in a file whose bits flip: each is a miss or as it was saved, never another value. */
#include "effort.h"
#include "snapshot_file.h"

enum { MISSES, HITS, OLDER, CORRUPT, OUTCOMES };

/* Whatever is told of a stream: what was saved, a miss, or that the file is damaged. */
static void expect_no_wrong_value(const char *stream, const char *where, int counts[OUTCOMES])
{
    stele_snapshot_read read = make_snapshot_read(stream);
    const stele_snapshot_record *record = NULL;
    stele_status status = stele_snapshot_load(store, &read, &record);
    ck_assert_msg(status == STELE_OK || status == STELE_CORRUPT, "%s: %s: %s", where,
                  stele_status_name(status), stele_error_text());
    counts[status != STELE_OK                                  ? CORRUPT
           : !record->found                                    ? MISSES
           : strcmp(stream, "a-1") == 0 && record->version < 9 ? OLDER
                                                               : HITS]++;
    if (status == STELE_OK && record->found) {
        const char *expected = strcmp(stream, "b-1") == 0 ? "5" : data_of(record->version);
        ck_assert_msg(strcmp(record->data, expected) == 0, "%s: version %" PRId64 " is %s", where,
                      record->version, (const char *)record->data);
        ck_assert_msg(record->schema_version == 1 && strcmp(record->codec, "json") == 0
                          && strcmp(record->name, "state") == 0,
                      "%s: wrong facts", where);
        ck_assert_msg(strcmp(stream, "b-1") == 0
                          ? record->version == 5 && record->metadata_size == 0
                          : record->version % 3 == 0 && record->version <= 9
                                && strcmp(record->metadata, "{\"by\":\"me\"}") == 0,
                      "%s: wrong facts", where);
    }
    stele_snapshot_close(record);
}

/* The pages of the table, its index and what spills over, as SQLite itself tells them. */
static bool *pages_of_snapshots(size_t count)
{
    bool *pages = calloc(count + 1, sizeof(*pages));
    sqlite3_stmt *statement = NULL;
    sqlite3 *raw = open_raw(store_path());
    ck_assert_ptr_nonnull(pages);
    if (sqlite3_prepare_v2(raw,
                           "SELECT pageno FROM dbstat WHERE name IN"
                           " ('snapshots', 'sqlite_autoindex_snapshots_1')",
                           -1, &statement, NULL)
        == SQLITE_OK) {
        while (sqlite3_step(statement) == SQLITE_ROW)
            pages[sqlite3_column_int(statement, 0)] = true;
    } else {
        pages[0] = true; /* this SQLite can't tell: all of them */
    }
    sqlite3_finalize(statement);
    sqlite3_close(raw);
    return pages;
}

START_TEST(flipped_bit_is_a_miss_or_found_and_never_another_value)
{
    uint64_t seed = choose_seed();
    int trials = effort_of(400, 20000);
    int counts[OUTCOMES] = { 0 };
    make_file();
    file_copy file = load_file(store_path());
    bool *pages = pages_of_snapshots(file.size / 4096);
    unlink(test_path("store.db-anchor"));

    for (int i = 0; i < trials; i++) {
        char where[64];
        size_t at = (size_t)(next_chance() % file.size);
        for (int k = 0; k < 50 && file.data[at] == 0 && i % 4 > 0; k++)
            at = (size_t)(next_chance() % file.size); /* most of a page may be empty */
        if (!pages[0] && !pages[at / 4096 + 1] && ++trials > 0)
            continue;
        unsigned char bit = (unsigned char)(1u << next_chance() % 8);
        snprintf(where, sizeof(where), "seed %" PRIu64 ", byte %zu, bit 0x%x", seed, at, bit);
        file.data[at] ^= bit;
        save_file(store_path(), file.data, file.size);
        stele_options options = STELE_OPTIONS_INIT;
        options.read_only = true;
        options.immutable = true;
        stele_status status = stele_store_open(store_path(), &options, &store);
        if (status == STELE_OK) {
            expect_no_wrong_value("a-1", where, counts);
            expect_no_wrong_value("b-1", where, counts);
            stele_snapshots *list = NULL;
            status = stele_store_snapshots(store, NULL, &list);
            ck_assert_msg(status == STELE_OK || status == STELE_CORRUPT, "%s: the list is %s",
                          where, stele_status_name(status));
            stele_snapshots_close(list);
        }
        close_store();
        file.data[at] ^= bit;
    }
    printf("# flipped bits: seed %" PRIu64 ", %d hits, %d of an older one, %d misses, %d corrupt\n",
           seed, counts[HITS], counts[OLDER], counts[MISSES], counts[CORRUPT]);
    /* Otherwise nothing was flipped where it matters. */
    ck_assert_int_gt(counts[OLDER], 0);
    /* No page but those of snapshots was touched, and these never make a load fail. */
    if (!pages[0])
        ck_assert_int_eq(counts[CORRUPT], 0);
    free(file.data);
    free(pages);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot_bits");
    TCase *tests = add_case(suite, "bits", NULL);
    tcase_set_timeout(tests, effort_is_long() ? 1800 : 60);
    tcase_add_test(tests, flipped_bit_is_a_miss_or_found_and_never_another_value);
    return run_suite(suite);
}
