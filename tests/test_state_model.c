/*
 * Random changes, mirrored by a model in memory that is too simple to be wrong: revisions, write
 * ids and lists must be the same after each of them.
 *
 * STELE_SEED=N repeats a run.
 */
#include "states.h"
#include "effort.h"

#include <stele/verify.h>

enum { SCOPES = 3, KEYS = 7, IDS = 60, CONTENTS = 4 };

static const char *const scopes[SCOPES] = { "a", "a/b", "\xC3\xA9" };
static const char *const keys[KEYS] = { "k", "k1", "k10", "k2", "l", "l/1", "z" };
static const char *const contents[CONTENTS] = { "", "one", "two\n", "\xFF" };

typedef struct model_entry {
    bool there;
    int64_t revision;
    int64_t updated_at;
    int content;
    bool has_row; /* something is left to be forgotten */
} model_entry;

typedef struct model_write {
    bool known;
    int key;
    bool deletion;
    int content;
    int64_t revision;
    int64_t written_at;
} model_write;

static struct {
    model_entry entries[SCOPES][KEYS];
    model_write writes[SCOPES][IDS];
} model;

/* The control: a model that forgets ids when their entry is written again, as others do. */
static bool forgetful;
static int disagreements;

static int chance(int below)
{
    return (int)((next_chance() >> 11) % (uint64_t)below);
}

static char id_text[16];

static const char *id_of(int number)
{
    snprintf(id_text, sizeof(id_text), "id-%d", number);
    return id_text;
}

/* --- What a change should answer --- */

typedef struct change {
    int scope;
    int key;
    int id; /* -1: none */
    int content;
    int64_t expected;
    bool deletion;
} change;

/* What the model answers; `*time` is when, if it is written. */
static stele_status foresee(const change *of, stele_written *answer)
{
    const model_entry *entry = &model.entries[of->scope][of->key];
    const model_write *write = of->id < 0 ? NULL : &model.writes[of->scope][of->id];
    *answer = (stele_written){ 0 };
    if (write != NULL && write->known) {
        if (write->key != of->key || write->deletion != of->deletion
            || write->content != of->content)
            return STELE_KEY_REUSED;
        answer->duplicate = true;
        answer->revision = write->revision;
        answer->updated_at = write->written_at;
        answer->superseded = model.entries[of->scope][write->key].revision != write->revision;
        return STELE_OK;
    }
    int64_t actual = entry->there ? entry->revision : 0;
    if (of->expected != STELE_ANY && of->expected != actual && !(of->deletion && !entry->there)) {
        answer->revision = actual;
        answer->found = entry->there;
        return STELE_CONFLICT;
    }
    answer->found = entry->there;
    answer->revision = entry->revision + (entry->there || !of->deletion);
    return STELE_OK;
}

static void write_to_model(const change *of, const stele_written *written)
{
    model_entry *entry = &model.entries[of->scope][of->key];
    for (int id = 0; id < IDS && forgetful; id++)
        if (model.writes[of->scope][id].key == of->key)
            model.writes[of->scope][id].known = false;
    if (entry->there || !of->deletion) {
        *entry = (model_entry){ !of->deletion, written->revision, written->updated_at, of->content,
                                true };
    } else if (of->id >= 0 && !entry->has_row) {
        entry->has_row = true;
        entry->updated_at = written->updated_at;
    }
    if (of->id >= 0)
        model.writes[of->scope][of->id] =
            (model_write){ true,        of->key,           of->deletion,
                           of->content, written->revision, written->updated_at };
}

static void make_change(const change *of)
{
    stele_written expected;
    stele_written written;
    stele_status foreseen = foresee(of, &expected);
    stele_status status;
    if (of->deletion) {
        stele_remove what = STELE_REMOVE_INIT;
        what.scope = scopes[of->scope];
        what.key = keys[of->key];
        what.expected_revision = of->expected;
        what.write_id = of->id < 0 ? NULL : id_of(of->id);
        status = stele_state_delete(store, &what, &written);
    } else {
        stele_put put = make_put(scopes[of->scope], keys[of->key], contents[of->content]);
        put.expected_revision = of->expected;
        put.write_id = of->id < 0 ? NULL : id_of(of->id);
        status = stele_state_put(store, &put, &written);
    }
    bool agrees = status == foreseen && written.revision == expected.revision
                  && written.found == expected.found && written.duplicate == expected.duplicate
                  && written.superseded == expected.superseded
                  && (!written.duplicate || written.updated_at == expected.updated_at);
    if (forgetful && !agrees) {
        disagreements++;
        return;
    }
    ck_assert_msg(agrees, "%s, revision %" PRId64 ", duplicate %d; not %s, %" PRId64 ", %d",
                  stele_status_name(status), written.revision, written.duplicate,
                  stele_status_name(foreseen), expected.revision, expected.duplicate);
    if (status == STELE_OK && !written.duplicate)
        write_to_model(of, &written);
}

