/*
 * A random life of a subscription that parks, beside a model of it: events come on some streams,
 * some can't be handled for a while, parked ones are replayed, asked for and dropped. After each
 * step what was handled, in order, and what is parked are as the model has them. In the end every
 * event was handled exactly once, in the order of its stream, or was dropped.
 */
#include "effort.h"
#include "parkings.h"

#define STREAMS    4
#define EVENTS_MAX 400

typedef enum fate { FATE_AHEAD, FATE_HANDLED, FATE_FAILED, FATE_WAITING, FATE_DROPPED } fate;

/* The model. Positions count from 1. */
static struct model {
    int count;
    int through;
    int stream_of[EVENTS_MAX + 1];
    fate fates[EVENTS_MAX + 1];
    bool poison[EVENTS_MAX + 1];
    bool asked[EVENTS_MAX + 1];
    int handled[EVENTS_MAX];
    int handled_count;
} model;

/* What a control breaks: the n-th replayed event is passed for handled, or written twice. */
static int lose_at;
static int double_at;
static int replays;

static bool is_parked(int position)
{
    return model.fates[position] == FATE_FAILED || model.fates[position] == FATE_WAITING;
}

static int first_parked(int stream)
{
    for (int i = 1; i <= model.through; i++)
        if (model.stream_of[i] == stream && is_parked(i))
            return i;
    return 0;
}

static void model_handle(int position)
{
    model.fates[position] = FATE_HANDLED;
    model.asked[position] = false;
    model.handled[model.handled_count++] = position;
}

static bool model_replay(int position)
{
    if (!model.poison[position]) {
        model_handle(position);
        return true;
    }
    model.fates[position] = FATE_FAILED;
    for (int i = position; i <= model.through && model.asked[position]; i++)
        if (i != position && model.stream_of[i] == model.stream_of[position])
            model.asked[i] = false;
    model.asked[position] = false;
    return false;
}

/* Of `stream` (-1: all), at most `limit` (0: all) tries. */
static void model_replay_all(int stream, int position, int limit)
{
    int tried = 0;
    for (int i = 1; i <= model.through && (limit == 0 || tried < limit); i++) {
        if (!is_parked(i) || (stream >= 0 && model.stream_of[i] != stream)
            || (position > 0 && i != position) || first_parked(model.stream_of[i]) != i)
            continue;
        tried++;
        model_replay(i);
    }
}

static void model_run(void)
{
    for (int i = 1; i <= model.through; i++)
        if (is_parked(i) && model.asked[i] && first_parked(model.stream_of[i]) == i)
            model_replay(i);
    while (model.through < model.count) {
        int i = model.through + 1;
        if (first_parked(model.stream_of[i]) != 0)
            model.fates[i] = FATE_WAITING;
        else if (model.poison[i])
            model.fates[i] = FATE_FAILED;
        else
            model_handle(i);
        model.through = i;
    }
}

/* --- The same on the store --- */

static stele_status handle_unless_poison(void *context, const stele_record *record,
                                         const stele_handling *handling)
{
    int times = 1;
    if (model.poison[record->position])
        return stele_handling_fail(handling, record->position, "poison");
    if (handling->replay) {
        replays++;
        times = replays == lose_at ? 0 : (replays == double_at ? 2 : 1);
    }
    (void)context;
    for (int i = 0; i < times; i++) {
        seen_events one = { .answer = STELE_REFUSED };
        stele_status status = see_event(&one, record, handling);
        if (status != STELE_OK)
            return status;
    }
    return STELE_OK;
}

static stele_handler model_handler(void)
{
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = handle_unless_poison;
    return handler;
}

static stele_subscription_options model_options(void)
{
    stele_subscription_options options = make_parking("s");
    options.tries = 1;
    options.batch_count_max = 1 + (uint32_t)(next_chance() % 20);
    return options;
}

static void run_both(void)
{
    stele_subscription_options options = model_options();
    stele_handler handler = model_handler();
    stele_subscription *subscription = open_subscription(&options);
    assert_status(stele_subscription_run(subscription, &handler), STELE_DONE);
    stele_subscription_close(subscription);
    /* What was asked for is done before or after the events that are ahead: both keep the order of
     * each stream, so the model does it before, and the comparison is by stream. */
    model_run();
}

static void append_both(void)
{
    int stream = (int)(next_chance() % STREAMS);
    char name[16];
    snprintf(name, sizeof(name), "m-%d", stream);
    assert_status(append_one(name, STELE_ANY, "t", NULL), STELE_OK);
    model.stream_of[++model.count] = stream;
    model.poison[model.count] = one_in(6);
}

static stele_parked_choice choose_any(int *stream, char name[16])
{
    stele_parked_choice choice = choose("s");
    *stream = one_in(2) ? -1 : (int)(next_chance() % STREAMS);
    snprintf(name, 16, "m-%d", *stream);
    choice.stream = *stream < 0 ? NULL : name;
    choice.limit = one_in(2) ? 0 : 1 + next_chance() % 4;
    return choice;
}

static void replay_both(void)
{
    int stream;
    char name[16];
    stele_parked_choice choice = choose_any(&stream, name);
    if (one_in(3) && stream >= 0)
        choice.position = first_parked(stream);
    stele_subscription_options options = model_options();
    stele_handler handler = model_handler();
    stele_subscription *subscription = open_subscription(&options);
    assert_status(stele_subscription_replay(subscription, &choice, &handler, NULL), STELE_OK);
    stele_subscription_close(subscription);
    model_replay_all(stream, (int)choice.position, (int)choice.limit);
}

