/* A stand-by, when nothing that comes matches and the owner is gone. */
#include "subscriptions.h"

static void open_with_one_event(void)
{
    open_in_file();
    assert_status(append_one("a-1", STELE_ANY, "wanted", NULL), STELE_OK);
}

enum { LEASE_MS = 1000 };

static stele_subscription *open_picky_for(const char *owner, uint32_t lease_ms)
{
    static const char *const types[] = { "wanted" };
    stele_subscription_options options = make_subscription("s");
    options.types = types;
    options.type_count = 1;
    options.owner = owner;
    options.lease_ms = lease_ms;
    options.skip_flush_ms = 1;
    return open_subscription(&options);
}

static stele_subscription *open_picky(const char *owner)
{
    return open_picky_for(owner, LEASE_MS);
}

/* Otherwise who waits for the place would wait for ever. */
START_TEST(stand_by_of_an_owner_that_is_gone_gets_on_when_nothing_matches)
{
    stele_subscription *gone = open_picky("gone");
    assert_status(stele_subscription_ack(gone, pull(gone)->through), STELE_OK);
    stele_subscription *other = open_picky("other");
    for (int i = 0; i < 3; i++)
        assert_status(append_one("a-1", STELE_ANY, "unwanted", NULL), STELE_OK);

    const stele_batch *batch = NULL;
    stele_wait wait = wait_for_ms(100);
    for (int i = 0; i < 100 && saved_position("s") < 4; i++)
        assert_status(stele_subscription_next(other, &wait, &batch), STELE_TIMED_OUT);

    ck_assert_int_eq(saved_position("s"), 4);
    ck_assert_int_eq(
        sql_number(store_path(), "SELECT owner = 'other' FROM checkpoints WHERE name = 's'"), 1);
    stele_subscription_close(other);
    stele_subscription_close(gone);
}
END_TEST

/* For more than two leases. */
static bool leave_it_to_the_owner(uint32_t lease_ms)
{
    int64_t before = head_of(store);
    stele_subscription *owner = open_picky_for("owner", lease_ms);
    assert_status(append_one("a-1", STELE_ANY, "wanted", NULL), STELE_OK);
    for (int64_t through = 0; through <= before;) {
        through = pull(owner)->through;
        assert_status(stele_subscription_ack(owner, through), STELE_OK);
    }
    stele_subscription *other = open_picky_for("other", lease_ms);
    const stele_batch *batch = NULL;
    stele_wait wait = wait_for_ms(lease_ms / 20);

    bool left = true;

    for (int i = 0; i < 24 && left; i++) {
        assert_status(append_one("a-1", STELE_ANY, "unwanted", NULL), STELE_OK);
        stele_status status = stele_subscription_next(owner, &wait, &batch);
        ck_assert_msg(status == STELE_TIMED_OUT || status == STELE_FENCED, "%s: %s",
                      stele_status_name(status), stele_error_text());
        left = status == STELE_TIMED_OUT;
        assert_status(stele_subscription_next(other, &wait, &batch), STELE_TIMED_OUT);
    }

    left = left
           && sql_number(store_path(), "SELECT owner = 'owner' FROM checkpoints WHERE name = 's'");
    if (left)
        ck_assert_int_gt(saved_position("s"), before + 10);
    stele_subscription_close(other);
    stele_subscription_close(owner);
    return left;
}

/* A slow machine needs a longer lease than a fast one. */
START_TEST(stand_by_leaves_it_to_an_owner_that_is_alive)
{
    uint32_t lease_ms = LEASE_MS;
    for (int turn = 0; turn < 4; turn++, lease_ms *= 2)
        if (leave_it_to_the_owner(lease_ms))
            return;
    ck_abort_msg("not once left to it, not even with half of %" PRIu32 " ms", lease_ms);
}
END_TEST

static Suite *standby_skips_suite(void)
{
    Suite *suite = suite_create("standby skips");
    TCase *tests = add_case(suite, "skips", open_with_one_event);
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, stand_by_of_an_owner_that_is_gone_gets_on_when_nothing_matches);
    tcase_add_test(tests, stand_by_leaves_it_to_an_owner_that_is_alive);
    return suite;
}

int main(void)
{
    return run_suite(standby_skips_suite());
}
