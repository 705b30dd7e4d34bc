/* The bytes of frames: what was put in comes out, and nothing else is taken for a frame. */
#include "frames.h"

static void check_text(const char *a, const char *b)
{
    ck_assert_int_eq(a == NULL, b == NULL);
    if (a != NULL)
        ck_assert_str_eq(a, b);
}

static void check_bytes(const void *a, size_t a_size, const void *b, size_t b_size)
{
    ck_assert_uint_eq(a_size, b_size);
    if (a_size > 0)
        ck_assert_mem_eq(a, b, a_size);
}

static void compare_events(const stele_append *put, const stele_append *got)
{
    ck_assert_uint_eq(put->event_count, got->event_count);
    for (size_t i = 0; i < put->event_count; i++) {
        const stele_event *a = &put->events[i];
        const stele_event *b = &got->events[i];
        ck_assert_str_eq(a->type, b->type);
        ck_assert_str_eq(a->codec == NULL ? "json" : a->codec, b->codec);
        ck_assert_int_eq(a->schema_version == 0 ? 1 : a->schema_version, b->schema_version);
        ck_assert_int_eq(a->has_occurred_at, b->has_occurred_at);
        ck_assert_int_eq(a->occurred_at, b->occurred_at);
        check_bytes(a->data, a->data_size, b->data, b->data_size);
        check_bytes(a->metadata, a->metadata_size, b->metadata, b->metadata_size);
    }
}

static void compare_appends(const stele__change *put, const stele__change *got)
{
    for (size_t i = 0; i < put->count; i++) {
        const stele_append *a = (const stele_append *)put->what + i;
        const stele_append *b = (const stele_append *)got->what + i;
        ck_assert_str_eq(a->stream, b->stream);
        ck_assert_int_eq(a->expected_version, b->expected_version);
        check_text(a->idempotency_key, b->idempotency_key);
        ck_assert_uint_eq(a->condition_count, b->condition_count);
        for (size_t j = 0; j < a->condition_count; j++) {
            ck_assert_int_eq(a->conditions[j].kind, b->conditions[j].kind);
            ck_assert_str_eq(a->conditions[j].stream, b->conditions[j].stream);
            ck_assert_int_eq(a->conditions[j].expected_version, b->conditions[j].expected_version);
        }
        compare_events(a, b);
    }
}

static void compare_puts(const stele_put *a, const stele_put *b)
{
    ck_assert_str_eq(a->scope, b->scope);
    ck_assert_str_eq(a->key, b->key);
    ck_assert_int_eq(a->expected_revision, b->expected_revision);
    ck_assert_str_eq(a->codec == NULL ? "raw" : a->codec, b->codec);
    check_text(a->write_id, b->write_id);
    check_bytes(a->data, a->data_size, b->data, b->data_size);
    ck_assert_uint_eq(a->attribute_count, b->attribute_count);
    for (size_t i = 0; i < a->attribute_count; i++) {
        ck_assert_str_eq(a->attributes[i].name, b->attributes[i].name);
        check_text(a->attributes[i].value == NULL ? "" : a->attributes[i].value,
                   b->attributes[i].value);
    }
}

static void compare_changes(const stele__change *put, const stele__change *got)
{
    ck_assert_int_eq(put->kind, got->kind);
    ck_assert_uint_eq(put->count, got->count);
    ck_assert_int_eq(put->own, got->own);
    if (put->kind == STELE__CHANGE_APPENDS) {
        compare_appends(put, got);
    } else if (put->kind == STELE__CHANGE_PUT) {
        compare_puts(put->what, got->what);
    } else if (put->kind == STELE__CHANGE_REMOVE) {
        const stele_remove *a = put->what, *b = got->what;
        ck_assert_str_eq(a->scope, b->scope);
        ck_assert_str_eq(a->key, b->key);
        ck_assert_int_eq(a->expected_revision, b->expected_revision);
        check_text(a->write_id, b->write_id);
    } else if (put->kind == STELE__CHANGE_ARCHIVE) {
        const stele_archive *a = put->what, *b = got->what;
        ck_assert_str_eq(a->stream, b->stream);
        ck_assert_int_eq(a->expected_version, b->expected_version);
        check_text(a->reason, b->reason);
    } else if (put->kind == STELE__CHANGE_RESTORE) {
        const stele_restore *a = put->what, *b = got->what;
        ck_assert_str_eq(a->stream, b->stream);
        ck_assert_int_eq(a->expected_version, b->expected_version);
    } else if (put->kind == STELE__CHANGE_TOMBSTONE) {
        const stele_tombstone *a = put->what, *b = got->what;
        ck_assert_str_eq(a->stream, b->stream);
        ck_assert_int_eq(a->expected_version, b->expected_version);
        check_text(a->reason, b->reason);
    } else {
        const stele_delete *a = put->what, *b = got->what;
        ck_assert_str_eq(a->stream, b->stream);
        ck_assert_int_eq(a->expected_version, b->expected_version);
        ck_assert_int_eq(a->leave_archived, b->leave_archived);
    }
}

