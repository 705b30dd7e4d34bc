/*
 * stele shards verify, backup, recover, move, rename, drop and what follows them.
 */
#define _XOPEN_SOURCE 700

#include "cli_shards.h"

#include <poll.h>

#include <stele/shards.h>

#define ORDERS_FILE "root/acme/orders.db"

static bool is_there(const char *name)
{
    return access(test_path(name), F_OK) == 0;
}

/* Wait until the tool has made it. */
static void wait_for_file(pid_t child, const char *name)
{
    siginfo_t ended = { 0 };
    while (!is_there(name) && ended.si_pid == 0) {
        ck_assert_int_eq(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
        poll(NULL, 0, 5);
    }
}

/* The value of a string field in an answer in JSON, in the test's memory. */
static const char *json_text(const char *json, const char *field)
{
    static char values[4][1024];
    static size_t next;
    char key[64];
    snprintf(key, sizeof(key), "\"%s\":\"", field);
    const char *from = strstr(json, key);
    ck_assert_msg(from != NULL, "no %s in %s", field, json);
    from += strlen(key);
    char *value = values[next++ % COUNT_OF(values)];
    snprintf(value, sizeof(values[0]), "%.*s", (int)strcspn(from, "\""), from);
    return value;
}

/* --- verify --- */

START_TEST(verify_has_a_row_for_each_shard)
{
    make_shards();
    const ran *result = ROOT("shards", "verify", "-o", "json");
    assert_code(result, 0);
    ck_assert_str_eq(result->err, "");
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"ok\":true,\"rows\":[{\"organisation\":\"\",\"namespace\":"
                            "\"log\",\"ok\":true,\"checks\":");
    assert_lacks(result->out, "\"checks\":0");
    ck_assert_str_eq(ROOT("shards", "verify", "-o", "json", "--jobs", "4")->out, result->out);
    ck_assert_uint_eq(count_lines(ROOT("shards", "verify", "--org", "acme")->out), 4);
    ck_assert_uint_eq(count_lines(SHARD("acme", "orders", "shards", "verify")->out), 2);
    ck_assert_uint_eq(count_lines(ROOT("shards", "verify", "-o", "table")->out), 5);
    ck_assert_uint_eq(count_lines(ROOT("shards", "verify", "-o", "jsonl")->out), 4);
}
END_TEST

START_TEST(verify_ends_with_6_when_one_is_damaged_and_checks_the_others)
{
    make_shards();
    damage_shard(test_path(ORDERS_FILE));
    const ran *result = ROOT("shards", "verify", "-o", "jsonl");
    assert_code(result, 6);
    ck_assert_uint_eq(count_lines(result->out), 4);
    assert_has(result->out, "\"namespace\":\"orders\",\"ok\":false,");
    assert_has(result->out, "\"namespace\":\"bills\",\"ok\":true,");
    assert_has(result->err, "error: shard 'orders' of organisation 'acme': ");
    assert_has(ROOT("shards", "verify", "-o", "json")->out, "{\"v\":1,\"ok\":false,\"rows\":");
    assert_code(SHARD("acme", "orders", "shards", "verify"), 6);
    assert_code(SHARD("acme", "bills", "shards", "verify"), 0);
    assert_code(ROOT("shards", "stats"), 8);
}
END_TEST

START_TEST(verify_shows_on_a_terminal_how_far_it_is)
{
    make_shards();
    const ran *result = answer_on_terminal(ARGUMENTS("-s", test_root(), "shards", "verify"), "");
    assert_code(result, 0);
    assert_has(result->err, "verifying");
    ck_assert_str_eq(ROOT("shards", "verify")->err, "");
}
END_TEST

START_TEST(a_reader_that_has_enough_ends_the_tool_quietly)
{
    make_shards();
    static const char *const words[] = { "list", "stats", "verify", "trash" };
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        int ends[2];
        ck_assert_int_eq(pipe(ends), 0);
        close(ends[0]);
        launch how = { .arguments = ARGUMENTS("-s", test_root(), "shards", words[i]) };
        pid_t child = start_tool(&how, ends[1]);
        close(ends[1]);
        ck_assert_int_eq(wait_for(child), 0);
        char *err = read_whole(test_path("run.err"), NULL);
        ck_assert_str_eq(err, "");
        free(err);
    }
}
END_TEST

