/*
 * Copies of values: equal, and independent. The allocator here overwrites what is released, so that
 * whatever a copy shared with a value that was cleared would differ.
 */
#include "everything.h"
#include "order_types.h"
#include "resources.h"
#include "support.h"

#include <string.h>

/* --- Every place where something can be owned --- */

typedef struct book {
    char *title;
    stele_bytes cover;
    int32_t pages;
} book;

typedef struct shelf {
    book first;
    bool has_spare;
    book spare;
    char *labels[2];
    char *notes[3];
    uint8_t note_count;
    stele_bytes stamps[2];
    book row[3];
    int row_count;
    book pair[2];
    stele_bytes *scans;
    size_t scan_count;
    book *stack;
    int16_t stack_count;
    char (*codes)[4];
    size_t code_count;
    const char *unnamed; /* no line of the table */
} shelf;

static const stele_field book_fields[] = {
    STELE_F(book, title, "title", STELE_OPTIONAL),
    STELE_F(book, cover, "cover", STELE_OPTIONAL),
    STELE_F(book, pages, "pages", STELE_REQUIRED),
};
STELE_TYPE(book_type, book, "Book", 1, book_fields);

static const stele_field shelf_fields[] = {
    STELE_F_STRUCT(shelf, first, "first", book_type, STELE_REQUIRED),
    STELE_F_HAS_STRUCT(shelf, spare, has_spare, "spare", book_type, 0),
    STELE_F_ARRAY(shelf, labels, "labels", STELE_REQUIRED),
    STELE_F_VALUES(shelf, notes, note_count, "notes", STELE_REQUIRED),
    STELE_F_ARRAY(shelf, stamps, "stamps", STELE_REQUIRED),
    STELE_F_LIST(shelf, row, row_count, "row", book_type, STELE_REQUIRED),
    STELE_F_OWNED_VALUES(shelf, scans, scan_count, "scans", STELE_REQUIRED),
    STELE_F_OWNED_LIST(shelf, stack, stack_count, "stack", book_type, STELE_REQUIRED),
    STELE_F_OWNED_VALUES(shelf, codes, code_count, "codes", STELE_REQUIRED),
};
STELE_TYPE(shelf_type, shelf, "Shelf", 1, shelf_fields);

static stele_bytes make_bytes(size_t size)
{
    stele_bytes made = { stele_type_allocate(size + 1, 1), size };
    memset(made.data, 'b', size);
    return made;
}

static char *make_text(const char *text)
{
    char *made = stele_type_allocate(strlen(text) + 1, 1);
    memcpy(made, text, strlen(text) + 1);
    return made;
}

static book make_book(const char *title)
{
    return (book){ make_text(title), make_bytes(strlen(title) * 3), (int32_t)strlen(title) };
}

static shelf make_shelf(void)
{
    shelf made = { .first = make_book("first"),
                   .spare = make_book("hidden"),
                   .labels = { make_text("left"), make_text("") },
                   .notes = { make_text("one"), make_text("two") },
                   .note_count = 2,
                   .stamps = { make_bytes(0), make_bytes(300) },
                   .row = { make_book("r"), make_book("ro") },
                   .row_count = 2,
                   .scan_count = 3,
                   .stack_count = 2,
                   .code_count = 2,
                   .unnamed = "as it stands" };
    made.scans = stele_type_allocate(3, sizeof(*made.scans));
    made.scans[0] = make_bytes(9);
    made.scans[2] = make_bytes(1);
    made.stack = stele_type_allocate(2, sizeof(*made.stack));
    made.stack[0] = make_book("bottom");
    made.stack[1] = make_book("top");
    made.codes = stele_type_allocate(2, sizeof(*made.codes));
    memcpy(made.codes[1], "abc", 4);
    return made;
}

