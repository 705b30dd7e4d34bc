/* Power cuts while shards are created and used: each is there and whole, or can be created. */
#include "crash/harness.h"
#include "sharding.h"
#include "support.h"

#include "base/platform.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHARDS      6
#define APPENDS_MAX 3

/* A shard that the work makes. */
typedef struct made_shard {
    char organisation[STELE_SHARD_NAME_MAX + 1];
    char name_space[STELE_SHARD_NAME_MAX + 1];
    size_t acquired_at;              /* how many operations there were when it was there */
    size_t appended_at[APPENDS_MAX]; /* and each of its events */
    int attempted;
} made_shard;

static made_shard made[SHARDS];
static size_t root_at;
static size_t cut_in_creating; /* images in which a shard had been begun, and wasn't there */
static size_t swept;

/* Short and long names, two organisations of several shards, others of one. */
static void plan_shards(void)
{
    for (int i = 0; i < SHARDS; i++) {
        made_shard *shard = &made[i];
        *shard = (made_shard){ .acquired_at = SIZE_MAX };
        for (int j = 0; j < APPENDS_MAX; j++)
            shard->appended_at[j] = SIZE_MAX;
        if (i % 3 == 2)
            memset(shard->organisation, 'o', 150);
        else if (i % 3 == 1)
            snprintf(shard->organisation, sizeof(shard->organisation), "Acme");
        memset(shard->name_space, 'n', i % 2 == 1 ? 200 : 3);
        shard->name_space[0] = (char)('a' + i);
    }
    root_at = SIZE_MAX;
}

static const char *root_in(const char *folder)
{
    static char root[1100];
    snprintf(root, sizeof(root), "%s/root", folder);
    return root;
}

static void expect_done(const crash_run *run, const char *doing, stele_status status)
{
    if (status != STELE_OK)
        ck_abort_msg("%s: %s: %s", run->workload->name, doing, stele_error_text());
}

static void use_shard(crash_run *run, stele_shards *shards, made_shard *shard)
{
    stele_shard *handle = NULL;
    shard->attempted++;
    expect_done(
        run, "acquiring",
        stele_shards_acquire(shards, shard->organisation, shard->name_space, NULL, &handle));
    if (shard->acquired_at == SIZE_MAX)
        shard->acquired_at = recorder_now();
    expect_done(run, "appending", append_data(stele_shard_store(handle), shard->name_space));
    shard->appended_at[shard->attempted - 1] = recorder_now();
    stele_shard_release(handle);
}

static void create_and_use(crash_run *run)
{
    stele_shards *shards = NULL;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    plan_shards();
    options.open_max = 2;
    expect_done(run, "opening", stele_shards_open(root_in(test_path("disk")), &options, &shards));
    root_at = recorder_now();
    for (int i = 0; i < SHARDS * APPENDS_MAX; i++) {
        made_shard *shard = &made[random_below(&run->random, SHARDS)];
        if (shard->attempted < APPENDS_MAX)
            use_shard(run, shards, shard);
    }
    stele_shards_close(shards);
}

static void judge_shard(stele_shards *shards, const made_shard *shard, size_t cut, bool thorough,
                        verdict *found)
{
    stele_shard *handle = NULL;
    int same = 0, other = 0, told = 0;
    stele_status status = try_acquire(shards, shard->organisation, shard->name_space, &handle);
    if (status == STELE_NOT_FOUND && shard->acquired_at > cut) {
        cut_in_creating += shard->attempted > 0;
        status =
            stele_shards_acquire(shards, shard->organisation, shard->name_space, NULL, &handle);
    }
    if (status != STELE_OK) {
        verdict_break_status(found, shard->name_space, status);
        return;
    }
    while (told < APPENDS_MAX && shard->appended_at[told] <= cut)
        told++;
    status = try_count_data(stele_shard_store(handle), shard->name_space, &same, &other);
    if (status != STELE_DONE)
        verdict_break_status(found, shard->name_space, status);
    else if (same < told || other > 0 || same > shard->attempted)
        verdict_break(found, "'%s' has %d events, %d others', and %d were acknowledged",
                      shard->name_space, same, other, told);
    found->kept += same > told;
    if (thorough)
        verdict_verify(found, stele_shard_store(handle), shard->name_space);
    if (append_data(stele_shard_store(handle), "after") != STELE_OK)
        verdict_break(found, "'%s': appending: %s", shard->name_space, stele_error_text());
    stele_shard_release(handle);
}

static verdict judge_shards(crash_run *run, const char *folder, size_t cut, bool thorough)
{
    verdict found = { 0 };
    stele_shards *shards = NULL;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_maintained maintained = { 0 };
    (void)run;
    options.open_max = 3;
    options.must_exist = root_at <= cut;
    stele_status status = stele_shards_open(root_in(folder), &options, &shards);
    if (status != STELE_OK) {
        verdict_break_status(&found, "opening the root", status);
        return found;
    }
    /* What was cut may be swept before or after it is begun again. */
    if (thorough)
        status = stele_shards_maintain(shards, NULL, &maintained);
    for (int i = 0; i < SHARDS && status == STELE_OK; i++)
        judge_shard(shards, &made[i], cut, thorough, &found);
    if (status == STELE_OK && !thorough)
        status = stele_shards_maintain(shards, NULL, &maintained);
    if (status != STELE_OK)
        verdict_break_status(&found, "maintaining", status);
    swept += maintained.swept;
    found.resumed = maintained.swept > 0;
    stele_shards_close(shards);
    return found;
}

