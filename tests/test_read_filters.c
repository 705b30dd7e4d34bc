/* Reading a part of the store: by type, category and prefix, and how far that has scanned. */
#include "contract.h"

/* One event to each, so that the n-th stream's is at position n. */
static void append_to_each(const char *const *streams, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_status(append_one(streams[i], STELE_ANY, "opened", NULL), STELE_OK);
}

/* --- Types --- */

static const char *const written_types[] = {
    "opened", "paid", "opened", "closed", "paid", "paid2"
};

static void append_types(void)
{
    for (size_t i = 0; i < COUNT_OF(written_types); i++)
        assert_status(append_one(i % 2 == 0 ? "a-1" : "b-1", STELE_ANY, written_types[i], NULL),
                      STELE_OK);
}

static const struct {
    const char *types[3];
    size_t type_count;
    const char *positions;
} type_filters[] = {
    { { "opened" }, 1, "1 3" },
    { { "paid" }, 1, "2 5" },
    { { "closed", "opened" }, 2, "1 3 4" },
    { { "paid", "unheard of" }, 2, "2 5" },
    { { "paid", "paid", "paid" }, 3, "2 5" },
    { { "unheard of" }, 1, "" },
    { { "PAID" }, 1, "" },
    { { "pai%" }, 1, "" },
};

START_TEST(types_choose_events_at_their_true_positions)
{
    append_types();
    stele_read read = STELE_READ_INIT;
    read.types = type_filters[_i].types;
    read.type_count = type_filters[_i].type_count;

    ck_assert_str_eq(positions_of(&read), type_filters[_i].positions);
    read.page_count_max = 1;
    ck_assert_str_eq(positions_of(&read), type_filters[_i].positions);
}
END_TEST

START_TEST(types_choose_within_a_stream_at_their_true_versions)
{
    append_types();
    const char *types[] = { "paid", "closed" };
    stele_read read = STELE_READ_INIT;
    read.stream = "b-1";
    read.types = types;
    read.type_count = 2;

    ck_assert_str_eq(versions_of(&read), "1 2");
    read.direction = STELE_BACKWARD;
    read.limit = 1;
    ck_assert_str_eq(versions_of(&read), "2");
}
END_TEST

START_TEST(limit_counts_matches)
{
    append_types();
    const char *types[] = { "paid", "closed" };
    stele_read read = STELE_READ_INIT;
    read.types = types;
    read.type_count = 2;
    read.limit = 2;

    ck_assert_str_eq(positions_of(&read), "2 4");
    read.after_position = 2;
    ck_assert_str_eq(positions_of(&read), "4 5");
    read.direction = STELE_BACKWARD;
    ck_assert_str_eq(positions_of(&read), "5 4");
}
END_TEST

/* --- Categories and prefixes --- */

static const char *const streams[] = {
    /*  1 */ "order-1",
    /*  2 */ "order-2-b",
    /*  3 */ "orders-1",
    /*  4 */ "order_%-1",
    /*  5 */ "orderX%-1",
    /*  6 */ "Order-1",
    /*  7 */ "[ab]-1",
    /*  8 */ "a-1",
    /*  9 */ "*-1",
    /* 10 */ "?-1",
    /* 11 */ "%",
    /* 12 */ "\xC3\xA9-1",
    /* 13 */ "\xF4\x8F\xBF\xBF",
    /* 14 */ "\xF4\x8F\xBF\xBF-1",
    /* 15 */ "x'y\"z-1",
};

static const struct {
    const char *name;
    const char *positions;
} categories[] = {
    { "order", "1 2" },   { "orders", "3" },  { "order_%", "4" }, { "orderX%", "5" },
    { "[ab]", "7" },      { "a", "8" },       { "*", "9" },       { "?", "10" },
    { "\xC3\xA9", "12" }, { "x'y\"z", "15" }, { "none", "" },     { "orde", "" },
};

START_TEST(category_is_the_text_before_the_first_dash)
{
    append_to_each(streams, COUNT_OF(streams));
    stele_read read = STELE_READ_INIT;
    read.category = categories[_i].name;

    ck_assert_str_eq(positions_of(&read), categories[_i].positions);
    read.page_count_max = 1;
    ck_assert_str_eq(positions_of(&read), categories[_i].positions);
}
END_TEST

static const struct {
    const char *name;
    const char *positions;
} prefixes[] = {
    { "order", "1 2 3 4 5" },
    { "order-", "1 2" },
    { "order_", "4" },
    { "order_%", "4" },
    { "%", "11" },
    { "[", "7" },
    { "[a", "7" },
    { "*", "9" },
    { "?", "10" },
    { "O", "6" },
    { "a", "8" },
    { "\xC3\xA9", "12" },
    { "\xF4\x8F\xBF\xBF", "13 14" },
    { "\xF4\x8F\xBF\xBF-", "14" },
    { "x'y", "15" },
    { "order-1", "1" },
    { "order-1-and-longer-than-any", "" },
    { "zzz", "" },
};

