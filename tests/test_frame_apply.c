/* What a file does with frames: each rule. */
#include "frames.h"

/* A frame of one append of one event. */
static stele__buffer *append_frame(uint64_t writer_sequence, const char *stream, int64_t expected)
{
    static stele__buffer frame;
    stele_event event = make_event("counted", "{}");
    stele_append append = make_append(stream, expected, &event, 1);
    stele__change change = { .kind = STELE__CHANGE_APPENDS, .what = &append, .count = 1 };
    stele__frame_header header = header_of(writer_sequence, 1000000 + (int64_t)writer_sequence);
    make_frame_of(&header, &change, 1, &frame);
    return &frame;
}

static void expect_outcome(stele_store *to, uint64_t sequence, const stele__buffer *frame,
                           stele__frame_outcome outcome)
{
    stele__frame_result result = { 0 };
    assert_status(apply_to(to, sequence, frame, &result), STELE_OK);
    ck_assert_int_eq(result.outcome, outcome);
    stele__frame_result_dispose(&result);
}

static void refuse_frame(stele_store *to, uint64_t sequence, const stele__buffer *frame,
                         stele_status expected, const char *reason)
{
    stele__frame_result result = { 0 };
    uint64_t before = applied_of(to);
    char digest[17];
    snprintf(digest, sizeof(digest), "%s", digest_of_store(to));
    assert_status(apply_to(to, sequence, frame, &result), expected);
    assert_reason_has(reason);
    stele__frame_result_dispose(&result);
    ck_assert_uint_eq(applied_of(to), before);
    ck_assert_str_eq(digest_of_store(to), digest);
}

/* --- Which frame is the next --- */

START_TEST(a_genesis_binds_an_empty_file_and_no_other)
{
    stele__frame_header header = header_of(1, 5);
    stele__buffer genesis = { 0 };
    make_mark(STELE__FRAME_GENESIS, &header, NULL, &genesis);
    refuse_frame(store, 1, append_frame(1, "a-1", STELE_ANY), STELE_MISUSE, "follows no lane");
    refuse_frame(store, 2, &genesis, STELE_MISUSE, "follows no lane");

    expect_outcome(store, 1, &genesis, STELE__FRAME_APPLIED);

    stele__frame_place place;
    assert_status(stele__frame_place_find(store, &place), STELE_OK);
    ck_assert(place.bound && stele__frame_id_equal(&place.lane, &header.lane)
              && stele__frame_id_equal(&place.shard, &header.shard));
    ck_assert_uint_eq(place.applied, 1);
    stele_store *other = open_path(test_path("other.db"), NULL);
    assert_status(append_to(other, "a-1", STELE_ANY, "counted", NULL), STELE_OK);
    refuse_frame(other, 1, &genesis, STELE_MISUSE, "empty store");
    stele_store_close(other);
    stele__buffer_dispose(&genesis);
}
END_TEST

START_TEST(binding_again_is_fine_and_to_another_lane_misuse)
{
    stele__frame_header header = header_of(1, 0);
    bind_it(store);
    bind_it(store);
    header.lane.bytes[3] = 'x';
    assert_status(stele__frame_bind(store, &header.lane, &header.shard), STELE_MISUSE);
    reopen_file();
    ck_assert_uint_eq(applied_of(store), 0);
}
END_TEST

START_TEST(frames_of_another_lane_or_shard_stop)
{
    stele__buffer *frame = append_frame(1, "a-1", STELE_ANY);
    stele__frame_header header = header_of(1, 0);
    header.lane.bytes[0] = 'x';
    stele__frame_seal(frame->data, frame->size, &header);
    refuse_frame(store, 1, frame, STELE_MISUSE, "lane");
    header = header_of(1, 0);
    header.shard.bytes[0] = 'x';
    stele__frame_seal(frame->data, frame->size, &header);
    refuse_frame(store, 1, frame, STELE_MISUSE, "shard");
    frame->data[frame->size - 1] ^= 1;
    refuse_frame(store, 1, frame, STELE_CORRUPT, "checksum");
    expect_outcome(store, 1, append_frame(1, "a-1", STELE_ANY), STELE__FRAME_APPLIED);
}
END_TEST