START_TEST(what_was_put_into_a_frame_comes_out_of_it)
{
    static chance_change made[12];
    uint64_t seed = choose_seed();
    int frames = effort_of(1000, 20000);
    for (int i = 0; i < frames; i++) {
        stele__change changes[COUNT_OF(made)];
        size_t count = chance_below(COUNT_OF(made));
        for (size_t j = 0; j < count; j++) {
            make_chance_change(&made[j], (stele__change_kind)0);
            made[j].change.own = (made[j].change.kind == STELE__CHANGE_PUT
                                  || made[j].change.kind == STELE__CHANGE_REMOVE)
                                 && one_in(2);
            changes[j] = made[j].change;
        }
        stele__frame_header header = header_of(1 + chance_below(100), (int64_t)next_chance());
        stele__buffer bytes = { 0 };
        make_frame_of(&header, changes, count, &bytes);
        stele__frame frame;
        assert_status(stele__frame_read(bytes.data, bytes.size, 0, &frame), STELE_OK);
        memset(bytes.data, 0xee, bytes.size); /* nothing of it is borrowed */

        ck_assert_uint_eq(frame.header.change_count, count);
        ck_assert_uint_eq(frame.header.writer_sequence, header.writer_sequence);
        ck_assert_int_eq(frame.header.time, header.time);
        ck_assert(stele__frame_id_equal(&frame.header.lane, &header.lane));
        ck_assert(stele__frame_id_equal(&frame.header.shard, &header.shard));
        ck_assert(stele__frame_id_equal(&frame.header.writer, &header.writer));
        for (size_t j = 0; j < count; j++)
            compare_changes(&changes[j], &frame.changes[j]);
        stele__frame_dispose(&frame);
        stele__buffer_dispose(&bytes);
    }
    printf("frames: seed %" PRIu64 ", %d frames\n", seed, frames);
}
END_TEST

/* The same changes always make the same bytes: a checksum can stand for them. */
START_TEST(equal_changes_make_equal_frames_and_a_builder_can_be_used_again)
{
    static chance_change made[8];
    seed_chance(7);
    stele__frame_header header = header_of(1, 5);
    stele__frame_builder builder = { 0 };
    stele__buffer first = { 0 }, second = { 0 };
    for (int round = 0; round < 2; round++) {
        seed_chance(11);
        for (size_t i = 0; i < COUNT_OF(made); i++) {
            make_chance_change(&made[i], (stele__change_kind)0);
            assert_status(stele__frame_add(&builder, &made[i].change), STELE_OK);
        }
        assert_status(stele__frame_end(&builder, &header, round == 0 ? &first : &second), STELE_OK);
        stele__frame_clear(&builder);
    }
    check_bytes(first.data, first.size, second.data, second.size);
    stele__frame_builder_dispose(&builder);
    stele__buffer_dispose(&first);
    stele__buffer_dispose(&second);
}
END_TEST

START_TEST(a_frame_is_no_larger_than_its_limit_and_what_did_not_fit_leaves_nothing)
{
    static char data[3000];
    memset(data, 'x', sizeof(data));
    stele_event small = make_event("counted", "{}");
    stele_event large = { .type = "hauled", .codec = "raw", .data = data, .data_size = 3000 };
    stele_append first = make_append("a-1", STELE_ANY, &small, 1);
    stele_append second = make_append("b-with-another-name", STELE_ANY, &large, 1);
    stele__change changes[] = { { .kind = STELE__CHANGE_APPENDS, .what = &first, .count = 1 },
                                { .kind = STELE__CHANGE_APPENDS, .what = &second, .count = 1 } };
    stele__frame_header header = header_of(1, 0);
    stele__frame_builder builder = { .size_max = 2000 };
    stele__buffer without = { 0 }, with = { 0 };

    assert_status(stele__frame_add(&builder, &changes[0]), STELE_OK);
    assert_status(stele__frame_end(&builder, &header, &without), STELE_OK);
    assert_status(stele__frame_add(&builder, &changes[1]), STELE_TOO_LARGE);
    assert_status(stele__frame_end(&builder, &header, &with), STELE_OK);

    check_bytes(without.data, without.size, with.data, with.size);
    assert_status(stele__frame_add(&builder, &changes[0]), STELE_OK); /* and it goes on */
    assert_status(stele__frame_end(&builder, &header, &with), STELE_OK);
    stele__frame frame;
    assert_status(stele__frame_read(with.data, with.size, 100, &frame), STELE_TOO_LARGE);
    assert_status(stele__frame_read(with.data, with.size, 0, &frame), STELE_OK);
    ck_assert_uint_eq(frame.header.change_count, 2);
    stele__frame_dispose(&frame);
    stele__frame_builder_dispose(&builder);
    stele__buffer_dispose(&without);
    stele__buffer_dispose(&with);
}
END_TEST

