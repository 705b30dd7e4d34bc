/*
 * Builds that are killed at any moment, while others append and follow with the old code: whoever
 * looks finds whole tables of one version, and each effect is had once over all versions.
 *
 * The controls do it wrong, and must be found out: a swap that doesn't wait for the last events,
 * and a gate that is open.
 */
#include <fcntl.h>
#include <signal.h>
#include <time.h>

#include "effort.h"
#include "projection/rebuild.h"
#include "projections.h"

/* What a control does wrong, in the children. */
typedef enum wrong { NOTHING, SWAPS_EARLY, OPENS_GATE } wrong;

static int effects_file = -1;
static model_context model;
static int64_t version; /* of the tables, as far as this process knows */

/* Effects outside the store: a file that each adds a line to. `hook_context`: the gate is open. */
static stele_status have_effect(model_context *of, const stele_record *record,
                                const stele_projecting *projecting)
{
    char line[32];
    if (!projecting->effects && of->hook_context == NULL)
        return STELE_OK;
    int size = snprintf(line, sizeof(line), "%" PRId64 "\n", record->position);
    return write(effects_file, line, (size_t)size) == size ? STELE_OK : STELE_IO;
}

/* --- The child that builds --- */

static _Noreturn void build_in_child(int64_t to, wrong control)
{
    static int mark;
    model_context context = { .hook = have_effect };
    stele_projection projection = make_projection(&context, to);
    stele_rebuild rebuild = STELE_REBUILD_INIT;
    stele_work work = STELE_WORK_INIT;
    stele__rebuild_swaps_early = control == SWAPS_EARLY;
    if (control == OPENS_GATE)
        context.hook_context = &mark;
    work.step_count_max = 7;
    rebuild.work = &work;
    rebuild.lease_ms = 1000;
    if (stele_store_open(store_path(), NULL, &store) != STELE_OK)
        _exit(2);
    stele_status status = stele_projection_rebuild(store, &projection, &rebuild, NULL);
    /* Who was killed has it for a second yet. */
    for (int i = 0; i < 300 && status == STELE_BUSY; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
        status = stele_projection_rebuild(store, &projection, &rebuild, NULL);
    }
    if (status != STELE_OK)
        fprintf(stderr, "the build ended: %s\n", stele_error_text());
    stele_store_close(store);
    _exit(status == STELE_OK ? 0 : 1);
}

/* A child inherits no open store. */
static pid_t start_build(int64_t to, wrong control)
{
    close_store();
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        build_in_child(to, control);
    open_in_file();
    return child;
}

/* --- What goes on meanwhile --- */

static void append_some(int count)
{
    for (int i = 0; i < count; i++)
        assert_status(append_one(one_in(3) ? "a-1" : "b-1", STELE_ANY, "t", NULL), STELE_OK);
}

/* With the code of the version that is live; one that was replaced is told so. */
static void follow_for_a_while(void)
{
    stele_projection projection = make_projection(&model, version);
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    stele_projector *projector = NULL;
    options.stop = STELE_STOP_HEAD;
    options.batch_count_max = 5;
    stele_status status = stele_projector_open(store, &projection, &options, &projector);
    if (status == STELE_OK)
        status = stele_projector_run(projector);
    stele_projector_close(projector);
    ck_assert_msg(status == STELE_DONE || status == STELE_FENCED || status == STELE_CONFLICT,
                  "following ended with %s: %s", stele_status_name(status), stele_error_text());
    if (status != STELE_DONE)
        version++;
}

/* --- Looking --- */

