/* Write ids: a retry writes nothing, however late it comes, and a mix-up is told from a retry. */
#include "states.h"

static stele_write look_up(const char *scope, const char *write_id)
{
    stele_write write;
    memset(&write, 0xAA, sizeof(write));
    assert_status(stele_state_write(store, scope, write_id, &write), STELE_OK);
    for (size_t i = 0; i < COUNT_OF(write.reserved); i++)
        ck_assert_int_eq(write.reserved[i], 0);
    return write;
}

static void expect_replayed(stele_written again, stele_written first, bool superseded)
{
    ck_assert(again.duplicate);
    ck_assert(!again.found);
    ck_assert_int_eq(again.superseded, superseded);
    ck_assert_int_eq(again.revision, first.revision);
    ck_assert_int_eq(again.updated_at, first.updated_at);
}

START_TEST(same_id_and_content_writes_nothing_and_answers_as_the_first_time)
{
    stele_written first = put_with_id("scope", "key", "x", "w-1");

    expect_replayed(put_with_id("scope", "key", "x", "w-1"), first, false);

    ck_assert(!first.duplicate);
    expect_text("scope", "key", "x", 1);
}
END_TEST

/* What was written since stays: an old save must not come back over a newer one. */
START_TEST(replay_after_an_overwrite_brings_nothing_back)
{
    stele_written first = put_with_id("scope", "key", "old", "w-1");
    put_with_id("scope", "key", "new", "w-2");

    expect_replayed(put_with_id("scope", "key", "old", "w-1"), first, true);

    expect_text("scope", "key", "new", 2);
}
END_TEST

START_TEST(replay_after_a_deletion_brings_nothing_back)
{
    stele_written first = put_with_id("scope", "key", "old", "w-1");
    stele_written deleted = delete_key("scope", "key", "d-1");

    expect_replayed(put_with_id("scope", "key", "old", "w-1"), first, true);
    expect_gone("scope", "key", 2);
    expect_replayed(delete_key("scope", "key", "d-1"), deleted, false);
    expect_gone("scope", "key", 2);
}
END_TEST

START_TEST(replay_after_the_key_was_used_again_changes_nothing)
{
    stele_written first = put_with_id("scope", "key", "old", "w-1");
    stele_written deleted = delete_key("scope", "key", "d-1");
    put_with_id("scope", "key", "new", "w-2");

    expect_replayed(put_with_id("scope", "key", "old", "w-1"), first, true);
    expect_replayed(delete_key("scope", "key", "d-1"), deleted, true);

    expect_text("scope", "key", "new", 3);
}
END_TEST

/* Nor may a late deletion take what was put after it. */
START_TEST(replayed_deletion_of_what_was_not_there_deletes_nothing)
{
    stele_written never = delete_key("scope", "key", "d-1");
    ck_assert(!never.found && !never.duplicate);
    ck_assert_int_eq(never.revision, 0);
    expect_gone("scope", "key", 0);
    ck_assert_int_eq(put_text("scope", "key", "x"), 1);

    expect_replayed(delete_key("scope", "key", "d-1"), never, true);
    expect_text("scope", "key", "x", 1);

    delete_key("scope", "key", NULL);
    stele_written again = delete_key("scope", "key", "d-2");
    ck_assert_int_eq(again.revision, 2);
    put_text("scope", "key", "y");
    expect_replayed(delete_key("scope", "key", "d-2"), again, true);
    expect_text("scope", "key", "y", 3);
}
END_TEST

/* The expectation was of the first attempt, and was met then. */
START_TEST(id_is_looked_at_before_the_expected_revision)
{
    stele_written written;
    stele_put put = make_put("scope", "key", "x");
    put.write_id = "w-1";
    put.expected_revision = STELE_NO_ENTRY;
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    put_text("scope", "key", "y");

    assert_status(stele_state_put(store, &put, &written), STELE_OK);

    ck_assert(written.duplicate && written.superseded);
    expect_text("scope", "key", "y", 2);
}
END_TEST