START_TEST(numbers_come_one_after_the_other)
{
    expect_outcome(store, 1, append_frame(1, "a-1", 0), STELE__FRAME_APPLIED);
    refuse_frame(store, 3, append_frame(2, "a-1", 1), STELE_CONFLICT, "2 is the next");
    expect_outcome(store, 2, append_frame(2, "a-1", 1), STELE__FRAME_APPLIED);
    /* What came before is nothing, whatever it holds. */
    char digest[17];
    uint64_t chain = chain_of(store);
    snprintf(digest, sizeof(digest), "%s", digest_of_store(store));
    expect_outcome(store, 2, append_frame(2, "a-1", 1), STELE__FRAME_OLD);
    expect_outcome(store, 1, append_frame(9, "b-1", STELE_ANY), STELE__FRAME_OLD);
    ck_assert_uint_eq(applied_of(store), 2);
    ck_assert_uint_eq(chain_of(store), chain);
    ck_assert_str_eq(digest_of_store(store), digest);
}
END_TEST

START_TEST(a_writers_frames_are_applied_once_and_in_its_order)
{
    uint64_t last = 9;
    stele__frame_header header = header_of(1, 0);
    expect_outcome(store, 1, append_frame(1, "a-1", STELE_ANY), STELE__FRAME_APPLIED);
    expect_outcome(store, 2, append_frame(3, "a-1", STELE_ANY), STELE__FRAME_EARLY);
    expect_outcome(store, 3, append_frame(1, "a-1", STELE_ANY), STELE__FRAME_DUPLICATE);
    ck_assert_int_eq(version_of("a-1"), 1);
    expect_outcome(store, 4, append_frame(2, "a-1", STELE_ANY), STELE__FRAME_APPLIED);
    expect_outcome(store, 5, append_frame(3, "a-1", STELE_ANY), STELE__FRAME_APPLIED);
    ck_assert_int_eq(version_of("a-1"), 3);
    ck_assert_uint_eq(applied_of(store), 5); /* each took a number */
    assert_status(stele__frame_writer_find(store, &header.writer, &last), STELE_OK);
    ck_assert_uint_eq(last, 3);
    header.writer.bytes[0] = 'x';
    assert_status(stele__frame_writer_find(store, &header.writer, &last), STELE_OK);
    ck_assert_uint_eq(last, 0);
    assert_verified(store);
}
END_TEST

/* --- Verdicts --- */

START_TEST(a_refused_change_leaves_nothing_and_the_others_are_written)
{
    stele_event event = make_event("counted", "{}");
    stele_event wrong = make_event("counted", "{");
    stele_append appends[5];
    appends[0] = make_append("a-1", STELE_NO_STREAM, &event, 1);
    appends[1] = make_append("a-1", STELE_NO_STREAM, &event, 1);
    appends[2] = make_append("b-1", STELE_ANY, &wrong, 1);
    appends[3] = make_append("$mine", STELE_ANY, &event, 1);
    appends[4] = make_append("a-1", 1, &event, 1);
    stele_append pair[2] = { make_append("c-1", STELE_ANY, &event, 1),
                             make_append("a-1", 7, &event, 1) };
    stele_tombstone nothing = STELE_TOMBSTONE_INIT;
    nothing.stream = "z-1";
    nothing.reason = "x";
    stele__change changes[7];
    for (size_t i = 0; i < 5; i++)
        changes[i] =
            (stele__change){ .kind = STELE__CHANGE_APPENDS, .what = &appends[i], .count = 1 };
    changes[5] = (stele__change){ .kind = STELE__CHANGE_APPENDS, .what = pair, .count = 2 };
    changes[6] = (stele__change){ .kind = STELE__CHANGE_TOMBSTONE, .what = &nothing, .count = 1 };
    const stele_status expected[] = { STELE_OK, STELE_CONFLICT, STELE_INVALID,  STELE_MISUSE,
                                      STELE_OK, STELE_CONFLICT, STELE_NOT_FOUND };
    stele__frame_header header = header_of(1, 42);
    stele__buffer frame = { 0 };
    stele__frame_result result = { 0 };
    make_frame_of(&header, changes, COUNT_OF(changes), &frame);

    assert_status(apply_to(store, 1, &frame, &result), STELE_OK);

    ck_assert_uint_eq(result.verdict_count, COUNT_OF(changes));
    ck_assert_uint_eq(result.refused, 5);
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        ck_assert_int_eq(result.verdicts[i].status, expected[i]);
        ck_assert_int_eq(result.verdicts[i].error[0] == '\0', expected[i] == STELE_OK);
    }
    ck_assert_int_eq(result.verdicts[1].appended[0].stream_version, 1);
    ck_assert_int_eq(result.verdicts[4].appended[0].last_position, 2);
    ck_assert_uint_eq(result.verdicts[5].failed, 1);
    ck_assert_int_eq(version_of("a-1"), 2);
    stele_stream_info info;
    assert_status(stele_store_stream(store, "c-1", &info), STELE_NOT_FOUND);

    /* And told as the public call would. */
    stele_appended told[2];
    size_t failed = 9;
    changes[5].answer_out = told;
    changes[5].failed_out = &failed;
    assert_status(stele__verdict_tell(&result.verdicts[5], &changes[5]), STELE_CONFLICT);
    assert_reason_has("stream 'a-1' is at version 2, expected 7");
    ck_assert_uint_eq(failed, 1);
    ck_assert_int_eq(told[0].last_position, 0);
    ck_assert_int_eq(told[1].stream_version, 2);
    stele__frame_result_dispose(&result);
    stele__buffer_dispose(&frame);
    assert_verified(store);
}
END_TEST

