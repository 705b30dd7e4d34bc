/* The anchor's file by itself, and what is read of a WAL beside SQLite. */
#include "contract.h"
#include "store/anchor.h"
#include "store/anchoring.h"

static stele__anchor_facts make_facts(int64_t head)
{
    stele__anchor_facts facts = { .head = head, .head_checksum = -head, .has_salts = true };
    snprintf(facts.uuid, sizeof(facts.uuid), "11111111-1111-4111-8111-111111111111");
    snprintf(facts.epoch, sizeof(facts.epoch), "22222222-2222-4222-8222-222222222222");
    facts.salts[0] = 0xfffffffeu;
    facts.salts[1] = 0x12345678u;
    return facts;
}

static void expect_facts(const stele__anchor_facts *expected)
{
    stele__anchor_facts facts;
    bool found = false;
    assert_status(stele__anchor_read(store_path(), &found, &facts), STELE_OK);
    ck_assert(found);
    ck_assert(stele__anchor_facts_equal(&facts, expected));
}

START_TEST(what_is_written_is_read_back_and_the_last_write_counts)
{
    stele__anchor *anchor = NULL;
    stele__anchor_facts facts;
    bool found = true;
    assert_status(stele__anchor_read(store_path(), &found, &facts), STELE_OK);
    ck_assert(!found);
    ck_assert(!file_exists(test_path("store.db-anchor")));

    assert_status(stele__anchor_open(store_path(), &anchor, &found, &facts), STELE_OK);
    ck_assert(!found);
    for (int64_t head = 1; head <= 5; head++) {
        facts = make_facts(head);
        facts.has_salts = head % 2 == 1;
        assert_status(stele__anchor_write(anchor, &facts), STELE_OK);
        expect_facts(&facts);
    }
    stele__anchor_close(anchor);

    stele__anchor_facts again;
    assert_status(stele__anchor_open(store_path(), &anchor, &found, &again), STELE_OK);
    ck_assert(found);
    ck_assert(stele__anchor_facts_equal(&again, &facts));
    stele__anchor_close(anchor);
}
END_TEST

/* Two handles, as of two processes: neither writes over what the other wrote last. */
START_TEST(writers_take_turns_with_the_slots_of_each_other)
{
    stele__anchor *anchors[2] = { NULL, NULL };
    stele__anchor_facts facts;
    bool found = false;
    for (int i = 0; i < 2; i++)
        assert_status(stele__anchor_open(store_path(), &anchors[i], &found, &facts), STELE_OK);

    for (int64_t head = 1; head <= 6; head++) {
        facts = make_facts(head);
        file_copy before = load_file(test_path("store.db-anchor"));
        assert_status(stele__anchor_write(anchors[head / 2 % 2], &facts), STELE_OK);
        expect_facts(&facts);
        file_copy after = load_file(test_path("store.db-anchor"));
        size_t kept = head % 2 == 1 ? 4096 : 0;
        ck_assert_mem_eq(before.data + kept, after.data + kept, 512);
        free(before.data);
        free(after.data);
    }
    for (int i = 0; i < 2; i++)
        stele__anchor_close(anchors[i]);
}
END_TEST

/* Every byte of the newer slot counts: none can change without its being passed over. */
START_TEST(flipped_bit_anywhere_makes_the_other_slot_count)
{
    stele__anchor *anchor = NULL;
    stele__anchor_facts facts;
    stele__anchor_facts older = make_facts(7);
    stele__anchor_facts newer = make_facts(8);
    bool found = false;
    assert_status(stele__anchor_open(store_path(), &anchor, &found, &facts), STELE_OK);
    assert_status(stele__anchor_write(anchor, &older), STELE_OK);
    assert_status(stele__anchor_write(anchor, &newer), STELE_OK);
    stele__anchor_close(anchor);
    file_copy whole = load_file(test_path("store.db-anchor"));

    for (size_t at = 0; at < 512; at++) {
        whole.data[4096 + at] ^= 0x10;
        save_file(test_path("store.db-anchor"), whole.data, whole.size);
        expect_facts(&older);
        whole.data[4096 + at] ^= 0x10;
    }
    save_file(test_path("store.db-anchor"), whole.data, whole.size);
    expect_facts(&newer);
    save_file(test_path("store.db-anchor"), whole.data, 4096 + 511);
    expect_facts(&older);
    save_file(test_path("store.db-anchor"), whole.data, 100);
    assert_status(stele__anchor_read(store_path(), &found, &facts), STELE_OK);
    ck_assert(!found);
    free(whole.data);
}
END_TEST

/* The layout of docs/file-format.md. */
START_TEST(slot_is_laid_out_as_documented)
{
    static const unsigned char begin[] = { 'S', 'T', 'E', 'L', 'A', 'N', 'C', 'H', 1, 0, 0, 0,
                                           0,   0,   0,   0,   1,   0,   0,   0,   0, 0, 0, 0 };
    static const unsigned char numbers[] = { 2,    1,    0,    0,    0,    0,    0,    0,
                                             0xfe, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                             1,    0,    0,    0,    0xfe, 0xff, 0xff, 0xff,
                                             0x78, 0x56, 0x34, 0x12, 0 };
    stele__anchor *anchor = NULL;
    stele__anchor_facts facts;
    bool found = false;
    assert_status(stele__anchor_open(store_path(), &anchor, &found, &facts), STELE_OK);
    facts = make_facts(258);
    assert_status(stele__anchor_write(anchor, &facts), STELE_OK);
    stele__anchor_close(anchor);

    file_copy file = load_file(test_path("store.db-anchor"));
    ck_assert_uint_eq(file.size, 8192);
    ck_assert_mem_eq(file.data, begin, sizeof(begin));
    ck_assert_mem_eq(file.data + 24, facts.uuid, 37);
    ck_assert_mem_eq(file.data + 64, facts.epoch, 37);
    ck_assert_mem_eq(file.data + 104, numbers, sizeof(numbers));
    free(file.data);
}
END_TEST