/* --- backup and recover --- */

START_TEST(backup_makes_a_file_of_each_under_the_same_names)
{
    make_shards();
    assert_code(SHARD(WEIRD_ORG, WEIRD_NS, "append", "s-1", "T"), 0);
    const ran *result = ROOT("shards", "backup", test_path("saved"), "-o", "json", "--jobs", "2");
    assert_code(result, 0);
    ck_assert_str_eq(result->err, "");
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"ok\":true,\"rows\":[{\"organisation\":\"\",");
    ck_assert(is_there("saved/_/log.db"));
    ck_assert(is_there("saved/acme/orders.db"));
    ck_assert_str_eq(WITHOUT_STORE("-s", test_path("saved/acme/orders.db"), "read", "@all")->out,
                     SHARD("acme", "orders", "read", "@all")->out);
    /* It is a root of its own. */
    ck_assert_uint_eq(count_lines(WITHOUT_STORE("-s", test_path("saved"), "shards", "list")->out),
                      6);
    assert_code(WITHOUT_STORE("-s", test_path("saved"), "shards", "verify"), 0);
}
END_TEST

START_TEST(backup_writes_over_nothing_and_the_others_are_made)
{
    make_shards();
    assert_code(SHARD("acme", "orders", "shards", "backup", test_path("saved")), 0);
    ck_assert(!is_there("saved/acme/bills.db"));

    const ran *result = ROOT("shards", "backup", test_path("saved"), "-o", "jsonl");

    assert_code(result, 8);
    ck_assert_uint_eq(count_lines(result->out), 4);
    assert_has(result->out, "\"namespace\":\"orders\",\"ok\":false,\"head\":null,");
    assert_has(result->out, "\"namespace\":\"bills\",\"ok\":true,\"head\":1,");
    assert_has(result->err, "1 of 4 shards failed\n");
    ck_assert(is_there("saved/acme/bills.db"));
}
END_TEST

START_TEST(backup_into_the_root_or_onto_a_file_is_refused)
{
    make_shards();
    make_file("text", "x");
    char inside[600];
    snprintf(inside, sizeof(inside), "%s/backup", test_root());
    assert_refused(ROOT("shards", "backup", inside), 2, "is under the root");
    assert_refused(ROOT("shards", "backup", test_root()), 2, "is under the root");
    assert_refused(ROOT("shards", "backup", test_path("text")), 2, "is a file");
    assert_refused(ROOT("shards", "backup", test_path("no/saved")), 2, "can't make the folder");
    ck_assert(!is_there("root/backup"));
    assert_refused(WITHOUT_STORE("-s", test_path("nix"), "shards", "backup", test_path("saved")), 3,
                   "nix");
    ck_assert(!is_there("saved"));
}
END_TEST