START_TEST(a_frames_time_is_the_only_clock)
{
    const stele_record *record = NULL;
    stele_cursor *cursor = NULL;
    stele_read read = STELE_READ_INIT;
    const int64_t minute = INT64_C(60000000);
    const int64_t times[] = { 90 * minute, 89 * minute, 91 * minute, 20 * minute };
    const int64_t recorded[] = { 90 * minute, 90 * minute, 91 * minute, 20 * minute };
    for (uint64_t i = 0; i < COUNT_OF(times); i++) {
        stele__buffer *frame = append_frame(i + 1, "a-1", STELE_ANY);
        stele__frame_header header = header_of(i + 1, times[i]);
        stele__frame_seal(frame->data, frame->size, &header);
        expect_outcome(store, i + 1, frame, STELE__FRAME_APPLIED);
    }
    read.stream = "a-1";
    assert_status(stele_store_read(store, &read, &cursor), STELE_OK);
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        assert_status(stele_cursor_next(cursor, &record), STELE_OK);
        ck_assert_int_eq(record->recorded_at, recorded[i]);
        ck_assert_int_eq((record->flags & STELE_RECORD_CLOCK_BACK) != 0, i == 3);
    }
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(what_a_transaction_rolls_back_was_never_applied)
{
    stele__frame_result result = { 0 };
    stele_transaction *transaction = NULL;
    stele__buffer *frame = append_frame(1, "a-1", STELE_ANY);
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    assert_status(stele__frame_apply(transaction, 1, frame->data, frame->size, NULL, &result),
                  STELE_OK);
    stele__frame_place place;
    assert_status(stele__frame_place_within(transaction, &place), STELE_OK);
    ck_assert_uint_eq(place.applied, 1);
    stele_transaction_end(transaction);

    ck_assert_uint_eq(applied_of(store), 0);
    expect_outcome(store, 1, frame, STELE__FRAME_APPLIED);
    ck_assert_int_eq(version_of("a-1"), 1);
    stele__frame_result_dispose(&result);
}
END_TEST

/* What happens inside another of the store's threads goes by its own clock meanwhile. */
START_TEST(framing_is_of_one_thread_and_one_store)
{
    stele_store *other = open_path(test_path("other.db"), NULL);
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    ck_assert(!stele__is_framing(store));
    stele__framing_begin(store, 7);
    ck_assert(stele__is_framing(store));
    ck_assert(!stele__is_framing(other));
    ck_assert_int_eq(stele__store_now(store), 7);
    ck_assert_int_gt(stele__store_now(other), 1000);
    stele__framing_end(store);
    ck_assert_int_gt(stele__store_now(store), 1000);
    stele_transaction_end(transaction);
    stele_store_close(other);
}
END_TEST

