/*
 * Projections while memory fails: every allocation of a call once, or from then on. Whatever the
 * call answers, each table is as far as its place says, and what is done again is done.
 */
#include "effort.h"
#include "projections.h"
#include "resources.h"

static model_context model;
static model_context newer;
static stele_projector *kept; /* inline, while an attempt appends */

static stele_status try_open_inline(void)
{
    stele_projection projection = make_projection(&model, 1);
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 3;
    stele_status status = stele_projector_open_inline(store, &projection, &work, &kept);
    ck_assert_int_eq(kept != NULL, status == STELE_OK);
    return status;
}

static stele_status try_append_inline(void)
{
    stele_status status = kept == NULL ? try_open_inline() : STELE_OK;
    return status == STELE_OK ? append_one("c-1", STELE_ANY, "new", NULL) : status;
}

static stele_status try_follow(void)
{
    stele_projection projection = make_projection(&model, 1);
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    stele_projector *projector = NULL;
    options.stop = STELE_STOP_HEAD;
    stele_status status = stele_projector_open(store, &projection, &options, &projector);
    if (status == STELE_OK)
        status = stele_projector_run(projector); /* memory that is short passes, it believes */
    stele_projector_close(projector);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status try_open_async(void)
{
    stele_projection projection = make_projection(&model, 1);
    stele_projector *projector = NULL;
    stele_status status = stele_projector_open(store, &projection, NULL, &projector);
    stele_projector_close(projector);
    return status;
}

static int see_difference(void *context, const stele_table_difference *difference)
{
    (void)context;
    (void)difference;
    return 0;
}

static stele_status rebuild_in_steps(bool in_place)
{
    stele_projection projection = make_projection(&newer, 2);
    stele_rebuild rebuild = STELE_REBUILD_INIT;
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 3;
    rebuild.work = &work;
    rebuild.in_place = in_place;
    rebuild.differs = see_difference;
    return stele_projection_rebuild(store, &projection, &rebuild, NULL);
}

static stele_status try_rebuild(void)
{
    return rebuild_in_steps(false);
}

static stele_status try_rebuild_in_place(void)
{
    return rebuild_in_steps(true);
}

static stele_status try_drop(void)
{
    return stele_projection_drop(store, "model", NULL);
}

static stele_status try_describe(void)
{
    stele_projection_info info;
    return stele_projection_describe(store, "model", &info);
}

static stele_status count_record(void *context, const stele_record *record)
{
    (void)record;
    ++*(int *)context;
    return STELE_OK;
}

static stele_status try_live(void)
{
    int count = 0;
    stele_live live = STELE_LIVE_INIT;
    live.fold = count_record;
    live.context = &count;
    stele_status status = stele_projection_live(store, &live, NULL);
    ck_assert_int_eq(count == 10, status == STELE_OK);
    return status;
}

static const struct {
    stele_status (*try)(void);
    bool built;   /* the tables are there, async, before it */
    bool settles; /* it ends when memory fails for ever */
} attempts[] = {
    { try_open_inline, false, true }, { try_append_inline, false, true },
    { try_open_async, false, true },  { try_follow, false, false },
    { try_rebuild, true, true },      { try_rebuild_in_place, true, true },
    { try_drop, true, true },         { try_describe, true, true },
    { try_live, false, true },
};

static void prepare_attempt(bool built)
{
    model = (model_context){ 0 };
    newer = (model_context){ 0 };
    kept = NULL;
    store = open_path(":memory:", NULL);
    for (int i = 0; i < 10; i++)
        assert_status(append_one(i % 3 == 0 ? "a-1" : "b-1", STELE_ANY, "t", NULL), STELE_OK);
    if (built)
        follow_model(&model, 1);
}

/* The tables are as far as the place, of the version that the record says. */
static void expect_consistent(int64_t point)
{
    stele_projection_info info;
    assert_status(stele_projection_describe(store, "model", &info), STELE_OK);
    if (!info.found) {
        ck_assert_int_eq(number_of("SELECT count(*) FROM sqlite_schema WHERE name = 'entries'"), 0);
        return;
    }
    int64_t sum = info.position * (info.position + 1) / 2 * info.version;
    bool right = number_of("SELECT count(*) FROM entries") == info.position
                 && number_of("SELECT coalesce(sum(sum), 0) FROM totals") == sum;
    ck_assert_msg(right, "allocation %" PRId64 ": the tables aren't as far as %" PRId64, point,
                  info.position);
}

START_TEST(failed_allocation_leaves_tables_and_place_in_step)
{
    bool once = _i % 2 == 0;
    int64_t refused = 0;
    bool reached = true;
    if (!once && !attempts[_i / 2].settles)
        return;
    printf("projections out of memory: seed %" PRIu64 "\n", choose_seed());
    for (int64_t point = 1; reached; point = next_point(point)) {
        resources before = count_resources();
        prepare_attempt(attempts[_i / 2].built);
        atomic_store(&own.calls, 0);
        atomic_store(&own.fail_last, once ? point : INT64_MAX);
        atomic_store(&own.fail_first, point);
        stele_status status = attempts[_i / 2].try();
        atomic_store(&own.fail_first, 0);
        reached = atomic_load(&own.calls) >= point;
        ck_assert_msg(status == STELE_OK || status == STELE_NO_MEMORY, "allocation %" PRId64 ": %s",
                      point, stele_error_text());
        refused += status == STELE_NO_MEMORY;
        expect_consistent(point);
        if (kept != NULL) /* else it needn't be open */
            assert_status(append_one("d-1", STELE_ANY, "t", NULL), STELE_OK);
        stele_projector_close(kept);
        kept = NULL;
        stele_status again = attempts[_i / 2].try();
        ck_assert_msg(again == STELE_OK || attempts[_i / 2].try == try_live,
                      "again after allocation %" PRId64 ": %s", point, stele_error_text());
        expect_consistent(point);
        stele_projector_close(kept);
        close_store();
        expect_resources(before, "after a failed allocation");
    }
    if (attempts[_i / 2].settles)
        ck_assert_int_gt(refused, 0);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("projection_faults");
    TCase *memory = add_case(suite, "memory", NULL);
    tcase_set_timeout(memory, 60);
    tcase_add_loop_test(memory, failed_allocation_leaves_tables_and_place_in_step, 0,
                        2 * (int)COUNT_OF(attempts));
    return run_suite(suite);
}