static bool same_bytes(stele_bytes left, stele_bytes right)
{
    return (left.data == NULL) == (right.data == NULL) && left.size == right.size
           && (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

static bool same_book(const book *left, const book *right)
{
    return same_text(left->title, right->title) && same_bytes(left->cover, right->cover)
           && left->pages == right->pages;
}

static bool same_shelf(const shelf *left, const shelf *right)
{
    bool same = same_book(&left->first, &right->first) && left->has_spare == right->has_spare
                && same_book(&left->spare, &right->spare) && left->note_count == right->note_count
                && left->row_count == right->row_count && left->scan_count == right->scan_count
                && left->stack_count == right->stack_count && left->code_count == right->code_count
                && left->unnamed == right->unnamed
                && memcmp(left->codes, right->codes, sizeof(*left->codes) * left->code_count) == 0;
    for (size_t i = 0; i < 2; i++)
        same = same && same_text(left->labels[i], right->labels[i])
               && same_bytes(left->stamps[i], right->stamps[i]);
    for (size_t i = 0; i < 3; i++)
        same = same && same_text(left->notes[i], right->notes[i])
               && same_book(&left->row[i], &right->row[i]);
    for (size_t i = 0; same && i < left->scan_count; i++)
        same = same_bytes(left->scans[i], right->scans[i]);
    for (int16_t i = 0; same && i < left->stack_count; i++)
        same = same_book(&left->stack[i], &right->stack[i]);
    return same;
}

static void assert_zero(const void *value, size_t size)
{
    const unsigned char *bytes = value;
    for (size_t i = 0; i < size; i++)
        ck_assert_msg(bytes[i] == 0, "byte %zu is %d", i, bytes[i]);
}

/* --- Copies --- */

START_TEST(whatever_a_value_holds_its_copy_is_equal_and_shares_nothing)
{
    int runs = effort_of(3000, 500000);
    uint64_t seed = choose_seed();

    for (int run = 0; run < runs; run++) {
        everything value = chance_everything();
        everything copy;
        everything again;
        memset(&copy, 0xee, sizeof(copy));
        ck_assert_int_eq(stele_type_copy(&everything_type, &value, &copy), STELE_OK);
        ck_assert_msg(same_everything(&value, &copy), "seed %" PRIu64 ", run %d", seed, run);

        ck_assert_int_eq(stele_type_copy(&everything_type, &copy, &again), STELE_OK);
        stele_type_clear(&everything_type, &value);
        ck_assert_msg(same_everything(&again, &copy), "seed %" PRIu64 ", run %d", seed, run);
        stele_type_clear(&everything_type, &copy);
        stele_type_clear(&everything_type, &again);
        ck_assert_int_eq(own.blocks, 0);
    }
    printf("# copies: %d runs, seed %" PRIu64 "\n", runs, seed);
}
END_TEST

START_TEST(what_is_owned_anywhere_in_a_value_is_copied)
{
    shelf expected = make_shelf();
    shelf value = make_shelf();
    shelf copy;

    ck_assert_int_eq(stele_type_copy(&shelf_type, &value, &copy), STELE_OK);
    stele_type_clear(&shelf_type, &value);

    ck_assert(same_shelf(&expected, &copy));
    ck_assert_ptr_nonnull(copy.stamps[0].data); /* empty, and there */
    ck_assert_ptr_null(copy.scans[1].data);
    stele_type_clear(&shelf_type, &copy);
    stele_type_clear(&shelf_type, &expected);
    ck_assert_int_eq(own.blocks, 0);
}
END_TEST

/* The negative control of the comparisons above: a copy of the bytes alone isn't enough. */
START_TEST(a_copy_of_the_bytes_alone_is_noticed)
{
    shelf expected = make_shelf();
    shelf value = make_shelf();
    shelf bytes = value;

    value.stack[1].title[0] = 'T';

    ck_assert(!same_shelf(&expected, &bytes));
    stele_type_clear(&shelf_type, &value);
    stele_type_clear(&shelf_type, &expected);
}
END_TEST

/* What lies there may have been released long ago. */
START_TEST(elements_in_place_beyond_their_count_are_not_owned)
{
    static char text[] = "somebody else's";
    shelf value = { .notes = { NULL, NULL, text }, .row = { { .title = text, .pages = 3 } } };
    shelf copy;

    ck_assert_int_eq(stele_type_copy(&shelf_type, &value, &copy), STELE_OK);

    ck_assert_ptr_null(copy.notes[2]);
    ck_assert_ptr_null(copy.row[0].title);
    ck_assert_int_eq(copy.row[0].pages, 3);
    stele_type_clear(&shelf_type, &copy);
}
END_TEST

START_TEST(members_that_no_table_names_are_copied_as_they_stand)
{
    shelf value = { .pair = { { .pages = 7 }, { .title = (char *)&value } }, .unnamed = "u" };
    shelf copy;

    ck_assert_int_eq(stele_type_copy(&shelf_type, &value, &copy), STELE_OK);

    ck_assert_int_eq(copy.pair[0].pages, 7);
    ck_assert_ptr_eq(copy.pair[1].title, &value);
    ck_assert_ptr_eq(copy.unnamed, value.unnamed);
    stele_type_clear(&shelf_type, &copy);
}
END_TEST

/* It is what an aggregate does for each command. */
START_TEST(a_value_that_owns_nothing_takes_no_memory)
{
    order_line value = { "abc", 4, 2.5 };
    order_line copy;
    int64_t before = own.calls;

    ck_assert_int_eq(stele_type_copy(&order_line_type, &value, &copy), STELE_OK);

    ck_assert_mem_eq(&copy, &value, sizeof(copy));
    ck_assert_int_eq(own.calls, before);
}
END_TEST

#pragma pack(push, 1)
typedef struct tight {
    char letter[1];
    char *text;
    stele_bytes bytes;
    int16_t *list;
    int8_t count;
} tight;
#pragma pack(pop)
static const stele_field tight_fields[] = {
    STELE_F(tight, letter, "l", STELE_REQUIRED),
    STELE_F(tight, text, "t", STELE_OPTIONAL),
    STELE_F(tight, bytes, "b", STELE_OPTIONAL),
    STELE_F_OWNED_VALUES(tight, list, count, "o", STELE_OPTIONAL),
};
STELE_TYPE(tight_type, tight, "Tight", 1, tight_fields);

START_TEST(members_of_a_packed_struct_are_copied_from_where_they_lie)
{
    char text[] = "x";
    unsigned char byte = 7;
    int16_t list[] = { -1, 5 };
    tight value = { .text = text, .bytes = { &byte, 1 }, .count = 2 };
    value.list = list;
    tight copy;

    ck_assert_int_eq(stele_type_copy(&tight_type, &value, &copy), STELE_OK);

    const char *copied_text = copy.text;
    const int16_t *copied_list = copy.list;
    ck_assert_str_eq(copied_text, "x");
    ck_assert_ptr_ne(copied_text, text);
    ck_assert_uint_eq(copy.bytes.data[0], 7);
    ck_assert_mem_eq(copied_list, list, sizeof(list));
    ck_assert_ptr_ne(copied_list, list);
    stele_type_clear(&tight_type, &copy);
}
END_TEST

/* --- Refusals --- */

static void assert_refused_copy(const stele_type *type, const void *value, stele_status status,
                                const char *what)
{
    unsigned char copy[sizeof(everything)];
    int64_t before = own.blocks;
    memset(copy, 0xee, sizeof(copy));
    ck_assert_uint_le(type->size, sizeof(copy));

    ck_assert_int_eq(stele_type_copy(type, value, copy), status);

    ck_assert_msg(strstr(stele_error_text(), what) != NULL, "%s", stele_error_text());
    assert_zero(copy, type->size);
    ck_assert_int_eq(own.blocks, before);
}

START_TEST(counts_beyond_their_capacity_are_invalid_and_leave_a_zero_copy)
{
    seed_chance(17);
    everything value = chance_everything();
    int number_count = value.number_count;

    value.some_count = sizeof(value.some) + 1;
    assert_refused_copy(&everything_type, &value, STELE_INVALID, "'some': a count beyond");
    value.some_count = 1;
    value.number_count = -1;
    assert_refused_copy(&everything_type, &value, STELE_INVALID, "'numbers': a count beyond");
    value.number_count = 6;
    assert_refused_copy(&everything_type, &value, STELE_INVALID, "'numbers': a count beyond");
    value.number_count = number_count;
    stele_type_clear(&everything_type, &value);

    shelf holder = make_shelf();
    holder.stack_count = -2;
    assert_refused_copy(&shelf_type, &holder, STELE_INVALID, "'stack': a count beyond");
    holder.stack_count = 2;
    holder.scan_count = SIZE_MAX / 4;
    assert_refused_copy(&shelf_type, &holder, STELE_INVALID, "'scans': a count beyond");
    holder.scan_count = 3;
    stele_type_clear(&shelf_type, &holder);
}
END_TEST

START_TEST(a_list_that_is_null_with_a_count_is_invalid)
{
    shelf value = make_shelf();
    char(*codes)[4] = value.codes;
    value.codes = NULL;

    assert_refused_copy(&shelf_type, &value, STELE_INVALID,
                        "type 'Shelf': 'codes': a list that is NULL, its count is 2");

    value.codes = codes;
    stele_type_clear(&shelf_type, &value);
}
END_TEST

typedef struct ring {
    struct ring *next;
    size_t count;
    char *text;
} ring;
STELE_TYPE_DECLARE(ring_type, ring);
static const stele_field ring_fields[] = {
    STELE_F_OWNED_LIST(ring, next, count, "next", ring_type, STELE_OPTIONAL),
    STELE_F(ring, text, "text", STELE_OPTIONAL),
};
STELE_TYPE(ring_type, ring, "Ring", 1, ring_fields);

START_TEST(values_nested_as_deep_as_they_are_encoded_are_copied_and_no_deeper)
{
    static char text[] = "here";
    ring links[33] = { { 0 } };
    ring copy;
    for (size_t i = 0; i < 31; i++)
        links[i] = (ring){ &links[i + 1], 1, text };
    ck_assert_int_eq(stele_type_copy(&ring_type, links, &copy), STELE_OK);
    stele_type_clear(&ring_type, &copy);
    links[31] = (ring){ &links[32], 1, text };
    assert_refused_copy(&ring_type, links, STELE_TOO_LARGE, "deeper than 64 levels");

    /* A ring is as deep as can be. */
    links[0].next = links;
    assert_refused_copy(&ring_type, links, STELE_TOO_LARGE, "deeper than 64 levels");
}
END_TEST

static void assert_copy_misused(const stele_type *type, const void *value, void *copy,
                                const char *what)
{
    unsigned char before[sizeof(order_line)];
    if (copy != NULL)
        memcpy(before, copy, sizeof(before));
    ck_assert_int_eq(stele_type_copy(type, value, copy), STELE_MISUSE);
    ck_assert_msg(strstr(stele_error_text(), what) != NULL, "%s", stele_error_text());
    if (copy != NULL)
        ck_assert_mem_eq(copy, before, sizeof(before));
}

START_TEST(misuse_leaves_the_copy_untouched)
{
    order_line value = { "abc", 4, 2.5 };
    order_line copy = { "x", 1, 1 };

    assert_copy_misused(NULL, &value, &copy, "NULL");
    assert_copy_misused(&order_line_type, NULL, &copy, "NULL");
    assert_copy_misused(&order_line_type, &value, NULL, "NULL");
    assert_copy_misused(&order_line_type, &value, &value, "to itself");

    stele_field lines[3];
    memcpy(lines, order_line_fields, sizeof(lines));
    stele_type wrong = order_line_type;
    wrong.fields = lines;
    lines[2].offset = sizeof(order_line);
    assert_copy_misused(&wrong, &value, &copy, "line 2, 'price': it isn't inside the struct");
    lines[2].offset = 0;
    lines[0].name = NULL;
    assert_copy_misused(&wrong, &value, &copy, "line 0");
    wrong.name = NULL;
    assert_copy_misused(&wrong, &value, &copy, "no name");
    wrong.struct_size = 1;
    assert_copy_misused(&wrong, &value, &copy, "no known form");
}
END_TEST

START_TEST(a_wrong_table_that_a_table_refers_to_is_misuse)
{
    stele_type wrong = book_type;
    stele_field line = shelf_fields[0];
    stele_type outer = shelf_type;
    shelf value = { .unnamed = NULL };
    shelf copy;
    line.type = &wrong;
    outer.fields = &line;
    outer.field_count = 1;
    ck_assert_int_eq(stele_type_copy(&outer, &value, &copy), STELE_OK);

    wrong.field_size = 3;

    assert_copy_misused(&outer, &value, &copy, "no known form");
}
END_TEST

typedef struct alone {
    int64_t number;
} alone;
static const stele_field alone_fields[] = { STELE_F(alone, number, "n", STELE_REQUIRED) };
STELE_TYPE(alone_type, alone, "Alone", 1, alone_fields);

typedef struct around {
    alone inner;
} around;

/* More tables than are kept in mind while they are checked. */
START_TEST(a_table_may_refer_to_any_number_of_tables)
{
    enum { TABLES = 40 };
    static stele_type tables[TABLES];
    static stele_field lines[TABLES];
    static char names[TABLES][8];
    int64_t value[TABLES];
    int64_t copy[TABLES];
    for (int i = 0; i < TABLES; i++) {
        snprintf(names[i], sizeof(names[i]), "f%d", i);
        tables[i] = alone_type;
        lines[i] = (stele_field)STELE_F_STRUCT(around, inner, "x", alone_type, 0);
        lines[i].name = names[i];
        lines[i].name_size = strlen(names[i]);
        lines[i].offset = (size_t)i * sizeof(int64_t);
        lines[i].type = &tables[i];
        value[i] = i;
    }
    stele_type many = {
        sizeof(stele_type), sizeof(stele_field), "Many", 1, sizeof(value), lines, TABLES, 0
    };

    ck_assert_int_eq(stele_type_copy(&many, value, copy), STELE_OK);

    ck_assert_mem_eq(copy, value, sizeof(value));
    tables[TABLES - 1].size = 4;
    assert_copy_misused(&many, value, copy, "its kind and size");
}
END_TEST

/* --- Memory --- */

static int64_t fail_each_allocation(const stele_type *type, const void *value)
{
    unsigned char copy[sizeof(everything)];
    int64_t before = own.blocks;
    int64_t points = 0;
    stele_status status = STELE_NO_MEMORY;
    for (int64_t n = 1; status == STELE_NO_MEMORY; n++, points++) {
        memset(copy, 0xee, sizeof(copy));
        own.fail_first = own.fail_last = own.calls + n;
        status = stele_type_copy(type, value, copy);
        bool failed = own.calls >= own.fail_first;
        own.fail_first = 0;
        ck_assert_int_eq(status, failed ? STELE_NO_MEMORY : STELE_OK);
        if (failed) {
            assert_zero(copy, type->size);
            ck_assert_int_eq(own.blocks, before);
        }
    }
    stele_type_clear(type, copy);
    ck_assert_int_eq(own.blocks, before);
    return points;
}

START_TEST(every_allocation_that_fails_leaves_a_zero_copy_and_nothing_held)
{
    seed_chance(5);
    everything value = chance_everything();
    while (value.owned == NULL || value.blob.data == NULL || value.path_count < 9
           || value.tree_count == 0) {
        stele_type_clear(&everything_type, &value);
        value = chance_everything();
    }
    shelf holder = make_shelf();

    int64_t points = fail_each_allocation(&everything_type, &value);
    points += fail_each_allocation(&shelf_type, &holder);

    printf("# allocations of copies that failed: %" PRId64 "\n", points);
    ck_assert_int_gt(points, 30);
    stele_type_clear(&everything_type, &value);
    stele_type_clear(&shelf_type, &holder);
    ck_assert_int_eq(own.blocks, 0);
}
END_TEST

static Suite *copy_suite(void)
{
    Suite *suite = suite_create("copies of values");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, whatever_a_value_holds_its_copy_is_equal_and_shares_nothing);
    tcase_add_test(tcase, what_is_owned_anywhere_in_a_value_is_copied);
    tcase_add_test(tcase, a_copy_of_the_bytes_alone_is_noticed);
    tcase_add_test(tcase, elements_in_place_beyond_their_count_are_not_owned);
    tcase_add_test(tcase, members_that_no_table_names_are_copied_as_they_stand);
    tcase_add_test(tcase, a_value_that_owns_nothing_takes_no_memory);
    tcase_add_test(tcase, members_of_a_packed_struct_are_copied_from_where_they_lie);
    tcase_add_test(tcase, counts_beyond_their_capacity_are_invalid_and_leave_a_zero_copy);
    tcase_add_test(tcase, a_list_that_is_null_with_a_count_is_invalid);
    tcase_add_test(tcase, values_nested_as_deep_as_they_are_encoded_are_copied_and_no_deeper);
    tcase_add_test(tcase, misuse_leaves_the_copy_untouched);
    tcase_add_test(tcase, a_wrong_table_that_a_table_refers_to_is_misuse);
    tcase_add_test(tcase, a_table_may_refer_to_any_number_of_tables);
    tcase_add_test(tcase, every_allocation_that_fails_leaves_a_zero_copy_and_nothing_held);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    count_own_memory();
    return run_suite(copy_suite());
}