START_TEST(salts_follow_by_resets_only)
{
    static const struct {
        uint32_t then[2];
        uint32_t now[2];
        bool follows;
    } cases[] = {
        { { 5, 9 }, { 5, 9 }, true },
        { { 5, 9 }, { 5, 8 }, false },
        { { 5, 9 }, { 6, 1 }, true },
        { { 5, 9 }, { 65541, 1 }, true },
        { { 5, 9 }, { 65542, 1 }, false },
        { { 5, 9 }, { 4, 9 }, false },
        { { 0xffffffffu, 9 }, { 0, 1 }, true },
        { { 0xffffffffu, 9 }, { 65535, 1 }, true },
        { { 0xffffffffu, 9 }, { 65536, 1 }, false },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        ck_assert_msg(stele__wal_salts_follow(cases[i].then, cases[i].now) == cases[i].follows,
                      "case %zu", i);
}
END_TEST

/* A WAL as SQLite leaves it, and what becomes of it cut short or damaged. */
START_TEST(salts_and_commits_are_read_as_sqlite_wrote_them)
{
    sqlite3 *raw = open_raw(store_path());
    uint32_t first[2];
    uint32_t second[2];
    bool commit = true;
    ck_assert(!stele__wal_salts(store_path(), first));
    assert_status(stele__wal_has_commit(store_path(), &commit), STELE_OK);
    ck_assert(!commit);
    run_raw(raw, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0");
    run_raw(raw, "CREATE TABLE t(a); INSERT INTO t VALUES(randomblob(20000))");
    ck_assert(stele__wal_salts(store_path(), first));
    assert_status(stele__wal_has_commit(store_path(), &commit), STELE_OK);
    ck_assert(commit);

    run_raw(raw, "PRAGMA wal_checkpoint(RESTART); INSERT INTO t VALUES(randomblob(20000))");
    ck_assert(stele__wal_salts(store_path(), second));
    ck_assert_uint_eq(second[0], first[0] + 1);
    ck_assert(stele__wal_salts_follow(first, second));

    file_copy wal = load_file(test_path("store.db-wal"));
    for (size_t size = 0; size <= wal.size; size += size < 40 ? 1 : 500) {
        save_file(test_path("cut.db-wal"), wal.data, size);
        ck_assert_int_eq(stele__wal_salts(test_path("cut.db"), first), size >= 32);
        assert_status(stele__wal_has_commit(test_path("cut.db"), &commit), STELE_OK);
        ck_assert(!commit || size > 32 + 4 * 4096);
    }
    save_file(test_path("cut.db-wal"), wal.data, wal.size);
    assert_status(stele__wal_has_commit(test_path("cut.db"), &commit), STELE_OK);
    ck_assert(commit);
    wal.data[32 + 24 + 1000] ^= 1;
    save_file(test_path("cut.db-wal"), wal.data, wal.size);
    assert_status(stele__wal_has_commit(test_path("cut.db"), &commit), STELE_OK);
    ck_assert(!commit);
    wal.data[17] ^= 1;
    save_file(test_path("cut.db-wal"), wal.data, wal.size);
    ck_assert(!stele__wal_salts(test_path("cut.db"), first));
    free(wal.data);
    sqlite3_close(raw);
}
END_TEST

static void write_facts(int64_t head)
{
    stele__anchor *anchor = NULL;
    stele__anchor_facts facts;
    bool found = false;
    assert_status(stele__anchor_open(store_path(), &anchor, &found, &facts), STELE_OK);
    facts = make_facts(head);
    assert_status(stele__anchor_write(anchor, &facts), STELE_OK);
    stele__anchor_close(anchor);
}

/* The last step of who found no file, while another process has made it and written to it. */
START_TEST(anchor_is_forgotten_only_while_there_is_no_file)
{
    stele__anchor_facts facts = make_facts(7);
    write_facts(7);
    save_file(store_path(), (const unsigned char *)"made", 4);

    stele__anchoring_forget(store_path());
    expect_facts(&facts);

    unlink(store_path());
    stele__anchoring_forget(store_path());
    facts = (stele__anchor_facts){ 0 };
    expect_facts(&facts);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("anchor_file");
    TCase *tests = add_case(suite, "file", NULL);
    tcase_add_test(tests, what_is_written_is_read_back_and_the_last_write_counts);
    tcase_add_test(tests, writers_take_turns_with_the_slots_of_each_other);
    tcase_add_test(tests, flipped_bit_anywhere_makes_the_other_slot_count);
    tcase_add_test(tests, slot_is_laid_out_as_documented);
    tcase_add_test(tests, anchor_is_forgotten_only_while_there_is_no_file);
    tcase_add_test(tests, salts_follow_by_resets_only);
    tcase_add_test(tests, salts_and_commits_are_read_as_sqlite_wrote_them);
    return run_suite(suite);
}