START_TEST(same_id_with_another_key_content_or_kind_is_refused)
{
    const stele_attribute attribute = { "a", "1" };
    stele_written written;
    stele_put put = make_put("scope", "key", "x");
    stele_remove what = STELE_REMOVE_INIT;
    put.write_id = "w-1";
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);

    put.data = "y";
    memset(&written, 0xAA, sizeof(written));
    assert_status(stele_state_put(store, &put, &written), STELE_KEY_REUSED);
    ck_assert_int_eq(written.revision, 0);
    assert_reason_has("w-1");
    put.data = "x";
    put.key = "other";
    assert_status(stele_state_put(store, &put, NULL), STELE_KEY_REUSED);
    put.key = "key";
    put.codec = "json";
    put.data = "1";
    assert_status(stele_state_put(store, &put, NULL), STELE_KEY_REUSED);
    put.codec = NULL;
    put.write_id = "w-2";
    put.data = "1";
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    put.codec = "json"; /* the same bytes mean something else */
    assert_status(stele_state_put(store, &put, NULL), STELE_KEY_REUSED);
    put.codec = NULL;
    put.write_id = "w-1";
    put.data = "x";
    put.attributes = &attribute;
    put.attribute_count = 1;
    assert_status(stele_state_put(store, &put, NULL), STELE_KEY_REUSED);
    what.scope = "scope";
    what.key = "key";
    what.write_id = "w-1";
    assert_status(stele_state_delete(store, &what, NULL), STELE_KEY_REUSED);
    expect_text("scope", "key", "1", 2);
    expect_gone("scope", "other", 0);
}
END_TEST

/* The order in which attributes are given says nothing. */
START_TEST(same_attributes_in_another_order_are_the_same_content)
{
    const stele_attribute one[] = { { "a", "1" }, { "b", "" } };
    const stele_attribute other[] = { { "b", NULL }, { "a", "1" } };
    stele_written written;
    stele_put put = make_put("scope", "key", "x");
    put.write_id = "w-1";
    put.attributes = one;
    put.attribute_count = 2;
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    put.attributes = other;

    assert_status(stele_state_put(store, &put, &written), STELE_OK);

    ck_assert(written.duplicate);
}
END_TEST

START_TEST(ids_belong_to_their_scope)
{
    put_with_id("scope", "key", "x", "w-1");

    stele_written written = put_with_id("another", "key", "y", "w-1");

    ck_assert(!written.duplicate);
    expect_text("another", "key", "y", 1);
}
END_TEST

/* Only what was written is remembered: after a conflict the id is free. */
START_TEST(refused_write_leaves_its_id_free)
{
    stele_put put = make_put("scope", "key", "x");
    put.write_id = "w-1";
    put.expected_revision = 3;
    assert_status(stele_state_put(store, &put, NULL), STELE_CONFLICT);
    ck_assert(!look_up("scope", "w-1").found);

    put.expected_revision = STELE_ANY;
    put.data = "y";
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    expect_text("scope", "key", "y", 1);
}
END_TEST

START_TEST(id_can_be_looked_up)
{
    stele_write unknown = look_up("scope", "w-1");
    ck_assert(!unknown.found && !unknown.deletion && !unknown.superseded);
    ck_assert_str_eq(unknown.key, "");
    stele_written first = put_with_id("scope", "key", "x", "w-1");

    stele_write known = look_up("scope", "w-1");
    ck_assert(known.found && !known.deletion && !known.superseded);
    ck_assert_str_eq(known.key, "key");
    ck_assert_int_eq(known.revision, 1);
    ck_assert_int_eq(known.written_at, first.updated_at);

    stele_written deleted = delete_key("scope", "key", "d-1");
    ck_assert(look_up("scope", "w-1").superseded);
    known = look_up("scope", "d-1");
    ck_assert(known.found && known.deletion && !known.superseded);
    ck_assert_int_eq(known.revision, 2);
    ck_assert_int_eq(known.written_at, deleted.updated_at);
}
END_TEST

START_TEST(ids_are_known_after_reopening)
{
    close_store();
    open_in_file();
    stele_written first = put_with_id("scope", "key", "x", "w-1");

    reopen_file();

    expect_replayed(put_with_id("scope", "key", "x", "w-1"), first, false);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_writes");
    TCase *ids = add_case(suite, "write ids", open_in_memory);
    tcase_add_test(ids, same_id_and_content_writes_nothing_and_answers_as_the_first_time);
    tcase_add_test(ids, replay_after_an_overwrite_brings_nothing_back);
    tcase_add_test(ids, replay_after_a_deletion_brings_nothing_back);
    tcase_add_test(ids, replay_after_the_key_was_used_again_changes_nothing);
    tcase_add_test(ids, replayed_deletion_of_what_was_not_there_deletes_nothing);
    tcase_add_test(ids, id_is_looked_at_before_the_expected_revision);
    tcase_add_test(ids, same_id_with_another_key_content_or_kind_is_refused);
    tcase_add_test(ids, same_attributes_in_another_order_are_the_same_content);
    tcase_add_test(ids, ids_belong_to_their_scope);
    tcase_add_test(ids, refused_write_leaves_its_id_free);
    tcase_add_test(ids, id_can_be_looked_up);
    tcase_add_test(ids, ids_are_known_after_reopening);
    return run_suite(suite);
}