static void change_something(void)
{
    change of = { .scope = chance(SCOPES), .key = chance(KEYS), .id = -1, .expected = STELE_ANY };
    of.deletion = one_in(3);
    of.content = of.deletion ? 0 : chance(CONTENTS);
    if (!one_in(3))
        of.id = chance(IDS);
    const model_entry *entry = &model.entries[of.scope][of.key];
    if (one_in(2))
        of.expected = one_in(3) ? chance(6) : entry->there ? entry->revision : 0;
    /* A true replay, which chance alone rarely gives. */
    if (of.id >= 0 && model.writes[of.scope][of.id].known && one_in(2)) {
        const model_write *write = &model.writes[of.scope][of.id];
        of.key = write->key;
        of.content = write->content;
        of.deletion = write->deletion;
    }
    make_change(&of);
}

static void clear_something(void)
{
    static const char *const prefixes[] = { "k", "k1", "l/", "x" };
    int scope = chance(SCOPES);
    const char *prefix = prefixes[chance(COUNT_OF(prefixes))];
    int64_t expected = 0;
    int64_t count = -1;
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 1 + (uint32_t)chance(3);
    for (int key = 0; key < KEYS; key++)
        expected +=
            model.entries[scope][key].there && strncmp(keys[key], prefix, strlen(prefix)) == 0;
    assert_status(stele_state_clear(store, scopes[scope], prefix, &work, &count), STELE_OK);
    ck_assert_int_eq(count, expected);
    for (int key = 0; key < KEYS; key++) {
        model_entry *entry = &model.entries[scope][key];
        if (!entry->there || strncmp(keys[key], prefix, strlen(prefix)) != 0)
            continue;
        entry->there = false;
        entry->revision++;
        entry->updated_at = clock_now; /* or a little later: what is forgotten is long before */
    }
}

static bool has_known_write(int scope, int key)
{
    for (int id = 0; id < IDS; id++)
        if (model.writes[scope][id].known && model.writes[scope][id].key == key)
            return true;
    return false;
}

static void forget_something(void)
{
    int64_t before = clock_now - 500000;
    int64_t expected = 0;
    int64_t count = -1;
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 1 + (uint32_t)chance(50);
    for (int scope = 0; scope < SCOPES; scope++)
        for (int id = 0; id < IDS; id++) {
            model_write *write = &model.writes[scope][id];
            expected += write->known && write->written_at < before;
            write->known = write->known && write->written_at >= before;
        }
    for (int scope = 0; scope < SCOPES; scope++)
        for (int key = 0; key < KEYS; key++) {
            model_entry *entry = &model.entries[scope][key];
            if (!entry->has_row || entry->there || entry->updated_at >= before
                || has_known_write(scope, key))
                continue;
            *entry = (model_entry){ 0 };
            expected++;
        }
    assert_status(stele_state_forget(store, before, &work, &count), STELE_OK);
    ck_assert_int_eq(count, expected);
}

/* --- Comparing --- */

static void compare_entries(void)
{
    for (int scope = 0; scope < SCOPES; scope++)
        for (int key = 0; key < KEYS; key++) {
            const model_entry *expected = &model.entries[scope][key];
            const stele_entry *entry = get_entry(scopes[scope], keys[key]);
            ck_assert_int_eq(entry->found, expected->there);
            ck_assert_int_eq(entry->revision, expected->revision);
            if (expected->there)
                ck_assert_str_eq(entry->data, contents[expected->content]);
            stele_entry_close(entry);
        }
    for (int scope = 0; scope < SCOPES; scope++)
        for (int id = 0; id < IDS; id++) {
            const model_write *expected = &model.writes[scope][id];
            stele_write write;
            assert_status(stele_state_write(store, scopes[scope], id_of(id), &write), STELE_OK);
            ck_assert_int_eq(write.found, expected->known);
            if (!expected->known)
                continue;
            ck_assert_str_eq(write.key, keys[expected->key]);
            ck_assert_int_eq(write.revision, expected->revision);
            ck_assert_int_eq(write.deletion, expected->deletion);
            ck_assert_int_eq(write.superseded,
                             model.entries[scope][expected->key].revision != expected->revision);
        }
}