/* --- Checkpoints --- */

static stele_status apply_checkpoint(uint64_t number, stele__frame_checkpoint checkpoint)
{
    stele__frame_header header = header_of(number, 0);
    stele__frame_result result = { 0 };
    stele__buffer frame = { 0 };
    make_mark(STELE__FRAME_CHECKPOINT, &header, &checkpoint, &frame);
    stele_status status = apply_to(store, number, &frame, &result);
    stele__frame_result_dispose(&result);
    stele__buffer_dispose(&frame);
    return status;
}

START_TEST(a_checkpoint_of_another_chain_stops_the_node)
{
    uint64_t chains[60] = { chain_of(store) };
    uint64_t number = 1;
    for (; number < 40; number++) {
        expect_outcome(store, number, append_frame(number, "a-1", STELE_ANY), STELE__FRAME_APPLIED);
        chains[number] = chain_of(store);
        for (uint64_t i = 0; i < number; i++)
            ck_assert_uint_ne(chains[i], chains[number]);
    }
    /* Of this number, of an earlier one, and of one that nobody remembers. */
    assert_status(apply_checkpoint(number, (stele__frame_checkpoint){ number - 1, chains[39], 0 }),
                  STELE_OK);
    number++;
    assert_status(apply_checkpoint(number, (stele__frame_checkpoint){ 20, chains[20], 0 }),
                  STELE_OK);
    number++;
    assert_status(apply_checkpoint(number, (stele__frame_checkpoint){ 3, 12345, 0 }), STELE_OK);
    number++;
    ck_assert_uint_eq(applied_of(store), number - 1);

    assert_status(apply_checkpoint(number, (stele__frame_checkpoint){ 39, chains[39] + 1, 0 }),
                  STELE_EPOCH);
    assert_status(apply_checkpoint(number, (stele__frame_checkpoint){ 30, chains[31], 0 }),
                  STELE_EPOCH);
    assert_status(apply_checkpoint(number, (stele__frame_checkpoint){ 99, 1, 0 }), STELE_EPOCH);

    ck_assert_uint_eq(applied_of(store), number - 1);
}
END_TEST

START_TEST(a_checkpoint_lets_idle_writers_be_forgotten_but_not_its_own)
{
    uint64_t last = 0;
    stele__frame_header idle = header_of(1, 0);
    stele__frame_header header = header_of(1, 0);
    idle.writer.bytes[0] = 'i';
    stele__buffer frame = { 0 };
    make_mark(STELE__FRAME_BARRIER, &idle, NULL, &frame);
    expect_outcome(store, 1, &frame, STELE__FRAME_APPLIED);
    expect_outcome(store, 2, append_frame(1, "a-1", STELE_ANY), STELE__FRAME_APPLIED);
    make_mark(STELE__FRAME_CHECKPOINT,
              &(stele__frame_header){ .lane = header.lane,
                                      .shard = header.shard,
                                      .writer = header.writer,
                                      .writer_sequence = 2 },
              &(stele__frame_checkpoint){ 2, chain_of(store), 2 }, &frame);

    expect_outcome(store, 3, &frame, STELE__FRAME_APPLIED);

    assert_status(stele__frame_writer_find(store, &idle.writer, &last), STELE_OK);
    ck_assert_uint_eq(last, 0);
    assert_status(stele__frame_writer_find(store, &header.writer, &last), STELE_OK);
    ck_assert_uint_eq(last, 2);
    idle.writer_sequence = 2; /* it must take another id */
    make_mark(STELE__FRAME_BARRIER, &idle, NULL, &frame);
    expect_outcome(store, 4, &frame, STELE__FRAME_EARLY);
    stele__buffer_dispose(&frame);
}
END_TEST

/* --- Apply errors --- */

