/*
 * The same disk under the WAL. A damaged frame ends it, as a loss of power would: SQLite shows an
 * earlier commit and says nothing. With the anchor beside the store, an acknowledged event that the
 * anchor names is never missing unsaid.
 */
#include "bit_rot.h"

/* In the file itself, and then in the WAL, a commit each. */
enum { IN_FILE = 6, IN_WAL = 12 };

/* Each event renews the anchor, which names it from the next one on. */
static int append_and_vanish(void *context)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.anchor_interval_ms = 0;
    stele_store *opened = NULL;
    if (stele_store_open(context, &options, &opened) != STELE_OK)
        return 1;
    static char data[5000];
    memset(data, '7', sizeof(data));
    for (int i = 0; i < IN_WAL; i++) {
        stele_event event = { .type = "left", .data = data, .data_size = (size_t)i * 400 + 1 };
        stele_append append = make_append("wal-1", i, &event, 1);
        if (stele_store_append(opened, &append, NULL) != STELE_OK)
            return 1;
    }
    return 0;
}

/* A killed writer's store: most of it is in the WAL. */
typedef struct left_behind {
    char path[4096];
    char wal[4096];
    char shm[4096];
    char anchor[4096];
    log_text events;
    int64_t head;
    int64_t anchored;
} left_behind;

static void name_files(left_behind *of, const char *path)
{
    snprintf(of->path, sizeof(of->path), "%s", path);
    snprintf(of->wal, sizeof(of->wal), "%.4000s-wal", path);
    snprintf(of->shm, sizeof(of->shm), "%.4000s-shm", path);
    snprintf(of->anchor, sizeof(of->anchor), "%.4000s-anchor", path);
}

static left_behind leave_behind(void)
{
    left_behind of = { .head = 0 };
    name_files(&of, store_path());
    make_rich_file();
    ck_assert_int_eq(run_in_child(append_and_vanish, of.path), 0);
    stele_options options = for_reading();
    stele_store_info info = STELE_STORE_INFO_INIT;
    store = open_path(of.path, &options);
    of.events = read_events(store);
    assert_status(of.events.status, STELE_OK);
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert(!verify_finds_fault(store));
    of.head = info.head;
    of.anchored = info.anchor_head;
    close_store();
    ck_assert_int_eq(of.head, IN_FILE + IN_WAL);
    ck_assert_int_ge(of.anchored, of.head - 2);
    ck_assert(info.anchor == STELE_ANCHOR_GOOD);
    return of;
}

/* How many events the text has: they are a line each. */
static int64_t count_events(const log_text *of)
{
    int64_t count = 0;
    for (size_t i = 0; i < of->size; i++)
        count += of->text[i] == '\n';
    return count;
}

static verdict judge_wal_reading(const left_behind *of, tally *to)
{
    unlink(of->shm); /* where SQLite keeps what it has found in the WAL */
    stele_options options = for_reading();
    stele_store *damaged = NULL;
    if (stele_store_open(of->path, &options, &damaged) != STELE_OK)
        return REFUSED;
    log_text events = read_events(damaged);
    int64_t head = count_events(&events);
    verdict result = SILENT;
    if (begins_with(&of->events, &events) && head >= IN_FILE) {
        if (events.status != STELE_OK)
            result = FAILED;
        else if (head == of->head)
            result = UNHARMED;
        else if (tells_of_loss(damaged))
            result = TOLD_LOST;
        else if (head >= of->anchored)
            result = CUT;
        /* What is left is an earlier state of the store, and whole. */
        if (events.status == STELE_OK && one_in(10) && verify_finds_fault(damaged))
            result = SILENT;
    }
    to->read_some += events.size > 0;
    stele_store_close(damaged);
    free(events.text);
    return result;
}

/* On copies: a writer moves what it finds in the WAL into the file. */
static verdict judge_wal_writing(const left_behind *of)
{
    left_behind copy;
    name_files(&copy, test_path("written.db"));
    copy_file(of->path, copy.path);
    copy_file(of->wal, copy.wal);
    copy_file(of->anchor, copy.anchor);
    unlink(copy.shm);
    stele_store *damaged = NULL;
    if (stele_store_open(copy.path, NULL, &damaged) != STELE_OK)
        return REFUSED;
    stele_status status = append_to(damaged, "new-1", STELE_NO_STREAM, "went on", NULL);
    log_text events = read_events(damaged);
    int64_t head = count_events(&events) - (status == STELE_OK);
    verdict result = SILENT;
    if (status == STELE_READ_ONLY && begins_with(&of->events, &events))
        result = TOLD_LOST;
    else if (events.status != STELE_OK && begins_with(&of->events, &events))
        result = FAILED;
    else if (status == STELE_OK && head >= of->anchored)
        result = head == of->head ? UNHARMED : CUT;
    stele_store_close(damaged);
    free(events.text);
    return result;
}

static void damage_wal(damage_kind kind, int tries, bool with_anchor)
{
    left_behind of = leave_behind();
    patient wal = take_patient(of.wal);
    uint64_t seed = choose_seed();
    tally read = { 0 };
    tally written = { 0 };
    if (!with_anchor)
        ck_assert_int_eq(unlink(of.anchor), 0);
    for (int i = 0; i < tries; i++) {
        damage done = do_damage(&wal, kind);
        verdict result = judge_wal_reading(&of, &read);
        read.tries++;
        read.counts[result]++;
        if (result == SILENT && with_anchor)
            note_outcome(&(tally){ 0 }, result, &done);
        if (with_anchor && i % 10 == 0)
            note_outcome(&written, judge_wal_writing(&of), &done);
        undo_damage(&wal, &done);
    }
    printf("WAL%s, ", with_anchor ? "" : " without an anchor");
    print_tally(damage_names[kind], seed, &read);
    if (with_anchor) {
        print_tally("  of these opened for writing", seed, &written);
        ck_assert_int_eq(read.counts[SILENT], 0);
        ck_assert_int_eq(written.counts[SILENT], 0);
        ck_assert_int_gt(read.counts[TOLD_LOST] + read.counts[REFUSED], tries / 10);
        ck_assert_int_gt(read.read_some, tries / 2);
    } else {
        ck_assert_int_gt(read.counts[SILENT], tries / 10);
    }
    if (with_anchor)
        ck_assert_int_eq(judge_wal_reading(&of, &read), UNHARMED);
    dismiss_patient(&wal);
    free(of.events.text);
}

START_TEST(flipped_bit_in_the_wal_never_loses_what_the_anchor_names_unsaid)
{
    damage_wal(FLIPPED_BIT, effort_of(1500, 30000), true);
}
END_TEST

START_TEST(damaged_sector_in_the_wal_never_loses_what_the_anchor_names_unsaid)
{
    damage_wal((damage_kind)_i, effort_of(150, 3000), true);
}
END_TEST

/* The control: without the anchor the same damage goes unseen. */
START_TEST(flipped_bit_in_the_wal_loses_events_unseen_without_the_anchor)
{
    damage_wal(FLIPPED_BIT, effort_of(200, 3000), false);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bit rot of the WAL");
    TCase *tests = add_case(suite, "wal", NULL);
    tcase_set_timeout(tests, 3600);
    tcase_add_test(tests, flipped_bit_in_the_wal_never_loses_what_the_anchor_names_unsaid);
    tcase_add_loop_test(tests, damaged_sector_in_the_wal_never_loses_what_the_anchor_names_unsaid,
                        ZEROED_512, DAMAGE_KINDS);
    tcase_add_test(tests, flipped_bit_in_the_wal_loses_events_unseen_without_the_anchor);
    return run_suite(suite);
}