/* Whole tables of the version that the store says; "" or what is wrong. */
static const char *look_at_model(void)
{
    sqlite3 *handle = NULL;
    stele_projection_info info;
    assert_status(stele_projection_describe(store, "model", &info), STELE_OK);
    ck_assert_int_eq(sqlite3_open_v2(store_path(), &handle, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    const char *flaw = model_flaw(store, handle, info.position, info.version);
    sqlite3_close(handle);
    version = info.version;
    return flaw;
}

/* Each event up to `head` had its effect once; "" or what is wrong. */
static const char *look_at_effects(int64_t head)
{
    static char flaw[100];
    char line[32];
    int *counts = calloc((size_t)head + 1, sizeof(*counts));
    FILE *file = fopen(test_path("effects"), "r");
    ck_assert(counts != NULL && file != NULL);
    flaw[0] = '\0';
    while (fgets(line, sizeof(line), file) != NULL) {
        long long position = strtoll(line, NULL, 10);
        ck_assert(position >= 1 && position <= head);
        counts[position]++;
    }
    for (int64_t i = 1; i <= head; i++)
        if (counts[i] != 1)
            snprintf(flaw, sizeof(flaw), "the effect of %" PRId64 " was had %d times", i,
                     counts[i]);
    fclose(file);
    free(counts);
    return flaw;
}

/* --- Rounds --- */

static void begin_rounds(void)
{
    model = (model_context){ .hook = have_effect };
    version = 1;
    effects_file = open(test_path("effects"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ck_assert_int_ge(effects_file, 0);
    open_in_file();
    append_some(100);
    follow_for_a_while();
}

static void end_rounds(void)
{
    close(effects_file);
    close_and_remove();
}

/* Kill it after so long, unless it was done before. */
static void kill_build(pid_t child, int64_t after_us, int *killed)
{
    int end = 0;
    pid_t ended = 0;
    for (int64_t passed = 0; passed < after_us && ended == 0; passed += 2000) {
        nanosleep(
            &(struct timespec){
                .tv_nsec = 1000 * (after_us - passed < 2000 ? (long)(after_us - passed) : 2000) },
            NULL);
        ended = waitpid(child, &end, WNOHANG);
    }
    if (ended == 0) {
        kill(child, SIGKILL);
        ended = waitpid(child, &end, 0);
    }
    ck_assert_int_eq(ended, child);
    ck_assert(WIFSIGNALED(end) || end == 0);
    *killed += WIFSIGNALED(end);
}

START_TEST(killed_builds_leave_whole_tables_and_go_on)
{
    int rounds = effort_is_long() ? 200 : 20;
    int killed = 0;
    int64_t swaps = 0;
    uint64_t seed = choose_seed();
    for (int round = 0; round < rounds; round++) {
        int64_t before = version;
        pid_t child = start_build(version + 1, NOTHING);
        append_some((int)(next_chance() % 20));
        if (one_in(2))
            follow_for_a_while();
        kill_build(child, (int64_t)(next_chance() % (one_in(3) ? 2000000 : 80000)), &killed);
        const char *flaw = look_at_model();
        ck_assert_msg(flaw[0] == '\0', "round %d, seed %" PRIu64 ": %s", round, seed, flaw);
        ck_assert_int_le(version, before + 1);
        swaps += version - before;
        follow_for_a_while();
        if (one_in(3))
            assert_status(stele_projection_abandon(store, "model", NULL), STELE_OK);
    }
    assert_status(stele_projection_abandon(store, "model", NULL), STELE_OK);
    model_context last = { .hook = have_effect };
    stele_projection projection = make_projection(&last, version + 1);
    assert_status(stele_projection_rebuild(store, &projection, NULL, NULL), STELE_OK);
    version++;
    follow_for_a_while();

    int64_t head = 0;
    assert_status(stele_store_head(store, &head), STELE_OK);
    expect_model(version);
    ck_assert_int_eq(place_of("model"), head);
    ck_assert_str_eq(look_at_effects(head), "");
    printf("  %d builds, %d killed, %" PRId64 " swaps, seed %" PRIu64 "\n", rounds, killed, swaps,
           seed);
}
END_TEST

static void build_to_the_end(wrong control)
{
    int end = 0;
    pid_t child = start_build(version + 1, control);
    ck_assert_int_eq(waitpid(child, &end, 0), child);
    ck_assert_int_eq(end, 0);
}

START_TEST(control_without_mistakes_is_green)
{
    choose_seed();
    build_to_the_end(NOTHING);
    ck_assert_str_eq(look_at_model(), "");
    ck_assert_int_eq(version, 2);
    ck_assert_str_eq(look_at_effects(100), "");
}
END_TEST

START_TEST(swap_that_doesnt_wait_for_the_last_events_is_found_out)
{
    choose_seed();
    build_to_the_end(SWAPS_EARLY);
    ck_assert_str_ne(look_at_model(), "");
}
END_TEST

START_TEST(open_gate_is_found_out)
{
    choose_seed();
    build_to_the_end(OPENS_GATE);
    ck_assert_str_eq(look_at_model(), "");
    ck_assert_str_ne(look_at_effects(100), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("projection_swap");

    TCase *rounds = tcase_create("rounds");
    tcase_add_checked_fixture(rounds, begin_rounds, end_rounds);
    tcase_set_timeout(rounds, effort_is_long() ? 600 : 60);
    suite_add_tcase(suite, rounds);
    tcase_add_test(rounds, killed_builds_leave_whole_tables_and_go_on);
    tcase_add_test(rounds, control_without_mistakes_is_green);
    tcase_add_test(rounds, swap_that_doesnt_wait_for_the_last_events_is_found_out);
    tcase_add_test(rounds, open_gate_is_found_out);

    return run_suite(suite);
}