/* What the model lists next after `last` (-1: at the beginning); -1 for nothing. */
static int next_of_model(int scope, bool newest, const char *prefix, int last)
{
    int next = -1;
    for (int key = 0; key < KEYS; key++) {
        const model_entry *entry = &model.entries[scope][key];
        const model_entry *after = last < 0 ? NULL : &model.entries[scope][last];
        if (!entry->there || strncmp(keys[key], prefix, strlen(prefix)) != 0)
            continue;
        if (after != NULL && (newest ? entry->updated_at >= after->updated_at : key <= last))
            continue;
        if (next < 0
            || (newest ? entry->updated_at > model.entries[scope][next].updated_at : key < next))
            next = key;
    }
    return next;
}

/* Page by page, each of a list of its own. */
static void compare_lists(void)
{
    static const char *const prefixes[] = { "", "k", "k1", "l/" };
    int scope = chance(SCOPES);
    bool newest = one_in(2);
    const char *prefix = prefixes[chance(COUNT_OF(prefixes))];
    int last = -1;
    for (bool more = true; more;) {
        stele_entries *entries = NULL;
        const stele_entry *entry = NULL;
        stele_entries_read read = STELE_ENTRIES_READ_INIT;
        read.scope = scopes[scope];
        read.order = newest ? STELE_NEWEST_FIRST : STELE_BY_KEY;
        read.prefix = prefix;
        read.limit = 1 + (uint64_t)chance(4);
        read.after = last < 0 ? NULL : keys[last];
        read.after_updated = last < 0 ? 0 : model.entries[scope][last].updated_at;
        assert_status(stele_state_list(store, &read, &entries), STELE_OK);
        for (uint64_t i = 0; i < read.limit && more; i++) {
            int next = next_of_model(scope, newest, prefix, last);
            stele_status status = stele_entries_next(entries, &entry);
            ck_assert_int_eq(status, next < 0 ? STELE_DONE : STELE_OK);
            more = next >= 0;
            if (more)
                ck_assert_str_eq(entry->key, keys[next]);
            last = more ? next : last;
        }
        stele_entries_close(entries);
    }
}

static void expect_verified(void)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status;
    assert_status(stele_verify_open(store, NULL, &verify), STELE_OK);
    while ((status = stele_verify_next(verify, &check)) == STELE_OK)
        ck_assert_msg(check->failures == 0, "%s: %s", check->name, check->offender);
    assert_status(status, STELE_DONE);
    stele_verify_close(verify);
}

START_TEST(random_changes_do_what_the_model_does)
{
    int changes = effort_of(3000, 60000);
    uint64_t seed = choose_seed();
    printf("# state model: seed %" PRIu64 ", %d changes\n", seed, changes);
    fflush(stdout);
    memset(&model, 0, sizeof(model));
    forgetful = false;
    for (int i = 0; i < changes; i++) {
        clock_now += 1000 + chance(20000);
        if (one_in(200))
            clear_something();
        else if (one_in(100))
            forget_something();
        else
            change_something();
        if (one_in(20))
            compare_entries();
        if (one_in(10))
            compare_lists();
    }
    compare_entries();
    expect_verified();
}
END_TEST

START_TEST(model_that_forgets_overwritten_ids_disagrees)
{
    seed_chance(7);
    memset(&model, 0, sizeof(model));
    disagreements = 0;
    forgetful = true;
    for (int i = 0; i < 1000 && disagreements == 0; i++)
        change_something();
    forgetful = false;
    ck_assert_int_gt(disagreements, 0);
}
END_TEST

static void open_model(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = read_own_clock;
    clock_now = INT64_C(1000000000000);
    store = open_path(":memory:", &options);
}

int main(void)
{
    Suite *suite = suite_create("state_model");
    TCase *tests = add_case(suite, "model", open_model);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, random_changes_do_what_the_model_does);
    tcase_add_test(tests, model_that_forgets_overwritten_ids_disagrees);
    return run_suite(suite);
}
