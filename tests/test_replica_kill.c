/*
 * Three nodes that are processes, over one log in a file, killed with SIGKILL again and again while
 * they write: when all have applied the log they are equal, and what each had acknowledged is true
 * on all of them.
 */
#include "frame/replica.h"

#include "file_log.h"

#include "replicas.h"

#include "effort.h"

#include <signal.h>
#include <sys/stat.h>

enum { KILLED_NODES = 3, PER_LIFE = 100000, LIVES_MAX = 4000 };

/* What a process says once it knows. */
typedef struct outcome {
    int64_t wish;
    int64_t status;
    int64_t position;
} outcome;

static uint64_t seed;

static void set_up(void)
{
    seed = choose_seed();
    (void)test_folder(); /* of this process, not of each child */
}

/* --- A process --- */

static void fail_process(const char *doing, stele_status status)
{
    fprintf(stderr, "test_replica_kill: %s: %s: %s\n", doing, stele_status_name(status),
            stele_error_text());
    _exit(1);
}

static void node_path(int number, char path[512])
{
    char name[32];
    snprintf(name, sizeof(name), "killed%d.db", number);
    snprintf(path, 512, "%s", test_path(name));
}

static stele_status open_killed_node(int number, uint64_t chances, node *own)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele__replica_options how = STELE__REPLICA_OPTIONS_INIT;
    memset(own, 0, sizeof(*own));
    how.again_ms = 30;
    how.checkpoint_every = 40;
    stele__shard_lane("tests", "killed", &how.shard);
    node_path(number, own->path);
    stele__frame_log *log = open_file_log(test_path("log"), chances);
    if (log == NULL)
        return stele__fail(STELE_IO, "no log");
    stele_status status = stele_store_open(own->path, &options, &own->store);
    if (status != STELE_OK) {
        log->close(log);
        return status;
    }
    status = stele__replica_open(own->store, log, &how, &own->replica);
    if (status == STELE_OK)
        status = stele__sequencer_set(own->store, stele__replica_sequencer(own->replica));
    return status;
}

static void say(int into, int64_t wish, stele_status status, int64_t position)
{
    outcome said = { wish, status, position };
    if (write(into, &said, sizeof(said)) != (ssize_t)sizeof(said))
        _exit(1);
}

static void append_wish(const node *own, int into, int64_t wish, uint64_t chances)
{
    char data[64];
    char stream[32];
    char key[32];
    stele_appended appended = { 0 };
    snprintf(data, sizeof(data), "{\"wish\":%" PRId64 "}", wish);
    snprintf(stream, sizeof(stream), "s-%d", (int)(chances % 4));
    snprintf(key, sizeof(key), "wish %" PRId64, wish);
    stele_event event = make_event("wished", data);
    stele_append append = make_append(stream, STELE_ANY, &event, 1);
    if (chances / 4 % 3 == 0)
        append.idempotency_key = key;
    if (chances / 12 % 3 == 0) {
        stele_stream_info info = { 0 };
        (void)stele_store_stream(own->store, stream, &info);
        append.expected_version = info.version;
    }
    stele_status status = stele_store_append(own->store, &append, &appended);
    say(into, wish, status, status == STELE_OK ? appended.first_position : 0);
}

static void change_something_else(const node *own, uint64_t chances)
{
    char key[32];
    char stream[32];
    snprintf(key, sizeof(key), "key-%d", (int)(chances % 5));
    snprintf(stream, sizeof(stream), "life-%d", (int)(chances % 3));
    stele_put put = make_put("scope", key, "value");
    stele_delete erase = STELE_DELETE_INIT;
    stele_archive in_place = STELE_ARCHIVE_INIT;
    stele_restore restore = STELE_RESTORE_INIT;
    erase.stream = in_place.stream = restore.stream = stream;
    switch (chances / 16 % 6) {
    case 0: (void)stele_store_delete(own->store, &erase, NULL); break;
    case 1: (void)stele_store_archive(own->store, &in_place, NULL); break;
    case 2: (void)stele_store_restore(own->store, &restore, NULL); break;
    case 3: (void)append_to(own->store, stream, STELE_ANY, "lived", NULL); break;
    default: (void)stele_state_put(own->store, &put, NULL);
    }
}