/* Damage is none of the frame's verdicts. */
START_TEST(a_log_that_was_written_to_without_a_frame_stops_it)
{
    expect_outcome(store, 1, append_frame(1, "a-1", STELE_ANY), STELE__FRAME_APPLIED);
    fill_stream("b-1", 1);
    refuse_frame(store, 2, append_frame(2, "a-1", STELE_ANY), STELE_EPOCH,
                 "ends at position 2, but the frames before left it at 1");
    expect_outcome(store, 1, append_frame(1, "a-1", STELE_ANY), STELE__FRAME_OLD);
    /* Who allows it follows from there. */
    stele__frame_result result = { 0 };
    stele__frame_options options = { .past_allowed = true };
    const stele__buffer *frame = append_frame(2, "a-1", STELE_ANY);
    stele_transaction *transaction = begin();
    assert_status(stele__frame_apply(transaction, 2, frame->data, frame->size, &options, &result),
                  STELE_OK);
    stele__frame_result_dispose(&result);
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);
    expect_outcome(store, 3, append_frame(3, "a-1", STELE_ANY), STELE__FRAME_APPLIED);
    assert_verified(store);
}
END_TEST

START_TEST(what_was_there_when_it_was_bound_is_no_reason)
{
    stele__frame_header header = header_of(1, 0);
    stele_store *other = open_path(test_path("other.db"), NULL);
    append_to(other, "b-1", STELE_ANY, "noted", NULL);
    assert_status(stele__frame_bind(other, &header.lane, &header.shard), STELE_OK);
    expect_outcome(other, 1, append_frame(1, "a-1", STELE_ANY), STELE__FRAME_APPLIED);
    stele_store_close(other);
}
END_TEST

START_TEST(a_nodes_own_limits_refuse_nothing)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.event_size_max = 1;
    options.value_size_max = 1;
    close_store();
    store = open_path(store_path(), &options);
    stele_event event = make_event("counted", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    stele_put put = STELE_PUT_INIT;
    put.scope = put.key = "k";
    put.data = "[1]";
    put.data_size = 3;
    stele__change changes[] = { { .kind = STELE__CHANGE_APPENDS, .what = &append, .count = 1 },
                                { .kind = STELE__CHANGE_PUT, .what = &put, .count = 1 } };
    stele__frame_header header = header_of(1, 0);
    stele__buffer frame = { 0 };
    stele__frame_result result = { 0 };
    make_frame_of(&header, changes, 2, &frame);
    assert_status(apply_to(store, 1, &frame, &result), STELE_OK);
    ck_assert_uint_eq(result.refused, 0);
    ck_assert_int_eq(version_of("a-1"), 1);
    stele__frame_result_dispose(&result);
    stele__buffer_dispose(&frame);
}
END_TEST

START_TEST(what_a_file_keeps_for_another_makes_no_difference)
{
    stele__frame_header header = header_of(1, 0);
    stele_store *other = open_path(test_path("other.db"), NULL);
    stele_store *source = open_path(test_path("source.db"), NULL);
    assert_status(stele__frame_bind(other, &header.lane, &header.shard), STELE_OK);
    assert_status(append_to(source, "s-1", STELE_ANY, "unheard-of", NULL), STELE_OK);
    stele_archive moving = STELE_ARCHIVE_INIT;
    moving.stream = "s-1";
    moving.to = other;
    assert_status(stele_store_archive(source, &moving, NULL), STELE_OK);
    char digest[17];
    expect_outcome(store, 1, append_frame(1, "a-1", STELE_ANY), STELE__FRAME_APPLIED);
    expect_outcome(other, 1, append_frame(1, "a-1", STELE_ANY), STELE__FRAME_APPLIED);
    snprintf(digest, sizeof(digest), "%s", digest_of_store(store));
    ck_assert_str_eq(digest_of_store(other), digest);
    ck_assert_uint_eq(chain_of(other), chain_of(store));
    stele_store_close(source);
    stele_store_close(other);
}
END_TEST