static void ask_both(void)
{
    int stream;
    char name[16];
    stele_parked_choice choice = choose_any(&stream, name);
    assert_status(stele_parked_ask(store, &choice, NULL), STELE_OK);
    uint64_t asked = 0;
    for (int i = 1; i <= model.through && (choice.limit == 0 || asked < choice.limit); i++)
        if (is_parked(i) && (stream < 0 || model.stream_of[i] == stream)) {
            model.asked[i] = true;
            asked++;
        }
}

static void drop_both(void)
{
    int stream;
    char name[16];
    stele_parked_choice choice = choose_any(&stream, name);
    choice.limit = 1 + next_chance() % 2;
    assert_status(stele_parked_drop(store, &choice, NULL), STELE_OK);
    uint64_t dropped = 0;
    for (int i = 1; i <= model.through && dropped < choice.limit; i++)
        if (is_parked(i) && (stream < 0 || model.stream_of[i] == stream)) {
            model.fates[i] = FATE_DROPPED;
            model.asked[i] = false;
            dropped++;
        }
}

/* --- Comparing --- */

static bool compare_parked(void)
{
    stele_parked_list *list = NULL;
    const stele_parked *parked = NULL;
    bool same = true;
    assert_status(stele_store_parked(store, "s", &list), STELE_OK);
    for (int i = 1; i <= model.through; i++) {
        if (!is_parked(i))
            continue;
        same &= stele_parked_next(list, &parked) == STELE_OK && parked->position == i
                && (parked->behind == 0) == (model.fates[i] == FATE_FAILED)
                && (parked->asked_at != 0) == model.asked[i];
        if (!same)
            break;
    }
    same = same && stele_parked_next(list, &parked) == STELE_DONE;
    stele_parked_close(list);
    return same;
}

/* Of each stream: what was handled, in order. */
static bool compare_handled(void)
{
    static int handled[EVENTS_MAX * 2];
    int count = 0;
    sqlite3 *raw = open_raw(store_path());
    sqlite3_stmt *statement = NULL;
    bool same = true;
    ck_assert_int_eq(
        sqlite3_prepare_v2(raw, "SELECT position FROM seen ORDER BY id", -1, &statement, NULL),
        SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW && count < EVENTS_MAX * 2)
        handled[count++] = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(raw);
    same = count == model.handled_count;
    for (int stream = 0; stream < STREAMS && same; stream++) {
        int at = 0;
        for (int i = 0; i < count && same; i++) {
            if (model.stream_of[handled[i]] != stream)
                continue;
            while (at < model.handled_count && model.stream_of[model.handled[at]] != stream)
                at++;
            same = at < model.handled_count && model.handled[at++] == handled[i];
        }
    }
    return same;
}

/* Every event once, and in order, or dropped; in the model. */
static void check_end(void)
{
    int last[STREAMS] = { 0 };
    int dropped = 0;
    for (int i = 0; i < model.handled_count; i++) {
        int position = model.handled[i];
        ck_assert_int_gt(position, last[model.stream_of[position]]);
        last[model.stream_of[position]] = position;
    }
    for (int i = 1; i <= model.count; i++)
        dropped += model.fates[i] == FATE_DROPPED;
    ck_assert_int_eq(model.handled_count + dropped, model.count);
}

static void step_both(void)
{
    switch (next_chance() % 12) {
    case 0:
    case 1: run_both(); break;
    case 2: replay_both(); break;
    case 3: ask_both(); break;
    case 4: drop_both(); break;
    case 5:
        for (int i = 1; i <= model.count; i++)
            if (one_in(2))
                model.poison[i] = false;
        break;
    default:
        if (model.count < EVENTS_MAX)
            append_both();
    }
}

/* Whether store and model stayed the same. */
static bool live(int steps)
{
    model = (struct model){ 0 };
    replays = 0;
    open_in_file();
    make_seen_table();
    for (int i = 0; i < steps; i++) {
        step_both();
        if (!compare_parked() || !compare_handled())
            return false;
    }
    memset(model.poison, 0, sizeof(model.poison));
    run_both();
    stele_parked_choice all = choose("s");
    stele_subscription_options options = model_options();
    stele_handler handler = model_handler();
    stele_subscription *subscription = open_subscription(&options);
    assert_status(stele_subscription_replay(subscription, &all, &handler, NULL), STELE_OK);
    stele_subscription_close(subscription);
    model_replay_all(-1, 0, 0);
    return compare_parked() && compare_handled();
}

START_TEST(each_event_is_handled_once_in_order_or_dropped)
{
    uint64_t seed = choose_seed();
    int runs = effort_is_long() ? 200 : 2;
    int events = 0;
    lose_at = double_at = 0;
    for (int i = 0; i < runs; i++) {
        ck_assert_msg(live(effort_is_long() ? 600 : 200), "run %d of seed %" PRIu64 " differs", i,
                      seed);
        check_end();
        events += model.count;
        close_and_remove();
    }
    printf("parked model: seed %" PRIu64 ", %d runs, %d events\n", seed, runs, events);
}
END_TEST

/* The guard is off: an event that is lost, or handled twice, must be found. */
START_TEST(control_finds_an_event_lost_or_handled_twice)
{
    seed_chance(7);
    lose_at = 3;
    double_at = 0;
    ck_assert(!live(250));
    close_and_remove();
    lose_at = 0;
    double_at = 3;
    ck_assert(!live(250));
    double_at = 0;
}
END_TEST

static Suite *parked_model_suite(void)
{
    Suite *suite = suite_create("parked_model");
    TCase *tests = add_case(suite, "model", NULL);
    tcase_set_timeout(tests, effort_is_long() ? 3600 : 60);
    tcase_add_test(tests, each_event_is_handled_once_in_order_or_dropped);
    tcase_add_test(tests, control_finds_an_event_lost_or_handled_twice);
    return suite;
}

int main(void)
{
    return run_suite(parked_model_suite());
}