START_TEST(prefix_is_taken_literally)
{
    append_to_each(streams, COUNT_OF(streams));
    stele_read read = STELE_READ_INIT;
    read.prefix = prefixes[_i].name;

    ck_assert_str_eq(positions_of(&read), prefixes[_i].positions);
    read.page_count_max = 1;
    ck_assert_str_eq(positions_of(&read), prefixes[_i].positions);
}
END_TEST

START_TEST(filters_must_all_hold)
{
    const char *types[] = { "paid" };
    assert_status(append_one("order-1", STELE_ANY, "paid", NULL), STELE_OK);
    assert_status(append_one("order-2", STELE_ANY, "paid", NULL), STELE_OK);
    assert_status(append_one("order-1", STELE_ANY, "sent", NULL), STELE_OK);
    assert_status(append_one("cart-1", STELE_ANY, "paid", NULL), STELE_OK);
    assert_status(append_one("order-1", STELE_ANY, "paid", NULL), STELE_OK);
    stele_read read = STELE_READ_INIT;
    read.category = "order";
    read.prefix = "order-1";
    read.types = types;
    read.type_count = 1;

    ck_assert_str_eq(positions_of(&read), "1 5");
    read.after_position = 1;
    ck_assert_str_eq(positions_of(&read), "5");
}
END_TEST

START_TEST(filtered_read_ends_at_the_head_of_its_opening)
{
    append_to_each(streams, COUNT_OF(streams));
    stele_read read = STELE_READ_INIT;
    read.category = "order";
    read.page_count_max = 1;
    stele_cursor *cursor = open_read(&read);
    assert_status(append_one("order-3", STELE_ANY, "opened", NULL), STELE_OK);

    ck_assert_str_eq(drain_numbers(cursor, false), "1 2");
}
END_TEST

/* The reader's own type and streams came into being after it had looked up their ids. */
START_TEST(names_that_appear_later_are_found_by_a_later_read)
{
    const char *types[] = { "late" };
    stele_read read = STELE_READ_INIT;
    read.types = types;
    read.type_count = 1;
    read.category = "late";
    ck_assert_str_eq(positions_of(&read), "");

    assert_status(append_one("late-1", STELE_ANY, "late", NULL), STELE_OK);

    ck_assert_str_eq(positions_of(&read), "1");
}
END_TEST

START_TEST(stored_filters_can_be_long)
{
    enum { COUNT = 300 };
    static char names[COUNT][24];
    static const char *types[COUNT];
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "type-%d", i);
        types[i] = names[i];
        assert_status(append_one("a-1", STELE_ANY, names[i], NULL), STELE_OK);
        assert_status(append_one("a-1", STELE_ANY, "between", NULL), STELE_OK);
    }
    stele_read read = STELE_READ_INIT;
    read.types = types;
    read.type_count = COUNT;

    stele_cursor *cursor = open_read(&read);
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(next_record(cursor)->position, 2 * i + 1);
    expect_done(cursor);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(more_than_1000_types_are_too_large)
{
    static const char *types[1001];
    for (size_t i = 0; i < COUNT_OF(types); i++)
        types[i] = "paid";
    append_types();
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    read.types = types;
    read.type_count = 1001;

    assert_status(stele_store_read(store, &read, &cursor), STELE_TOO_LARGE);
    ck_assert_ptr_null(cursor);

    read.type_count = 1000;
    ck_assert_str_eq(positions_of(&read), "2 5");
}
END_TEST

/* --- Scanned through --- */

