/*
 * What people do with a damaged copy: `stele export`. It ends with 0 only when each line is there,
 * once and as it was. STELE_EFFORT=long tries many more places.
 */
#define _XOPEN_SOURCE 700

#include "bit_rot.h"
#include "cli_support.h"

enum { EVENTS = 40 };

/* The store, still open, with all events in its WAL; NULL when that failed. */
static stele_store *append_forty(const char *path)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.anchor_interval_ms = 0;
    stele_store *opened = NULL;
    if (stele_store_open(path, &options, &opened) != STELE_OK)
        return NULL;
    static char data[3000] = "\"";
    for (int i = 0; i < EVENTS; i++) {
        char stream[32];
        char key[32];
        size_t size = (size_t)i * 60 + 2;
        memset(data + 1, '7', size);
        data[size - 1] = '"';
        snprintf(stream, sizeof(stream), "many-%d", i % 5);
        snprintf(key, sizeof(key), "key-%d", i);
        stele_event event = { .type = "counted", .data = data, .data_size = size };
        stele_append append = make_append(stream, STELE_ANY, &event, 1);
        append.idempotency_key = i % 3 == 0 ? key : NULL;
        if (stele_store_append(opened, &append, NULL) != STELE_OK)
            return NULL;
    }
    return opened;
}

static int append_and_vanish(void *context)
{
    return append_forty(context) == NULL;
}

static int append_and_close(void *context)
{
    stele_store *opened = append_forty(context);
    stele_store_close(opened);
    return opened == NULL;
}

/* The lines of `now` are the first ones of `whole`, and none in part. */
static bool has_first_lines(const ran *now, const ran *whole)
{
    return now->out_size <= whole->out_size && memcmp(now->out, whole->out, now->out_size) == 0
           && (now->out_size == 0 || now->out[now->out_size - 1] == '\n');
}

static verdict judge_export(const ran *now, const ran *whole, size_t anchored)
{
    if (!has_first_lines(now, whole))
        return SILENT;
    if (now->code != 0)
        return now->out_size > 0 ? FAILED : REFUSED;
    if (now->out_size == whole->out_size)
        return UNHARMED;
    /* The last commits before a kill, which the anchor didn't name yet. */
    return count_lines(now->out) >= anchored ? CUT : SILENT;
}

/* They are many. */
static void forget_last_run(void)
{
    ran *last = all_runs;
    all_runs = last->next;
    free(last->out);
    free(last->err);
    free(last);
}

static void export_damaged(const char *name, bool of_wal, int tries)
{
    const ran *whole = STELE("export");
    assert_code(whole, 0);
    ck_assert_uint_eq(count_lines(whole->out), EVENTS);
    size_t anchored = of_wal ? EVENTS - 2 : EVENTS;
    patient of = take_patient(test_path(name));
    uint64_t seed = choose_seed();
    tally exported = { 0 };
    for (int i = 0; i < tries; i++) {
        damage done = do_damage(&of, one_in(2) ? FLIPPED_BIT : next_chance() % DAMAGE_KINDS);
        unlink(test_path("store.db-shm"));
        const ran *now = STELE("export");
        note_outcome(&exported, judge_export(now, whole, anchored), &done);
        exported.read_some += now->out_size > 0;
        undo_damage(&of, &done);
        forget_last_run();
    }
    printf("export, %s: ", name);
    print_tally("damage of all kinds", seed, &exported);
    ck_assert_int_eq(exported.counts[SILENT], 0);
    ck_assert_int_gt(exported.read_some, tries / 4);
    ck_assert_int_gt(exported.counts[FAILED] + exported.counts[REFUSED], tries / 10);
    unlink(test_path("store.db-shm"));
    ck_assert_str_eq(STELE("export")->out, whole->out);
    dismiss_patient(&of);
}

START_TEST(export_of_a_damaged_file_gives_every_line_or_fails)
{
    ck_assert_int_eq(run_in_child(append_and_close, (void *)store_path()), 0);
    export_damaged("store.db", false, effort_of(400, 5000));
}
END_TEST

START_TEST(export_with_a_damaged_wal_gives_every_line_that_the_anchor_names_or_fails)
{
    ck_assert_int_eq(run_in_child(append_and_vanish, (void *)store_path()), 0);
    export_damaged("store.db-wal", true, effort_of(150, 2000));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli rot");
    TCase *tests = tcase_create("rot");
    tcase_set_timeout(tests, 3600);
    tcase_add_checked_fixture(tests, NULL, forget_runs);
    tcase_add_test(tests, export_of_a_damaged_file_gives_every_line_or_fails);
    tcase_add_test(tests,
                   export_with_a_damaged_wal_gives_every_line_that_the_anchor_names_or_fails);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