START_TEST(what_is_no_change_makes_no_frame)
{
    static chance_change made;
    stele__frame_builder builder = { 0 };
    for (int kind = STELE__CHANGE_ARCHIVE; kind <= STELE__CHANGE_DELETE; kind++) {
        make_chance_change(&made, (stele__change_kind)kind);
        made.archiving.dry_run = made.restoring.dry_run = true;
        made.tombstone.dry_run = made.deletion.dry_run = true;
        assert_status(stele__frame_add(&builder, &made.change), STELE_UNSUPPORTED);
    }
    make_chance_change(&made, STELE__CHANGE_ARCHIVE);
    made.archiving.to = (stele_store *)&made;
    assert_status(stele__frame_add(&builder, &made.change), STELE_UNSUPPORTED);
    make_chance_change(&made, STELE__CHANGE_PUT);
    made.put.key = NULL;
    assert_status(stele__frame_add(&builder, &made.change), STELE_MISUSE);
    make_chance_change(&made, STELE__CHANGE_APPENDS);
    made.appends[0].stream = NULL;
    assert_status(stele__frame_add(&builder, &made.change), STELE_MISUSE);
    ck_assert_uint_eq(builder.change_count, 0);
    ck_assert_uint_eq(builder.changes.size, 0);
    stele__frame_builder_dispose(&builder);
}
END_TEST

START_TEST(marks_keep_what_they_say)
{
    stele__frame_header header = header_of(3, 12);
    stele__frame_checkpoint said = { 41, 0xfeedfacecafebeef, 17 };
    const stele__frame_kind kinds[] = { STELE__FRAME_GENESIS, STELE__FRAME_BARRIER,
                                        STELE__FRAME_CHECKPOINT };
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        stele__buffer bytes = { 0 };
        stele__frame frame;
        make_mark(kinds[i], &header, kinds[i] == STELE__FRAME_CHECKPOINT ? &said : NULL, &bytes);
        assert_status(stele__frame_read(bytes.data, bytes.size, 0, &frame), STELE_OK);
        ck_assert_int_eq(frame.header.kind, kinds[i]);
        if (kinds[i] == STELE__FRAME_CHECKPOINT)
            ck_assert_mem_eq(&frame.checkpoint, &said, sizeof(said));
        stele__frame_dispose(&frame);
        stele__buffer_dispose(&bytes);
    }
}
END_TEST

/* --- Hostile bytes --- */

static void make_sample(stele__buffer *bytes)
{
    static chance_change made[5];
    stele__change changes[COUNT_OF(made)];
    stele__frame_header header = header_of(1 + chance_below(5), 77);
    for (size_t i = 0; i < COUNT_OF(made); i++) {
        make_chance_change(&made[i], i == 0 ? STELE__CHANGE_APPENDS : (stele__change_kind)0);
        changes[i] = made[i].change;
    }
    make_frame_of(&header, changes, COUNT_OF(changes), bytes);
}

START_TEST(a_frame_that_is_cut_anywhere_is_corrupt)
{
    seed_chance(3);
    stele__buffer bytes = { 0 };
    make_sample(&bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        stele__frame frame;
        assert_status(stele__frame_read(bytes.data, size, 0, &frame), STELE_CORRUPT);
        assert_reason_has("frame");
    }
    stele__buffer_dispose(&bytes);
}
END_TEST

START_TEST(any_changed_bit_is_found)
{
    seed_chance(4);
    stele__buffer bytes = { 0 };
    make_sample(&bytes);
    for (size_t bit = 0; bit < bytes.size * 8; bit++) {
        stele__frame frame;
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << (bit % 8)));
        stele_status status = stele__frame_read(bytes.data, bytes.size, 0, &frame);
        ck_assert_msg(status == STELE_CORRUPT || (status == STELE_UNSUPPORTED && bit / 8 < 6),
                      "bit %zu: %s", bit, stele_status_name(status));
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << (bit % 8)));
    }
    stele__buffer_dispose(&bytes);
}
END_TEST

/* The right checksum over wrong bytes: what a reader must withstand by itself. */
static stele_status read_resealed(stele__buffer *bytes, bool *read_out)
{
    stele__frame_header header;
    stele__frame frame;
    memcpy(header.lane.bytes, bytes->data + 8, 16);
    memcpy(header.shard.bytes, bytes->data + 24, 16);
    memcpy(header.writer.bytes, bytes->data + 40, 16);
    header.writer_sequence = 1;
    header.time = 0;
    stele__frame_seal(bytes->data, bytes->size, &header);
    stele_status status = stele__frame_read(bytes->data, bytes->size, 0, &frame);
    *read_out = status == STELE_OK;
    if (status == STELE_OK) {
        /* Whatever it says can be said again. */
        stele__buffer again = { 0 };
        stele__frame_builder builder = { 0 };
        for (size_t i = 0; i < frame.header.change_count; i++)
            assert_status(stele__frame_add(&builder, &frame.changes[i]), STELE_OK);
        assert_status(stele__frame_end(&builder, &frame.header, &again), STELE_OK);
        stele__frame_builder_dispose(&builder);
        stele__buffer_dispose(&again);
        stele__frame_dispose(&frame);
    }
    return status;
}