START_TEST(scanned_follows_an_unfiltered_read)
{
    fill_stream("a-1", 3);
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = open_read(&read);

    ck_assert_int_eq(stele_cursor_scanned(cursor), 0);
    for (int64_t i = 1; i <= 3; i++) {
        (void)next_record(cursor);
        ck_assert_int_eq(stele_cursor_scanned(cursor), i);
    }
    expect_done(cursor);
    ck_assert_int_eq(stele_cursor_scanned(cursor), 3);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(scanned_of_a_stream_is_its_version)
{
    fill_stream("other-1", 4);
    fill_stream("a-1", 2);
    stele_read read = STELE_READ_INIT;
    read.stream = "a-1";
    stele_cursor *cursor = open_read(&read);

    (void)next_record(cursor);
    ck_assert_int_eq(stele_cursor_scanned(cursor), 1);
    (void)next_record(cursor);
    expect_done(cursor);
    ck_assert_int_eq(stele_cursor_scanned(cursor), 2);
    stele_cursor_close(cursor);
}
END_TEST

/* Else a filtered reader would read the same strangers again and again. */
START_TEST(scanned_passes_what_a_filter_left_out)
{
    const char *types[] = { "paid" };
    append_types();
    stele_read read = STELE_READ_INIT;
    read.types = types;
    read.type_count = 1;

    for (uint32_t page = 1; page <= 4; page++) {
        read.page_count_max = page;
        stele_cursor *cursor = open_read(&read);
        ck_assert_int_eq(next_record(cursor)->position, 2);
        ck_assert_int_ge(stele_cursor_scanned(cursor), 2);
        ck_assert_int_lt(stele_cursor_scanned(cursor), 5);
        ck_assert_int_eq(next_record(cursor)->position, 5);
        ck_assert_int_ge(stele_cursor_scanned(cursor), 5);
        expect_done(cursor);
        ck_assert_int_eq(stele_cursor_scanned(cursor), 6);
        stele_cursor_close(cursor);
    }
}
END_TEST

START_TEST(scanned_without_any_match_is_the_head)
{
    const char *types[] = { "unheard of" };
    append_types();
    stele_read read = STELE_READ_INIT;
    read.types = types;
    read.type_count = 1;
    stele_cursor *cursor = open_read(&read);
    fill_stream("later-1", 2);

    expect_done(cursor);

    ck_assert_int_eq(stele_cursor_scanned(cursor), 6);
    stele_cursor_close(cursor);
}
END_TEST

/* Reading on from there, whatever ended the read, gives every match once. */
START_TEST(reading_on_after_scanned_misses_and_repeats_nothing)
{
    const char *types[] = { "paid", "closed" };
    append_types();
    append_types();
    stele_read read = STELE_READ_INIT;
    read.types = types;
    read.type_count = 2;
    read.limit = 1;
    char met[64] = "";

    for (int round = 0; round < 20; round++) {
        stele_cursor *cursor = open_read(&read);
        const stele_record *record = NULL;
        stele_status status;
        while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
            size_t used = strlen(met);
            snprintf(met + used, sizeof(met) - used, "%" PRId64 " ", record->position);
        }
        assert_status(status, STELE_DONE);
        read.after_position = stele_cursor_scanned(cursor);
        stele_cursor_close(cursor);
        if (read.after_position == 12)
            break;
    }

    ck_assert_str_eq(met, "2 4 5 8 10 11 ");
    ck_assert_int_eq(read.after_position, 12);
}
END_TEST

START_TEST(scanned_stops_at_the_position_asked_for)
{
    append_types();
    const char *types[] = { "unheard of" };
    stele_read read = STELE_READ_INIT;
    read.types = types;
    read.type_count = 1;
    read.to_position = 4;
    stele_cursor *cursor = open_read(&read);

    expect_done(cursor);

    ck_assert_int_eq(stele_cursor_scanned(cursor), 4);
    stele_cursor_close(cursor);
}
END_TEST

/* Nothing lies between what was asked for and the head, so there is nothing to go back to. */
START_TEST(scanned_never_falls_behind_where_the_read_began)
{
    append_types();
    stele_read read = STELE_READ_INIT;
    read.after_position = 6;
    stele_cursor *cursor = open_read(&read);

    expect_done(cursor);

    ck_assert_int_eq(stele_cursor_scanned(cursor), 6);
    stele_cursor_close(cursor);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, types_choose_events_at_their_true_positions, 0,
                        (int)COUNT_OF(type_filters));
    tcase_add_test(tests, types_choose_within_a_stream_at_their_true_versions);
    tcase_add_test(tests, limit_counts_matches);
    tcase_add_loop_test(tests, category_is_the_text_before_the_first_dash, 0,
                        (int)COUNT_OF(categories));
    tcase_add_loop_test(tests, prefix_is_taken_literally, 0, (int)COUNT_OF(prefixes));
    tcase_add_test(tests, filters_must_all_hold);
    tcase_add_test(tests, filtered_read_ends_at_the_head_of_its_opening);
    tcase_add_test(tests, names_that_appear_later_are_found_by_a_later_read);
    tcase_add_test(tests, stored_filters_can_be_long);
    tcase_add_test(tests, more_than_1000_types_are_too_large);
    tcase_add_test(tests, scanned_follows_an_unfiltered_read);
    tcase_add_test(tests, scanned_of_a_stream_is_its_version);
    tcase_add_test(tests, scanned_passes_what_a_filter_left_out);
    tcase_add_test(tests, scanned_without_any_match_is_the_head);
    tcase_add_test(tests, reading_on_after_scanned_misses_and_repeats_nothing);
    tcase_add_test(tests, scanned_stops_at_the_position_asked_for);
    tcase_add_test(tests, scanned_never_falls_behind_where_the_read_began);
}

int main(void)
{
    Suite *suite = suite_create("read filters");
    add_tests(add_case(suite, "memory", open_in_memory));
    return run_suite(suite);
}