START_TEST(a_damaged_row_stops_the_frame_and_not_by_a_verdict)
{
    expect_outcome(store, 1, append_frame(1, "a-1", STELE_ANY), STELE__FRAME_APPLIED);
    close_store();
    run_sql(store_path(), "UPDATE frame_writers SET last = 7");
    open_in_file();
    refuse_frame(store, 2, append_frame(2, "a-1", STELE_ANY), STELE_CORRUPT, "frame_writers");
    close_store();
    run_sql(store_path(), "UPDATE frame_writers SET last = 1; UPDATE frame_lane SET applied = 7");
    open_in_file();
    stele__frame_place place;
    assert_status(stele__frame_place_find(store, &place), STELE_CORRUPT);
    close_store();
    run_sql(store_path(), "UPDATE frame_lane SET applied = 1, head = head + 1");
    open_in_file();
    assert_status(stele__frame_place_find(store, &place), STELE_CORRUPT);
    close_store();
    run_sql(store_path(), "UPDATE frame_lane SET head = head - 1; UPDATE streams SET state = 1");
    open_in_file();
    stele__frame_result result = { 0 };
    stele_tombstone tombstone = STELE_TOMBSTONE_INIT;
    tombstone.stream = "a-1";
    tombstone.reason = "x";
    stele__change change = { .kind = STELE__CHANGE_TOMBSTONE, .what = &tombstone, .count = 1 };
    stele__frame_header header = header_of(2, 0);
    stele__buffer frame = { 0 };
    make_frame_of(&header, &change, 1, &frame);
    assert_status(apply_to(store, 2, &frame, &result), STELE_CORRUPT);
    ck_assert_uint_eq(applied_of(store), 1);
    stele__frame_result_dispose(&result);
    stele__buffer_dispose(&frame);
}
END_TEST

START_TEST(a_closed_transaction_is_no_verdict)
{
    stele_transaction *transaction = NULL;
    stele__frame_result result = { 0 };
    stele__buffer *frame = append_frame(1, "a-1", STELE_ANY);
    assert_status(stele__frame_apply(NULL, 1, frame->data, frame->size, NULL, &result),
                  STELE_MISUSE);
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    assert_status(stele__frame_apply(transaction, 0, frame->data, frame->size, NULL, &result),
                  STELE_MISUSE);
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    assert_status(stele__frame_apply(transaction, 1, frame->data, frame->size, NULL, &result),
                  STELE_MISUSE);
    stele_transaction_end(transaction);
    ck_assert_uint_eq(applied_of(store), 0);
}
END_TEST

static Suite *frame_apply_suite(void)
{
    Suite *suite = suite_create("frame apply");
    TCase *tests = add_case(suite, "lanes", open_in_file);
    tcase_add_test(tests, a_genesis_binds_an_empty_file_and_no_other);
    tcase_add_test(tests, binding_again_is_fine_and_to_another_lane_misuse);

    tests = add_case(suite, "numbers", open_bound);
    tcase_add_test(tests, frames_of_another_lane_or_shard_stop);
    tcase_add_test(tests, numbers_come_one_after_the_other);
    tcase_add_test(tests, a_writers_frames_are_applied_once_and_in_its_order);

    tests = add_case(suite, "verdicts", open_bound);
    tcase_add_test(tests, a_refused_change_leaves_nothing_and_the_others_are_written);
    tcase_add_test(tests, a_frames_time_is_the_only_clock);
    tcase_add_test(tests, what_a_transaction_rolls_back_was_never_applied);
    tcase_add_test(tests, framing_is_of_one_thread_and_one_store);

    tests = add_case(suite, "checkpoints", open_bound);
    tcase_add_test(tests, a_checkpoint_of_another_chain_stops_the_node);
    tcase_add_test(tests, a_checkpoint_lets_idle_writers_be_forgotten_but_not_its_own);

    tests = add_case(suite, "damage", open_bound);
    tcase_add_test(tests, a_log_that_was_written_to_without_a_frame_stops_it);
    tcase_add_test(tests, what_was_there_when_it_was_bound_is_no_reason);
    tcase_add_test(tests, what_a_file_keeps_for_another_makes_no_difference);
    tcase_add_test(tests, a_nodes_own_limits_refuse_nothing);
    tcase_add_test(tests, a_damaged_row_stops_the_frame_and_not_by_a_verdict);
    tcase_add_test(tests, a_closed_transaction_is_no_verdict);
    return suite;
}

int main(void)
{
    return run_suite(frame_apply_suite());
}