static const crash_workload creating = {
    .name = "shards",
    .work = create_and_use,
    .judge = judge_shards,
    .plain_sqlite = true, /* that lies at run->path, at least */
    .cuts = 150,
};

START_TEST(shards_may_be_cut_at_every_step)
{
    crash_expect_whole(&creating);
    printf("# shards cut in creating: %zu; swept: %zu\n", cut_in_creating, swept);
}
END_TEST

/* Somebody else has just put a shard and its folder there, and made neither name durable yet. */
static void use_unsettled(crash_run *run)
{
    char from[1200], to[1200];
    stele_shards *shards = NULL;
    stele_shards *others = NULL;
    stele_shard *handle = NULL;
    plan_shards();
    memset(made[1].name_space, 0, sizeof(made[1].name_space));
    made[1].name_space[0] = 'b';
    snprintf(from, sizeof(from), "%s/others", test_path("disk"));
    expect_done(run, "opening the other", stele_shards_open(from, NULL, &others));
    expect_done(run, "creating", stele_shards_acquire(others, "Acme", "b", NULL, &handle));
    stele_shard_release(handle);
    stele_shards_close(others);
    expect_done(run, "opening", stele_shards_open(root_in(test_path("disk")), NULL, &shards));
    root_at = recorder_now();
    snprintf(to, sizeof(to), "%s/%%41cme", root_in(test_path("disk")));
    ck_assert_int_eq(mkdir(to, 0700), 0);
    snprintf(from, sizeof(from), "%s/others/%%41cme/b.db", test_path("disk"));
    snprintf(to, sizeof(to), "%s/%%41cme/b.db", root_in(test_path("disk")));
    ck_assert_int_eq(rename(from, to), 0);

    for (int i = 0; i < APPENDS_MAX; i++)
        use_shard(run, shards, &made[1]);
    stele_shards_close(shards);
}

START_TEST(a_shard_whose_name_is_not_durable_yet_is_made_so_before_it_is_used)
{
    static const crash_workload unsettled = {
        .name = "shards-unsettled",
        .work = use_unsettled,
        .judge = judge_shards,
        .plain_sqlite = true,
        .cuts = 20,
    };
    crash_expect_whole(&unsettled);
}
END_TEST

/* --- Controls --- */

static void expect_broken(const crash_workload *workload)
{
    crash_report report = crash_test(workload);
    ck_assert_msg(report.cuts < 50 || report.broken_cuts > report.cuts / 50,
                  "only %zu of %zu cuts broke a shard", report.broken_cuts, report.cuts);
}

/* A name before what it names is durable. */
START_TEST(shards_that_are_not_synced_are_found_out)
{
    static const crash_workload unsynced = {
        .name = "control-new-shard-sync-ignored",
        .work = create_and_use,
        .judge = judge_shards,
        .plain_sqlite = true,
        .faults = { .sync_ignored = ".new-" },
        .cuts = 60,
    };
    expect_broken(&unsynced);
}
END_TEST

/* A file that has only the name under which it was made. */
START_TEST(names_that_are_not_synced_are_found_out)
{
    static const crash_workload unnamed = {
        .name = "control-shard-folder-sync-ignored",
        .work = create_and_use,
        .judge = judge_shards,
        .plain_sqlite = true,
        .faults = { .folder_sync_ignored = true },
        .cuts = 60,
    };
    expect_broken(&unnamed);
}
END_TEST

/* Where a file can't have two names, it is renamed over an empty one. */
static int refuse_link(const char *from, const char *to)
{
    (void)from;
    (void)to;
    errno = EPERM;
    return -1;
}

START_TEST(shards_without_links_may_be_cut_at_every_step)
{
    static const crash_workload renaming = {
        .name = "shards-renamed",
        .work = create_and_use,
        .judge = judge_shards,
        .plain_sqlite = true,
        .cuts = 60,
    };
    int (*link_before)(const char *from, const char *to) = stele__link_file;
    stele__link_file = refuse_link;
    crash_expect_whole(&renaming);
    stele__link_file = link_before;
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_shards");
    TCase *tests = crash_case(suite, "shards");
    tcase_add_test(tests, shards_may_be_cut_at_every_step);
    tests = crash_case(suite, "shards-renamed");
    tcase_add_test(tests, shards_without_links_may_be_cut_at_every_step);
    tests = crash_case(suite, "shards-unsettled");
    tcase_add_test(tests, a_shard_whose_name_is_not_durable_yet_is_made_so_before_it_is_used);
    tests = crash_case(suite, "control-new-shard-sync-ignored");
    tcase_add_test(tests, shards_that_are_not_synced_are_found_out);
    tests = crash_case(suite, "control-shard-folder-sync-ignored");
    tcase_add_test(tests, names_that_are_not_synced_are_found_out);
    return run_suite(suite);
}
