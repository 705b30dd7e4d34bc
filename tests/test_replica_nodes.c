/*
 * Three nodes fed by one log that does whatever a log may do, with many writers on each: they end
 * with the same digest, and every answer that was given is true on all of them. The controls take
 * away what that rests on, one thing at a time, and find the nodes different.
 */
#include "frame/replica.h"

#include "replica_runs.h"

#include <pthread.h>

static const memory_faults every_fault = ALL_MEMORY_FAULTS;

static int scaled(int ci, int longer)
{
    return effort_is_long() ? longer : ci;
}

static void run_and_judge(const char *what, const world_plan *wanted)
{
    begin_world(wanted, choose_seed());
    run_world();
    print_world(what);
    judge_world();
}

static void tear_down(void)
{
    end_world();
    remove_test_folder();
}

START_TEST(three_nodes_end_equal_whatever_the_log_does)
{
    world_plan wanted = { .lanes = 1, .writers = 3, .faults = &every_fault };
    wanted.wishes = scaled(45, 1500);
    wanted.checkpoint_every = 50;
    run_and_judge("every fault", &wanted);
    ck_assert_uint_gt(injected_in_all(&lanes[0]), 0);
    ck_assert_uint_gt(answered(STELE_OK), 0);
    ck_assert_uint_gt(answered(STELE_CONFLICT), 0);
}
END_TEST

START_TEST(three_nodes_end_equal_though_they_end_and_come_back)
{
    world_plan wanted = { .lanes = 1, .writers = 3, .chaos = true, .faults = &every_fault };
    wanted.wishes = scaled(45, 1500);
    wanted.checkpoint_every = 50;
    run_and_judge("lives", &wanted);
    ck_assert_uint_gt(nodes[0].lives + nodes[1].lives + nodes[2].lives, NODES);
}
END_TEST

START_TEST(three_roots_of_shards_end_equal)
{
    world_plan wanted = { .lanes = 2, .writers = 3, .roots = true, .faults = &every_fault };
    wanted.wishes = scaled(35, 1200);
    wanted.chaos = true;
    wanted.checkpoint_every = 50;
    run_and_judge("roots", &wanted);
}
END_TEST

START_TEST(three_nodes_end_equal_when_nothing_goes_wrong)
{
    world_plan wanted = { .lanes = 1, .writers = 4, .wishes = scaled(60, 1500) };
    wanted.checkpoint_every = 50;
    run_and_judge("no fault", &wanted);
}
END_TEST

/* --- The controls: what the last node does wrong --- */

/* It takes the frame's time from its own clock. */
static void read_the_clock(void *context, uint64_t sequence, void *frame, size_t size)
{
    stele__frame_header header;
    (void)context;
    (void)sequence;
    if (stele__frame_peek(frame, size, &header) != STELE_OK)
        return;
    header.time = stele__clock_now();
    stele__frame_seal(frame, size, &header);
}

/* It takes each frame for one of a new writer: repeats are applied, too. */
static void forget_writers(void *context, uint64_t sequence, void *frame, size_t size)
{
    stele__frame_header header;
    (void)context;
    if (sequence == 1 || stele__frame_peek(frame, size, &header) != STELE_OK)
        return;
    (void)stele__frame_id_make(&header.writer);
    header.writer_sequence = 1;
    stele__frame_seal(frame, size, &header);
}

/* It looks at no expected version. */
static void certify_nothing(void *context, uint64_t sequence, void *frame, size_t size)
{
    stele__frame read;
    stele__frame_builder builder = { .size_max = size + 1 };
    stele__buffer written = { 0 };
    (void)context;
    (void)sequence;
    if (stele__frame_read(frame, size, size, &read) != STELE_OK)
        return;
    if (read.header.kind == STELE__FRAME_DATA) {
        for (uint32_t i = 0; i < read.header.change_count; i++) {
            stele__change *change = &read.changes[i];
            if (change->kind == STELE__CHANGE_APPENDS && change->count == 1) {
                stele_append append = *(const stele_append *)change->what;
                append.expected_version = STELE_ANY;
                change->what = &append;
                if (stele__frame_add(&builder, change) != STELE_OK)
                    abort();
            } else if (stele__frame_add(&builder, change) != STELE_OK) {
                abort();
            }
        }
        if (stele__frame_end(&builder, &read.header, &written) != STELE_OK || written.size != size)
            abort();
        memcpy(frame, written.data, size);
    }
    stele__frame_builder_dispose(&builder);
    stele__buffer_dispose(&written);
    stele__frame_dispose(&read);
}

typedef struct control {
    const char *what;
    void (*tamper)(void *context, uint64_t sequence, void *frame, size_t size);
    uint32_t checkpoint_every;
} control;

static const control controls[] = {
    { "its own clock", read_the_clock, 0 },
    { "repeats applied", forget_writers, 0 },
    { "no certification", certify_nothing, 0 },
    { "its own clock, and checkpoints", read_the_clock, 10 },
};

START_TEST(control_node_that_does_it_wrong_ends_different_or_stops)
{
    const memory_faults twice = { .twice = 3 };
    const control *of = &controls[_i];
    world_plan wanted = { .lanes = 1, .writers = 3, .wishes = 20, .faults = &twice };
    wanted.tamper = of->tamper;
    wanted.checkpoint_every = of->checkpoint_every;
    begin_world(&wanted, choose_seed());
    /* The wrong one only follows: its callers would wait for what it doesn't recognise. */
    stele_event event = make_event("noted", "{}");
    for (int i = 0; i < 60; i++) {
        stele_append append = make_append("s-1", i % 3 == 2 ? i + 7 : STELE_ANY, &event, 1);
        (void)stele_store_append(nodes[i % 2].stores[0], &append, NULL);
    }
    stele_status status = apply_everything();
    if (of->checkpoint_every > 0)
        assert_status(status, STELE_EPOCH);
    else
        assert_status(status, STELE_OK);
    ck_assert_msg(!nodes_are_equal(), "%s: nobody finds it", of->what);
    ck_assert(equal_digests(nodes[0].stores[0], nodes[1].stores[0]));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replica: nodes");
    TCase *worlds = tcase_create("worlds");
    TCase *wrong = tcase_create("controls");
    tcase_set_timeout(worlds, 0);
    tcase_set_timeout(wrong, 0);
    tcase_add_checked_fixture(worlds, NULL, tear_down);
    tcase_add_checked_fixture(wrong, NULL, tear_down);
    tcase_add_test(worlds, three_nodes_end_equal_when_nothing_goes_wrong);
    tcase_add_test(worlds, three_nodes_end_equal_whatever_the_log_does);
    tcase_add_test(worlds, three_nodes_end_equal_though_they_end_and_come_back);
    tcase_add_test(worlds, three_roots_of_shards_end_equal);
    tcase_add_loop_test(wrong, control_node_that_does_it_wrong_ends_different_or_stops, 0,
                        (int)COUNT_OF(controls));
    suite_add_tcase(suite, worlds);
    suite_add_tcase(suite, wrong);
    return run_suite(suite);
}
