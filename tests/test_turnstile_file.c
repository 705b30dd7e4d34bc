/* The line within one process, and the file whose locks it is. */
#define _GNU_SOURCE /* open-file-description locks */
#include "base/turnstile.h"

#include "waiting_line.h"

#include <fcntl.h>
#include <sys/stat.h>

/* A lock on part of the file, as other processes have it. */
static int hold_range(int64_t start, int64_t size)
{
    int descriptor = open(line_path(), O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(descriptor, 0);
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    lock.l_start = (off_t)start;
    lock.l_len = (off_t)size;
    ck_assert_int_eq(fcntl(descriptor, F_OFD_SETLK, &lock), 0);
    return descriptor;
}

/* The system may name the locks in any order, such as that of their making. */
START_TEST(first_in_the_line_is_named_whatever_the_order_of_the_locks)
{
    stele__turnstile *own = open_line();
    int holders[] = { hold_range(4096 + 7, 1), hold_range(4096 + 3, 1), hold_range(4096 + 5, 1) };
    assert_status(stele__turnstile_join(own), STELE_OK);

    ck_assert_int_eq(ahead_of(own), 3);
    close(holders[1]);
    ck_assert_int_eq(ahead_of(own), 5);
    close(holders[2]);
    ck_assert_int_eq(ahead_of(own), 7);
    close(holders[0]);
    ck_assert_int_eq(ahead_of(own), 0);
    stele__turnstile_close(own);
}
END_TEST

START_TEST(foreign_lock_on_all_of_the_file_is_a_refusal_not_a_hang)
{
    stele__turnstile *own = open_line();
    stele__turnstile *inside = open_line();
    assert_status(stele__turnstile_join(inside), STELE_OK);
    int tickets = hold_range(5000, 0);

    ck_assert(!stele__turnstile_is_empty(own));
    assert_status(stele__turnstile_join(own), STELE_IO);
    assert_reason_has("can't get in line");
    ck_assert_int_eq(ahead_of(own), 0);
    ck_assert_int_eq(ahead_of(inside), 0);

    close(tickets);
    stele__turnstile_leave(inside);
    int all = hold_range(0, 0);
    assert_status(stele__turnstile_join(own), STELE_IO);
    close(all);
    assert_status(stele__turnstile_join(own), STELE_OK);
    stele__turnstile_close(inside);
    stele__turnstile_close(own);
}
END_TEST

START_TEST(two_turnstiles_in_one_process_exclude_each_other)
{
    stele__turnstile *first = open_line(), *second = open_line();
    assert_status(stele__turnstile_join(first), STELE_OK);
    assert_status(stele__turnstile_join(second), STELE_OK);
    ck_assert_int_eq(ahead_of(first), 0);
    ck_assert_int_eq(ahead_of(second), 1);

    stele__turnstile *third = open_line();
    stele__turnstile_close(third); /* closing another drops no lock */
    ck_assert_int_eq(ahead_of(second), 1);

    stele__turnstile_close(first); /* leaves, too */
    ck_assert_int_eq(ahead_of(second), 0);
    stele__turnstile_close(second);
}
END_TEST

START_TEST(line_is_empty_when_nobody_else_stands_in_it)
{
    stele__turnstile *first = open_line(), *second = open_line();
    ck_assert(stele__turnstile_is_empty(first));
    assert_status(stele__turnstile_join(first), STELE_OK);
    ck_assert(stele__turnstile_is_empty(first));
    ck_assert(!stele__turnstile_is_empty(second));
    assert_status(stele__turnstile_join(second), STELE_OK);
    ck_assert(!stele__turnstile_is_empty(first));
    stele__turnstile_leave(first);
    stele__turnstile_leave(first); /* harmless */
    ck_assert(stele__turnstile_is_empty(second));
    ck_assert(!stele__turnstile_is_empty(first));
    stele__turnstile_close(second);
    ck_assert(stele__turnstile_is_empty(first));
    ck_assert_int_eq(ahead_of(first), 0); /* not in it */
    stele__turnstile_close(first);
    stele__turnstile_close(NULL);
}
END_TEST

START_TEST(one_who_leaves_before_being_served_is_passed_over)
{
    stele__turnstile *each[4];
    for (int i = 0; i < 4; i++) {
        each[i] = open_line();
        assert_status(stele__turnstile_join(each[i]), STELE_OK);
    }
    stele__turnstile_leave(each[1]);
    ck_assert_int_eq(ahead_of(each[2]), 1);
    stele__turnstile_leave(each[0]);
    ck_assert_int_eq(ahead_of(each[2]), 0);
    stele__turnstile_leave(each[3]); /* the last one; its ticket may be given out again */
    assert_status(stele__turnstile_join(each[0]), STELE_OK);
    assert_status(stele__turnstile_join(each[1]), STELE_OK);
    ck_assert_int_eq(ahead_of(each[2]), 0);
    ck_assert_int_eq(ahead_of(each[0]), 3);
    stele__turnstile_leave(each[2]);
    ck_assert_int_eq(ahead_of(each[1]), 4);
    for (int i = 0; i < 4; i++)
        stele__turnstile_close(each[i]);
}
END_TEST

START_TEST(long_line_is_served_in_order_and_pauses_grow_to_a_bound)
{
    enum { LONG = 150 };
    stele__turnstile *each[LONG];
    uint32_t pause_us[LONG];
    for (int i = 0; i < LONG; i++) {
        int64_t ahead = 0;
        each[i] = open_line();
        assert_status(stele__turnstile_join(each[i]), STELE_OK);
        ck_assert_int_eq(stele__turnstile_is_our_turn(each[i], &pause_us[i], &ahead), i == 0);
        ck_assert_int_eq(ahead, i == 0 ? 0 : 1);
    }
    ck_assert_uint_gt(pause_us[2], pause_us[1]);
    ck_assert_uint_eq(pause_us[LONG - 1], pause_us[LONG - 2]);
    ck_assert_uint_lt(pause_us[LONG - 1], 10000);

    for (int i = 0; i < LONG; i++) {
        ck_assert_int_eq(ahead_of(each[i]), 0);
        if (i + 2 < LONG)
            ck_assert_int_eq(ahead_of(each[i + 2]), i + 1);
        stele__turnstile_close(each[i]);
    }
}
END_TEST

/* --- The file --- */

START_TEST(what_the_file_holds_means_nothing_and_stays)
{
    static const char garbage[] = "\xff\xff\xff\xff\xff\xff\xff\x7f garbage, much of it";
    save_file(line_path(), garbage, sizeof(garbage));
    file_copy before = load_file(line_path());

    stele__turnstile *first = open_line(), *second = open_line();
    assert_status(stele__turnstile_join(first), STELE_OK);
    assert_status(stele__turnstile_join(second), STELE_OK);
    ck_assert_int_eq(ahead_of(second), 1);
    expect_unchanged(line_path(), before);

    ck_assert_int_eq(truncate(line_path(), 3), 0); /* locks don't end with the bytes */
    ck_assert_int_eq(ahead_of(second), 1);
    ck_assert_int_eq(truncate(line_path(), 0), 0);
    stele__turnstile_leave(first);
    ck_assert_int_eq(ahead_of(second), 0);
    assert_status(stele__turnstile_join(first), STELE_OK);
    ck_assert_int_eq(ahead_of(first), 2);
    stele__turnstile_close(first);
    stele__turnstile_close(second);
}
END_TEST

START_TEST(file_is_for_its_owner_empty_and_takes_one_descriptor_that_no_program_inherits)
{
    mode_t mask = umask(0);
    stele__turnstile *own = open_line();
    umask(mask);
    assert_status(stele__turnstile_join(own), STELE_OK);
    struct stat facts;
    ck_assert_int_eq(stat(line_path(), &facts), 0);
    ck_assert_int_eq(facts.st_mode & 07777, 0600);
    ck_assert_int_eq(facts.st_size, 0);
    ino_t inode = facts.st_ino;
    int count = 0;
    for (int descriptor = 0; descriptor < 256; descriptor++) {
        if (fstat(descriptor, &facts) != 0 || facts.st_ino != inode || !S_ISREG(facts.st_mode))
            continue;
        count++;
        ck_assert_int_eq(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    ck_assert_int_eq(count, 1);
    stele__turnstile_close(own);
}
END_TEST

static void refuse_line(const char *path, stele_status expected)
{
    stele__turnstile *turnstile = (stele__turnstile *)&turnstile;
    assert_status(stele__turnstile_open(path, &turnstile), expected);
    ck_assert_ptr_null(turnstile);
    assert_reason_has("'");
}

START_TEST(link_folder_pipe_and_missing_folder_are_refused)
{
    save_file(test_path("target"), "", 0);
    ck_assert_int_eq(symlink(test_path("target"), line_path()), 0);
    refuse_line(line_path(), STELE_IO);
    ck_assert_int_eq(symlink(test_path("nowhere"), test_path("dangling")), 0);
    refuse_line(test_path("dangling"), STELE_IO);
    ck_assert(!file_exists(test_path("nowhere")));
    refuse_line(test_folder(), STELE_IO);
    ck_assert_int_eq(mkfifo(test_path("fifo"), 0600), 0);
    refuse_line(test_path("fifo"), STELE_IO);
    refuse_line(test_path("missing/line"), STELE_NOT_FOUND);
}
END_TEST

static int use_inherited_line(void *inherited)
{
    uint32_t pause_us = 0;
    int64_t ahead = 0;
    if (stele__turnstile_join(inherited) != STELE_IO || !stele__turnstile_is_empty(inherited)
        || !stele__turnstile_is_our_turn(inherited, &pause_us, &ahead))
        return 1;
    stele__turnstile_leave(inherited);
    stele__turnstile_close(inherited);
    stele__turnstile *own = NULL;
    if (stele__turnstile_open(line_path(), &own) != STELE_OK || stele__turnstile_is_empty(own))
        return 2;
    return 0;
}

START_TEST(child_neither_leaves_nor_joins_for_its_parent)
{
    stele__turnstile *own = open_line(), *other = open_line();
    assert_status(stele__turnstile_join(own), STELE_OK);
    assert_status(stele__turnstile_join(other), STELE_OK);

    ck_assert_int_eq(run_in_child(use_inherited_line, own), 0);

    ck_assert_int_eq(ahead_of(other), 1);
    stele__turnstile_leave(own);
    ck_assert_int_eq(ahead_of(other), 0);
    stele__turnstile_close(own);
    stele__turnstile_close(other);
}
END_TEST

static Suite *turnstile_file_suite(void)
{
    Suite *suite = suite_create("turnstile");
    TCase *one = add_case(suite, "file", NULL);
    tcase_add_test(one, first_in_the_line_is_named_whatever_the_order_of_the_locks);
    tcase_add_test(one, foreign_lock_on_all_of_the_file_is_a_refusal_not_a_hang);
    tcase_add_test(one, two_turnstiles_in_one_process_exclude_each_other);
    tcase_add_test(one, line_is_empty_when_nobody_else_stands_in_it);
    tcase_add_test(one, one_who_leaves_before_being_served_is_passed_over);
    tcase_add_test(one, long_line_is_served_in_order_and_pauses_grow_to_a_bound);
    tcase_add_test(one, what_the_file_holds_means_nothing_and_stays);
    tcase_add_test(one,
                   file_is_for_its_owner_empty_and_takes_one_descriptor_that_no_program_inherits);
    tcase_add_test(one, link_folder_pipe_and_missing_folder_are_refused);
    tcase_add_test(one, child_neither_leaves_nor_joins_for_its_parent);
    return suite;
}

int main(void)
{
    return run_suite(turnstile_file_suite());
}