static void run_process(int number, int life)
{
    node own;
    int into = open(test_path("said"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    uint64_t chances = (seed + (uint64_t)life) * 0xd1b54a32d192ed03u + 1;
    stele_status status = open_killed_node(number, chances, &own);
    if (into < 0 || status != STELE_OK)
        fail_process("opening", status);
    for (int i = 0; i < PER_LIFE; i++) {
        chances ^= chances << 13;
        chances ^= chances >> 7;
        chances ^= chances << 17;
        if (chances >> 11 & 3)
            append_wish(&own, into, (int64_t)life * PER_LIFE + i, chances >> 13);
        else
            change_something_else(&own, chances >> 13);
        stele__replica_info info = describe_node(&own);
        if (info.stopped)
            fail_process(info.error, STELE_IO);
    }
    _exit(0);
}

static pid_t start_process(int number, int life)
{
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        run_process(number, life);
    return child;
}

/* It lived until it was killed: it had no reason to end by itself. */
static void kill_process(pid_t child)
{
    int how = 0;
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_msg(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL, "a process ended by itself: %d",
                  how);
}

static bool anything_is_acknowledged(void)
{
    outcome said = { .status = STELE_DONE };
    FILE *file = fopen(test_path("said"), "rb");
    if (file == NULL)
        return false;
    while (said.status != STELE_OK && fread(&said, sizeof(said), 1, file) == 1)
        continue;
    fclose(file);
    return said.status == STELE_OK;
}

static int kill_again_and_again(int kills)
{
    pid_t children[KILLED_NODES];
    int life = 0;
    for (int i = 0; i < KILLED_NODES; i++)
        children[i] = start_process(i, life++);
    for (int i = 0; i < kills; i++) {
        int victim = (int)(next_chance() >> 11) & 3;
        stele__sleep_us(20000 + (uint32_t)((next_chance() >> 11) % 120000));
        if (victim == KILLED_NODES)
            continue;
        kill_process(children[victim]);
        children[victim] = start_process(victim, life++);
    }
    /* On a slow machine none may have come to that yet. */
    for (int i = 0; i < 60000 && !anything_is_acknowledged(); i++)
        stele__sleep_us(1000);
    for (int i = 0; i < KILLED_NODES; i++)
        kill_process(children[i]);
    return life;
}

/* --- Afterwards --- */

static node left[KILLED_NODES]; /* none is open yet */

static void open_what_is_left(void)
{
    for (int i = 0; i < KILLED_NODES; i++)
        assert_status(open_killed_node(i, seed + 17, &left[i]), STELE_OK);
}

static void close_what_is_left(void)
{
    for (int i = 0; i < KILLED_NODES; i++)
        if (left[i].store != NULL)
            close_node(&left[i]);
    remove_test_folder();
}

static int64_t *find_wishes(int lives)
{
    size_t count = (size_t)lives * PER_LIFE;
    int64_t *found = calloc(count, sizeof(*found));
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    ck_assert_ptr_nonnull(found);
    assert_status(stele_store_read(left[0].store, NULL, &cursor), STELE_OK);
    while (stele_cursor_next(cursor, &record) == STELE_OK) {
        if (strcmp(record->type, "wished") != 0)
            continue;
        int64_t wish = strtol((const char *)record->data + strlen("{\"wish\":"), NULL, 10);
        ck_assert(wish >= 0 && (size_t)wish < count);
        ck_assert_msg(found[wish] == 0, "wish %" PRId64 " is there twice", wish);
        found[wish] = record->position;
    }
    stele_cursor_close(cursor);
    return found;
}

static int judge_outcomes(int lives)
{
    int64_t *found = find_wishes(lives);
    int acknowledged = 0;
    FILE *file = fopen(test_path("said"), "rb");
    outcome said;
    ck_assert_ptr_nonnull(file);
    while (fread(&said, sizeof(said), 1, file) == 1) {
        if (said.status == STELE_OK) {
            acknowledged++;
            ck_assert_msg(found[said.wish] == said.position,
                          "wish %" PRId64 " was acknowledged at %" PRId64 " and is at %" PRId64,
                          said.wish, said.position, found[said.wish]);
        } else if (said.status != STELE_UNKNOWN_OUTCOME) {
            ck_assert_msg(found[said.wish] == 0,
                          "wish %" PRId64 " was answered %s and is at %" PRId64, said.wish,
                          stele_status_name((stele_status)said.status), found[said.wish]);
        }
    }
    fclose(file);
    free(found);
    return acknowledged;
}

START_TEST(killed_nodes_end_equal_and_keep_what_they_acknowledged)
{
    int kills = effort_is_long() ? 600 : 20;
    int lives = kill_again_and_again(kills);
    open_what_is_left();
    uint64_t applied = 0;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < KILLED_NODES; i++)
            applied = pump_node(&left[i]);
    for (int i = 1; i < KILLED_NODES; i++)
        ck_assert_msg(equal_digests(left[0].store, left[i].store), "nodes 0 and %d differ", i);
    int acknowledged = judge_outcomes(lives);
    ck_assert_int_gt(acknowledged, 0);
    printf("kills, seed %" PRIu64 ": %d lives of %d nodes, %" PRIu64 " frames, %d acknowledged\n",
           seed, lives, KILLED_NODES, applied, acknowledged);
}
END_TEST

/* The control: a log that loses a frame that was acknowledged is found out. */
START_TEST(control_log_that_loses_its_last_frame_stops_a_node)
{
    kill_again_and_again(4);
    open_what_is_left();
    for (int i = 0; i < KILLED_NODES; i++)
        pump_node(&left[i]);
    for (int i = 0; i < KILLED_NODES; i++)
        close_node(&left[i]);
    ck_assert(lose_file_record(test_path("log")));
    open_what_is_left();
    stele_wait wait = wait_for_ms(LONG_MS);
    assert_status(stele__replica_pump(left[0].replica, &wait, NULL), STELE_EPOCH);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replica: kill");
    TCase *tests = tcase_create("kill");
    tcase_set_timeout(tests, 0);
    tcase_add_checked_fixture(tests, set_up, close_what_is_left);
    tcase_add_test(tests, killed_nodes_end_equal_and_keep_what_they_acknowledged);
    tcase_add_test(tests, control_log_that_loses_its_last_frame_stops_a_node);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