START_TEST(hostile_bytes_are_refused_with_their_place)
{
    uint64_t seed = choose_seed();
    int runs = effort_of(30000, 400000);
    int refused = 0, taken = 0;
    stele__buffer bytes = { 0 };
    for (int i = 0; i < runs; i++) {
        if (i % 50 == 0)
            make_sample(&bytes);
        stele__buffer hostile = { 0 };
        bool read = false;
        assert_status(stele__buffer_add(&hostile, bytes.data, bytes.size), STELE_OK);
        size_t body = STELE__FRAME_HEADER_SIZE;
        for (size_t j = 1 + chance_below(3); j > 0; j--) {
            size_t at = body + chance_below(hostile.size - body);
            if (one_in(3)) /* a number that is far too large, or none at all */
                memset(hostile.data + at, one_in(2) ? 0xff : 0,
                       hostile.size - at < 4 ? hostile.size - at : 4);
            else
                hostile.data[at] = (char)next_chance();
        }
        if (one_in(10))
            hostile.size = body + chance_below(hostile.size - body + 1);
        else if (one_in(20))
            assert_status(stele__buffer_add(&hostile, "more", 1 + chance_below(4)), STELE_OK);
        if (one_in(20)) /* another count of changes */
            hostile.data[72] = (char)next_chance();
        stele_status status = read_resealed(&hostile, &read);
        taken += read;
        refused += !read;
        if (!read) {
            assert_status(status, STELE_INVALID);
            assert_reason_has("byte ");
        }
        stele__buffer_dispose(&hostile);
    }
    stele__buffer_dispose(&bytes);
    printf("hostile frames: seed %" PRIu64 ", %d refused, %d taken\n", seed, refused, taken);
    ck_assert_int_gt(refused, runs / 10); /* or the harness does nothing */
    ck_assert_int_gt(taken, 0);
}
END_TEST

START_TEST(what_is_not_known_yet_is_unsupported)
{
    stele__frame_header header = header_of(1, 0);
    stele__buffer bytes = { 0 };
    stele__frame frame;
    make_mark(STELE__FRAME_BARRIER, &header, NULL, &bytes);

    bytes.data[4] = 2; /* a later format */
    assert_status(stele__frame_read(bytes.data, bytes.size, 0, &frame), STELE_UNSUPPORTED);
    assert_reason_has("byte 4");
    bytes.data[4] = 1;
    const int kinds[] = { 0, 3, 16, 255 };
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        bool read = false;
        bytes.data[6] = (char)kinds[i];
        assert_status(read_resealed(&bytes, &read), STELE_UNSUPPORTED);
        assert_reason_has("byte 6");
    }
    bytes.data[6] = STELE__FRAME_BARRIER;
    header.writer_sequence = 0;
    stele__frame_seal(bytes.data, bytes.size, &header);
    assert_status(stele__frame_read(bytes.data, bytes.size, 0, &frame), STELE_INVALID);
    assert_status(stele__frame_read(NULL, 0, 0, &frame), STELE_CORRUPT);
    assert_status(stele__frame_read("not a frame at all, but long enough to have been one, if only"
                                    " it had begun like one does",
                                    90, 0, &frame),
                  STELE_CORRUPT);
    stele__buffer_dispose(&bytes);
}
END_TEST

static Suite *frame_suite(void)
{
    Suite *suite = suite_create("frame");
    TCase *tests = tcase_create("round trip");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, what_was_put_into_a_frame_comes_out_of_it);
    tcase_add_test(tests, equal_changes_make_equal_frames_and_a_builder_can_be_used_again);
    tcase_add_test(tests, a_frame_is_no_larger_than_its_limit_and_what_did_not_fit_leaves_nothing);
    tcase_add_test(tests, what_is_no_change_makes_no_frame);
    tcase_add_test(tests, marks_keep_what_they_say);
    suite_add_tcase(suite, tests);

    tests = tcase_create("hostile");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, a_frame_that_is_cut_anywhere_is_corrupt);
    tcase_add_test(tests, any_changed_bit_is_found);
    tcase_add_test(tests, hostile_bytes_are_refused_with_their_place);
    tcase_add_test(tests, what_is_not_known_yet_is_unsupported);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(frame_suite());
}