START_TEST(ctrl_c_ends_a_backup_and_leaves_no_half_of_a_file)
{
    make_shards();
    launch how = { .arguments = ARGUMENTS("-s", test_root(), "shards", "backup", test_path("saved"),
                                          "--org", "acme", "--rate", "1000") };
    int output = open(test_path("run.out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t child = start_tool(&how, output);
    close(output);
    wait_for_file(child, "saved/acme");
    ck_assert_int_eq(kill(child, SIGINT), 0);
    ck_assert_int_eq(wait_for(child), 130);
    char *err = read_whole(test_path("run.err"), NULL);
    assert_has(err, "error: interrupted while backing up\n");
    free(err);
    ck_assert(!is_there("saved/acme/bills.db"));
    ck_assert(!is_there("saved/acme/orders.db"));
}
END_TEST

START_TEST(recover_makes_a_shard_of_a_backup_of_any_name)
{
    make_shards();
    assert_code(SHARD("acme", "orders", "backup", test_path("orders.bak")), 0);

    const ran *result =
        SHARD(WEIRD_ORG, WEIRD_NS, "shards", "recover", test_path("orders.bak"), "-o", "json");
    assert_code(result, 0);
    assert_json(result->out);
    assert_has(result->out, "\"head\":2,");
    ck_assert_str_eq(SHARD(WEIRD_ORG, WEIRD_NS, "read", "@all")->out,
                     SHARD("acme", "orders", "read", "@all")->out);
    assert_code(SHARD(WEIRD_ORG, WEIRD_NS, "append", "s-1", "T"), 0);

    result = SHARD("acme", "orders", "shards", "recover", test_path("orders.bak"));
    assert_refused(result, 4, "orders");
    assert_has(result->err, "hint: stele shards drop -s ");
    assert_refused(SHARD("acme", "x", "shards", "recover", test_path("nix")), 3, "nix");
    assert_refused(ROOT("shards", "recover", test_path("orders.bak")), 2, "name it by --ns");
    make_file("text", "This is somebody's text, and longer than the head of a database file.\n");
    assert_refused(SHARD("acme", "x", "shards", "recover", test_path("text")), 6, "text");
    ck_assert(!is_there("root/acme/x.db"));
}
END_TEST

/* --- drop, undrop, trash, maintain --- */

START_TEST(drop_puts_a_shard_into_the_trash_and_undrop_brings_it_back)
{
    make_shards();
    char *before = SHARD("acme", "orders", "read", "@all")->out;

    const ran *result = SHARD("acme", "orders", "shards", "drop", "-y", "-o", "json");
    assert_code(result, 0);
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"organisation\":\"acme\",\"namespace\":\"orders\","
                            "\"events\":2,\"id\":\"");
    assert_has(result->out, "\"dry_run\":false}");
    assert_has(result->err, "it can be brought back: stele shards undrop -s ");
    const char *path = json_text(result->out, "path");
    ck_assert_int_eq(access(path, F_OK), 0);
    assert_code(WITHOUT_STORE("-s", path, "read", "@all"), 0);
    assert_code(SHARD("acme", "orders", "info"), 3);
    ck_assert_uint_eq(count_lines(ROOT("shards", "list")->out), 4);

    result = ROOT("shards", "trash");
    assert_code(result, 0);
    ck_assert_uint_eq(count_lines(result->out), 2);
    assert_has(result->out, "\nacme\torders\t");
    ck_assert_uint_eq(count_lines(ROOT("shards", "trash", "--org", "other")->out), 1);

    result = SHARD("acme", "orders", "shards", "undrop", "-o", "json");
    assert_code(result, 0);
    assert_has(result->out, "/root/acme/orders.db\"}");
    ck_assert_str_eq(SHARD("acme", "orders", "read", "@all")->out, before);
    assert_code(SHARD("acme", "orders", "append", "order-1", "Paid"), 0);
    ck_assert_uint_eq(count_lines(ROOT("shards", "trash")->out), 1);
}
END_TEST

START_TEST(drop_must_be_confirmed_and_a_dry_run_changes_nothing)
{
    make_shards();
    const ran *result = SHARD("acme", "orders", "shards", "drop");
    assert_refused(result, 2, "shards drop must be confirmed");
    assert_has(result->err, "drop the shard 'orders' of organisation 'acme' with 2 events?");
    result = SHARD("acme", "orders", "shards", "drop", "--dry-run");
    assert_code(result, 0);
    assert_has(result->out, "events\t2\nid\t\n");
    assert_has(result->out, "dry_run\ttrue\n");
    assert_code(SHARD("acme", "orders", "info"), 0);
    assert_refused(ROOT("shards", "drop", "--org", "acme", "-y"), 2, "name it by --ns");
    assert_refused(SHARD("acme", "nix", "shards", "drop", "-y"), 3, "nix");
    const char *const *call =
        ARGUMENTS("-s", test_root(), "--org", "acme", "--ns", "orders", "shards", "drop");
    assert_code(answer_on_terminal(call, "n\n"), 1);
    assert_code(SHARD("acme", "orders", "info"), 0);
    assert_code(answer_on_terminal(call, "y\n"), 0);
    assert_code(SHARD("acme", "orders", "info"), 3);
}
END_TEST

START_TEST(a_damaged_shard_is_dropped_by_force)
{
    make_shards();
    damage_shard(test_path(ORDERS_FILE));
    const ran *result = SHARD("acme", "orders", "shards", "drop", "-y");
    assert_refused(result, 6, " ");
    assert_has(result->err, "hint: --force drops it all the same");
    assert_code(SHARD("acme", "orders", "shards", "drop", "-y", "--force"), 0);
    ck_assert(!is_there(ORDERS_FILE));
    assert_code(SHARD("acme", "orders", "init"), 0);
}
END_TEST

/* Killed while it waits for who has the file open, a drop leaves its fence. */
static void cut_a_drop_short(void)
{
    stele_store *held = NULL;
    int code = 0;
    ck_assert_int_eq(stele_store_open(test_path(ORDERS_FILE), NULL, &held), STELE_OK);
    while (code != 4) {
        int output = open("/dev/null", O_RDWR);
        pid_t child =
            start_tool(&(launch){ .arguments = ARGUMENTS("-s", test_root(), "--org", "acme", "--ns",
                                                         "orders", "shards", "drop", "-y") },
                       output);
        siginfo_t ended = { 0 };
        while (code != 4 && ended.si_pid == 0) {
            code = SHARD("acme", "orders", "append", "order-1", "Paid")->code;
            ck_assert_int_eq(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(output);
    }
    stele_store_close(held);
}

START_TEST(drop_that_was_cut_short_goes_on_or_is_taken_back)
{
    make_shards();
    cut_a_drop_short();
    const ran *result = SHARD("acme", "orders", "append", "order-1", "Paid");
    assert_refused(result, 4, "is being dropped");
    assert_has(result->err, "hint: was the drop cut short? stele shards undrop -s ");
    result = SHARD("acme", "orders", "shards", "stats");
    assert_has(result->err, "hint: was the drop cut short? stele shards undrop -s ");
    assert_code(SHARD("acme", "orders", "shards", "undrop"), 0);
    assert_code(SHARD("acme", "orders", "append", "order-1", "Paid"), 0);
    cut_a_drop_short();
    result = SHARD("acme", "orders", "shards", "drop", "-y");
    assert_code(result, 0);
    assert_has(result->out, "\nevents\t\nid\t0");
    assert_code(SHARD("acme", "orders", "info"), 3);
}
END_TEST

START_TEST(undrop_takes_an_id_and_refuses_a_name_in_use)
{
    make_shards();
    const ran *first = SHARD("acme", "orders", "shards", "drop", "-y", "-o", "json");
    const char *id = json_text(first->out, "id");
    assert_code(SHARD("acme", "orders", "init"), 0);
    assert_code(SHARD("acme", "orders", "shards", "drop", "-y"), 0);
    assert_refused(SHARD("acme", "orders", "shards", "undrop", "no-such-id"), 3, " ");
    assert_code(SHARD("acme", "orders", "shards", "undrop", id), 0);
    assert_has(SHARD("acme", "orders", "info", "-o", "json")->out, "\"head\":2");
    const ran *result = SHARD("acme", "orders", "shards", "undrop");
    assert_code(result, 4);
    assert_has(result->err, "hint: drop or rename the one");
    result = SHARD("acme", "nix", "shards", "undrop");
    assert_refused(result, 3, "nix");
    assert_has(result->err, "hint: stele shards trash -s ");
}
END_TEST

START_TEST(maintain_keeps_what_has_grace_and_asks_for_another_one)
{
    make_shards();
    assert_code(SHARD("acme", "orders", "shards", "drop", "-y"), 0);
    const ran *result = ROOT("shards", "maintain", "-o", "json");
    assert_code(result, 0);
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"purged\":0,\"swept\":");
    assert_refused(ROOT("shards", "maintain", "--grace", "1s"), 2, "must be confirmed");
    assert_refused(ROOT("shards", "maintain", "--grace", "soon", "-y"), 2, "--grace soon");
    ck_assert_uint_eq(count_lines(ROOT("shards", "trash")->out), 2);
    do { /* until the second is over */
        poll(NULL, 0, 300);
        result = ROOT("shards", "maintain", "--grace", "1s", "-y");
        assert_code(result, 0);
    } while (strncmp(result->out, "purged\t0", 8) == 0);
    assert_has(result->out, "purged\t1\n");
    ck_assert_uint_eq(count_lines(ROOT("shards", "trash")->out), 1);
}
END_TEST

/* --- move, rename, cancel, resume --- */

static const char *make_other_root(void)
{
    ck_assert_int_eq(mkdir(test_path("other"), 0700), 0);
    return test_path("other");
}

START_TEST(move_takes_a_shard_to_another_root_and_says_so_afterwards)
{
    make_shards();
    char *before = SHARD("acme", "orders", "read", "@all")->out;
    const char *other = make_other_root();

    const ran *result = SHARD("acme", "orders", "shards", "move", "--to", other, "-o", "json");

    assert_code(result, 0);
    assert_json(result->out);
    assert_has(result->out,
               "{\"v\":1,\"organisation\":\"acme\",\"namespace\":\"orders\",\"path\":");
    assert_has(result->out, "/other/acme/orders.db\",\"head\":2,\"bytes\":");
    assert_has(result->out, "\"resumed\":false,\"left_behind\":false}");
    ck_assert_str_eq(
        WITHOUT_STORE("-s", other, "--org", "acme", "--ns", "orders", "read", "@all")->out, before);
    static const char *const verbs[] = { "info", "tail", "doctor", "verify", "scrub" };
    for (size_t i = 0; i < COUNT_OF(verbs); i++) {
        result =
            SHARD("acme", "orders", verbs[i], strcmp(verbs[i], "scrub") == 0 ? "-y" : "-ojson");
        assert_refused(result, 7, "other/acme/orders.db");
        assert_has(result->err, "hint: it is there now: -s ");
        assert_has(result->err, "/other --org acme --ns orders\n");
    }
    assert_refused(SHARD("acme", "orders", "append", "s", "T"), 7, "other");
    assert_refused(SHARD("acme", "orders", "init"), 7, "other");
    assert_refused(SHARD("acme", "orders", "shards", "verify"), 7, "other");
    assert_refused(SHARD("acme", "orders", "shards", "drop", "-y"), 7, "other");
    result = SHARD("acme", "orders", "shards", "path", "-o", "json");
    assert_has(result->out, "\"state\":\"moved\",\"moved_to\":\"/");
    assert_has(result->out, "/other/acme/orders.db\"}");
    assert_code(WITHOUT_STORE("-s", other, "--org", "acme", "--ns", "orders", "append", "s", "T"),
                0);
    /* The rest goes on without it. */
    assert_code(ROOT("shards", "verify"), 0);
    assert_code(ROOT("shards", "stats"), 0);
}
END_TEST

START_TEST(move_under_another_name_and_back)
{
    make_shards();
    const ran *result = SHARD("acme", "orders", "shards", "move", "--to-org", WEIRD_ORG, "--to-ns",
                              WEIRD_NS, "-o", "json");
    assert_code(result, 0);
    assert_json(result->out);
    ck_assert_uint_eq(count_lines(SHARD(WEIRD_ORG, WEIRD_NS, "read", "@all")->out), 3);
    result = SHARD("acme", "orders", "info");
    assert_refused(result, 7, " ");
    assert_has(result->err, " --org '" WEIRD_ORG "' --ns ");
    assert_code(
        SHARD(WEIRD_ORG, WEIRD_NS, "shards", "move", "--to-org", "acme", "--to-ns", "orders"), 0);
    ck_assert_uint_eq(count_lines(SHARD("acme", "orders", "read", "@all")->out), 3);
    assert_code(SHARD("acme", "orders", "append", "s", "T"), 0);
}
END_TEST

START_TEST(rename_gives_another_namespace)
{
    make_shards();
    const ran *result = SHARD("acme", "orders", "shards", "rename", "old-orders");
    assert_code(result, 0);
    assert_has(result->out, "organisation\tacme\nnamespace\told-orders\npath\t/");
    ck_assert_uint_eq(count_lines(SHARD("acme", "old-orders", "read", "@all")->out), 3);
    result = SHARD("acme", "orders", "read", "@all");
    assert_refused(result, 7, "old-orders");
    assert_has(result->err, " --org acme --ns old-orders\n");
    result = SHARD("acme", "bills", "shards", "rename", "empty");
    assert_refused(result, 4, "empty");
    assert_code(SHARD("acme", "bills", "append", "b", "T"), 0);
}
END_TEST

START_TEST(wrong_moves_are_refused)
{
    make_shards();
    make_other_root();
    assert_refused(SHARD("acme", "orders", "shards", "move"), 2, "where is it to go?");
    assert_refused(ROOT("shards", "move", "--to", "x"), 2, "name it by --ns");
    assert_refused(SHARD("acme", "nix", "shards", "move", "--to", test_path("other")), 3, "nix");
    const ran *result = SHARD("acme", "orders", "shards", "move", "--to", test_path("nowhere"));
    assert_refused(result, 3, "nowhere");
    assert_has(result->err, "hint: the other root must be there");
    assert_refused(SHARD("acme", "orders", "shards", "move", "--rate", "fast", "--to", "x"), 2,
                   "--rate fast");
    assert_refused(SHARD("acme", "orders", "--immutable", "shards", "move", "--to", "x"), 2,
                   "--immutable is for looking only");
    assert_code(SHARD("acme", "orders", "append", "s", "T"), 0);
}
END_TEST

START_TEST(cancel_and_resume_have_nothing_to_do_when_nothing_was_cut_short)
{
    make_shards();
    assert_has(SHARD("acme", "orders", "shards", "cancel")->out, "/root/acme/orders.db\n");
    assert_out(ROOT("shards", "resume"), "finished\t0\n");
    assert_refused(SHARD("acme", "nix", "shards", "cancel"), 3, "nix");
    assert_code(SHARD("acme", "orders", "shards", "move", "--to", make_other_root()), 0);
    const ran *result = SHARD("acme", "orders", "shards", "cancel");
    assert_refused(result, 4, " ");
    assert_has(result->err, "hint: it is there now: -s ");
}
END_TEST

START_TEST(forget_frees_the_name_of_one_that_has_moved)
{
    make_shards();
    assert_refused(SHARD("acme", "orders", "shards", "forget"), 3, "has not moved");
    assert_refused(SHARD("acme", "nix", "shards", "forget"), 3, "nix");
    assert_refused(ROOT("shards", "forget"), 2, "name it by --ns");
    assert_code(SHARD("acme", "orders", "shards", "move", "--to", make_other_root()), 0);
    assert_code(SHARD("acme", "orders", "append", "s", "T"), 7);
    const ran *result = SHARD("acme", "orders", "shards", "forget");
    assert_code(result, 0);
    ck_assert_str_eq(result->err, "");
    assert_has(result->out, "/root/acme/orders.db\n");
    assert_has(SHARD("acme", "orders", "append", "s", "T")->out, "version\t1\n");
    assert_code(SHARD("acme", "orders", "shards", "forget"), 3);
}
END_TEST

/* Who follows reads to the end, and is then told, rather than waiting for ever. */
START_TEST(tail_and_replay_of_a_shard_that_moves_end_with_7)
{
    make_shards();
    const char *other = make_other_root();
    const char *const *const calls[] = {
        ARGUMENTS("-s", test_root(), "--org", "acme", "--ns", "orders", "tail", "-f"),
        ARGUMENTS("-s", test_root(), "--org", "acme", "--ns", "orders", "replay", "--stop", "error",
                  "--into", "cat"),
        ARGUMENTS("-s", test_root(), "--org", "acme", "--ns", "orders", "replay", "--stop", "never",
                  "--into", "cat", "--batch", "1"),
    };
    int output = open(test_path("run.out"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    pid_t child = start_tool(&(launch){ .arguments = calls[_i] }, output);
    struct stat facts = { 0 };
    while (facts.st_size < 100) { /* both events are there */
        poll(NULL, 0, 10);
        ck_assert_int_eq(fstat(output, &facts), 0);
    }
    const ran *moved = SHARD("acme", "orders", "shards", "move", "--to", other, "-o", "json");
    assert_code(moved, 0);
    ck_assert_int_eq(wait_for(child), 7);
    close(output);
}
END_TEST

/* Slowed down it is still copying; nothing has changed here yet. */
START_TEST(ctrl_c_ends_a_move_and_the_same_command_goes_on)
{
    make_shards();
    const char *other = make_other_root();
    launch how = { .arguments = ARGUMENTS("-s", test_root(), "--org", "acme", "--ns", "orders",
                                          "shards", "move", "--to", other, "--rate", "1000") };
    int output = open(test_path("run.out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t child = start_tool(&how, output);
    close(output);
    wait_for_file(child, "other/acme");
    ck_assert_int_eq(kill(child, SIGINT), 0);
    ck_assert_int_eq(wait_for(child), 130);
    char *err = read_whole(test_path("run.err"), NULL);
    assert_has(err, "error: interrupted while moving\nhint: the same command goes on");
    free(err);
    assert_code(SHARD("acme", "orders", "shards", "move", "--to", other), 0);
    ck_assert_uint_eq(
        count_lines(
            WITHOUT_STORE("-s", other, "--org", "acme", "--ns", "orders", "read", "@all")->out),
        3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stele shards, work");
    TCase *tests = tcase_create("shards");
    tcase_add_checked_fixture(tests, NULL, forget_runs);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, verify_has_a_row_for_each_shard);
    tcase_add_test(tests, verify_ends_with_6_when_one_is_damaged_and_checks_the_others);
    tcase_add_test(tests, verify_shows_on_a_terminal_how_far_it_is);
    tcase_add_test(tests, a_reader_that_has_enough_ends_the_tool_quietly);
    tcase_add_test(tests, backup_makes_a_file_of_each_under_the_same_names);
    tcase_add_test(tests, backup_writes_over_nothing_and_the_others_are_made);
    tcase_add_test(tests, backup_into_the_root_or_onto_a_file_is_refused);
    tcase_add_test(tests, ctrl_c_ends_a_backup_and_leaves_no_half_of_a_file);
    tcase_add_test(tests, recover_makes_a_shard_of_a_backup_of_any_name);
    tcase_add_test(tests, drop_puts_a_shard_into_the_trash_and_undrop_brings_it_back);
    tcase_add_test(tests, drop_must_be_confirmed_and_a_dry_run_changes_nothing);
    tcase_add_test(tests, a_damaged_shard_is_dropped_by_force);
    tcase_add_test(tests, drop_that_was_cut_short_goes_on_or_is_taken_back);
    tcase_add_test(tests, undrop_takes_an_id_and_refuses_a_name_in_use);
    tcase_add_test(tests, maintain_keeps_what_has_grace_and_asks_for_another_one);
    tcase_add_test(tests, move_takes_a_shard_to_another_root_and_says_so_afterwards);
    tcase_add_test(tests, move_under_another_name_and_back);
    tcase_add_test(tests, rename_gives_another_namespace);
    tcase_add_test(tests, wrong_moves_are_refused);
    tcase_add_test(tests, cancel_and_resume_have_nothing_to_do_when_nothing_was_cut_short);
    tcase_add_test(tests, forget_frees_the_name_of_one_that_has_moved);
    tcase_add_loop_test(tests, tail_and_replay_of_a_shard_that_moves_end_with_7, 0, 3);
    tcase_add_test(tests, ctrl_c_ends_a_move_and_the_same_command_goes_on);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
