/*
 * A workflow that may be killed at any moment and goes on where it was: orders are reserved,
 * charged and shipped, one after the other, and nobody is charged twice.
 *
 *     resume_point [STORE [PAUSE_MS]]
 *
 * Each step is one transaction: what it does (here an event of the order's stream) and the resume
 * point behind it are stored together, or not at all. Kill it, start it again, and look at the
 * orders: `stele -s resume_point.stele read @all`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <stele.h>

#define EXECUTION    "night-run"
#define SPEC_VERSION "1" /* Another one for other steps: old points are then not gone on from. */
#define ORDERS       5

/* --- The steps --- */

static const struct {
    const char *name;
    const char *event;
} steps[] = { { "reserve", "reserved" }, { "charge", "charged" }, { "ship", "shipped" } };
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

/* Where the run is, and what it needs to go on, which is the payload of its points. */
typedef struct night_run {
    int64_t order;
    size_t step; /* the next one of that order */
    int64_t cents;
    int64_t attempt; /* which one this is: a later one fences it off */
} night_run;

static const stele_field night_run_fields[] = {
    STELE_F(night_run, cents, "cents", STELE_REQUIRED),
};
STELE_TYPE(night_run_type, night_run, "NightRun", 1, night_run_fields);

static void advance(night_run *run)
{
    if (strcmp(steps[run->step].name, "charge") == 0)
        run->cents += 100 * run->order;
    if (++run->step < STEPS)
        return;
    run->step = 0;
    run->order++;
}

/* --- Saving where it is --- */

static stele_status save_point(stele_transaction *transaction, const night_run *run)
{
    stele_buffer payload = STELE_BUFFER_INIT;
    stele_resume_point point = STELE_RESUME_POINT_INIT;
    point.execution = EXECUTION;
    point.spec_version = SPEC_VERSION;
    point.iteration = run->order;
    point.step = steps[run->step].name;
    point.attempt = run->attempt;
    stele_status status =
        stele_type_encode(&night_run_type, run, stele_codec_json(), &payload, NULL);
    point.payload = payload.data;
    point.payload_size = payload.size;
    if (status == STELE_OK)
        status = stele_transaction_resume_point_save(transaction, &point, NULL);
    stele_buffer_dispose(&payload);
    return status;
}

/* The effect of the step, and where to go on behind it. */
static stele_status do_step(stele_store *store, night_run *run)
{
    char stream[32];
    stele_transaction *transaction = NULL;
    stele_event event = { .type = steps[run->step].event, .data = "{}", .data_size = 2 };
    stele_append append = STELE_APPEND_INIT;
    snprintf(stream, sizeof(stream), "order-%" PRId64, run->order);
    append.stream = stream;
    append.events = &event;
    append.event_count = 1;
    stele_status status = stele_transaction_begin(store, &transaction);
    if (status == STELE_OK)
        status = stele_transaction_append(transaction, &append, NULL);
    advance(run);
    if (status == STELE_OK)
        status = save_point(transaction, run);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    if (status == STELE_OK)
        printf("%s %s\n", stream, event.type);
    return status;
}

/* --- Going on --- */

static stele_status take_up(const stele_resume_record *record, night_run *run)
{
    stele_status status = stele_type_decode(&night_run_type, stele_codec_json(), record->payload,
                                            record->payload_size, run, NULL);
    run->order = record->iteration;
    for (size_t i = 0; i < STEPS; i++)
        if (strcmp(steps[i].name, record->step) == 0)
            run->step = i;
    return status;
}

static stele_status find_where(stele_store *store, night_run *run, bool *drift_out)
{
    int64_t attempt = 0;
    stele_resume_answer answer = STELE_RESUME_FRESH;
    const stele_resume_record *record = NULL;
    stele_resumption resumption = STELE_RESUMPTION_INIT;
    resumption.execution = EXECUTION;
    resumption.spec_version = SPEC_VERSION;
    *run = (night_run){ .order = 1 };
    stele_status status = stele_resume_point_resume(store, &resumption, &answer, &attempt, &record);
    if (status != STELE_OK)
        return status;
    *drift_out = answer == STELE_RESUME_DRIFT;
    if (*drift_out)
        printf("the run was begun by version %s of the steps, these are version %s\n",
               record->spec_version, SPEC_VERSION);
    else if (answer == STELE_RESUME_GO_ON)
        status = take_up(record, run);
    stele_resume_record_close(record);
    run->attempt = attempt;
    if (status == STELE_OK && !*drift_out)
        printf("attempt %" PRId64 " begins with order-%" PRId64 ", %s\n", attempt, run->order,
               steps[run->step].name);
    return status;
}

static void pause_for(long milliseconds)
{
    struct timespec rest = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
    nanosleep(&rest, NULL);
}

static stele_status run_night(stele_store *store, long pause_ms)
{
    night_run run;
    bool drift = false;
    stele_status status = find_where(store, &run, &drift);
    while (status == STELE_OK && !drift && run.order <= ORDERS) {
        fflush(stdout);
        pause_for(pause_ms);
        status = do_step(store, &run);
    }
    if (status == STELE_OK && !drift)
        printf("done: %d orders, %" PRId64 " cents\n", ORDERS, run.cents);
    return status;
}

int main(int argc, char **argv)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(argc > 1 ? argv[1] : "resume_point.stele", NULL, &store);
    if (status == STELE_OK)
        status = run_night(store, argc > 2 ? strtol(argv[2], NULL, 10) : 0);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
