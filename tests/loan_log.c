/*
 * Write a log of made-up loan applications to standard output, as lines of JSON in the order of
 * their times: the same log for the same numbers, on every machine.
 *
 *     loan_log [--applications N] [--seed S] [--start TIME]
 *
 * Applications arrive all day, mostly in the daytime; a robot takes them in and turns some down at
 * once; people in an office handle the others. A few are never decided, a few are decided twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stele.h>

#define MILLISECOND INT64_C(1000)
#define SECOND      (1000 * MILLISECOND)
#define MINUTE      (60 * SECOND)
#define HOUR        (60 * MINUTE)
#define DAY         (24 * HOUR)

#define FIRST_ID         100000
#define ID_STEP_MAX      5
#define OPENING          (8 * HOUR)
#define CLOSING          (18 * HOUR)
#define ROBOT            "112"
#define APPLICATIONS_MAX 1000000

/* Whoever works in the office, as JSON writes them: numbers, and some names that are not ASCII. */
static const char *const people[] = {
    "10138",           "10609",       "10629", "10809", "10861",      "10899",
    "10909",           "10913",       "10972", "11003", "11049",      "11119",
    "11169",           "11180",       "11201", "11302", "Zo\xc3\xab", "\xe4\xbd\x90\xe8\x97\xa4",
    "\\\"Bo\\\" Ward", "O\\u2019Neil"
};

typedef struct loan_event {
    int64_t time;
    uint32_t application;
    uint32_t number; /* Of the application's events, from 1. */
    const char *type;
    const char *transition;
    const char *resource; /* NULL: nobody in particular. */
    int64_t cents;        /* Asked for, when this is the submission. */
} loan_event;

/* One application while it is simulated, and the log so far. */
typedef struct simulation {
    uint64_t random;
    uint32_t application;
    uint32_t number;
    int64_t time;
    const char *person;
    loan_event *events;
    size_t count;
    size_t capacity;
} simulation;

/* --- Chance: splitmix64, and nothing that rounds --- */

static uint64_t draw(simulation *run)
{
    run->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = run->random;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static int64_t below(simulation *run, int64_t bound)
{
    return (int64_t)((draw(run) >> 11) % (uint64_t)bound);
}

static bool chance(simulation *run, int64_t percent)
{
    return below(run, 100) < percent;
}

/* Around `typical`, sometimes several times as long. */
static int64_t around(simulation *run, int64_t typical)
{
    int64_t long_tail = chance(run, 15) ? 4 : 1;
    return below(run, typical) + below(run, typical * long_tail) + MILLISECOND;
}

/* --- The process --- */

static void add_event(simulation *run, const char *type, const char *transition,
                      const char *resource)
{
    if (run->count == run->capacity) {
        run->capacity = run->capacity == 0 ? 4096 : 2 * run->capacity;
        run->events = realloc(run->events, run->capacity * sizeof(loan_event));
        if (run->events == NULL) {
            fputs("error: out of memory\n", stderr);
            exit(EXIT_FAILURE);
        }
    }
    run->events[run->count++] = (loan_event){ .time = run->time - run->time % MILLISECOND,
                                              .application = run->application,
                                              .number = ++run->number,
                                              .type = type,
                                              .transition = transition,
                                              .resource = resource };
}

static void happen(simulation *run, const char *type)
{
    run->time += 10 * MILLISECOND + below(run, 2 * SECOND);
    add_event(run, type, "COMPLETE", run->person);
}

/* Let `wait` pass, and then go on when the office is open: 1970-01-01 was a Thursday. */
static void wait_for_office(simulation *run, int64_t wait)
{
    run->time += wait;
    int64_t day = run->time / DAY;
    int64_t hour = run->time % DAY;
    if (hour >= CLOSING)
        day++;
    bool weekend = (day + 3) % 7 >= 5;
    if (weekend)
        day += 7 - (day + 3) % 7;
    if (weekend || hour < OPENING || hour >= CLOSING)
        run->time = day * DAY + OPENING + below(run, 2 * HOUR);
}

/* Someone is given a task, and works on it in some sittings. */
static void work(simulation *run, const char *type, int64_t sittings_max, int64_t pause)
{
    add_event(run, type, "SCHEDULE", run->person);
    int64_t sittings = 1 + below(run, sittings_max);
    for (int64_t i = 0; i < sittings; i++) {
        wait_for_office(run, around(run, pause));
        run->person = people[below(run, (int64_t)(sizeof(people) / sizeof(people[0])))];
        add_event(run, type, "START", chance(run, 10) ? NULL : run->person);
        run->time += around(run, 5 * MINUTE);
        add_event(run, type, "COMPLETE", run->person);
    }
}

/* Few decisions are taken back, some days later. */
static void decide(simulation *run, const char *decision, const char *other_decision)
{
    happen(run, decision);
    if (!chance(run, 2))
        return;
    wait_for_office(run, 2 * DAY + around(run, 4 * DAY));
    happen(run, other_decision);
}

static void submit(simulation *run)
{
    run->person = ROBOT;
    add_event(run, "A_SUBMITTED", "COMPLETE", ROBOT);
    int64_t cents = 50000 * (1 + below(run, 60));
    if (chance(run, 12))
        cents += chance(run, 30) ? 10 * below(run, 5000) : below(run, 50000);
    run->events[run->count - 1].cents = cents;
    happen(run, "A_PARTLYSUBMITTED");
}

/* Until there is an offer. @return Whether there is. */
static bool accept(simulation *run)
{
    if (chance(run, 26)) {
        run->time += 20 * SECOND + below(run, MINUTE);
        decide(run, "A_DECLINED", "A_APPROVED");
        return false;
    }
    if (chance(run, 35)) {
        work(run, "W_Follow up lead", 3, 40 * MINUTE);
        if (chance(run, 60)) {
            decide(run, "A_DECLINED", "A_CANCELLED");
            return false;
        }
    }
    happen(run, "A_PREACCEPTED");
    work(run, "W_Complete application", 4, 5 * HOUR);
    if (chance(run, 4))
        return false;
    if (chance(run, 25)) {
        decide(run, "A_DECLINED", "A_APPROVED");
        return false;
    }
    if (chance(run, 18)) {
        decide(run, "A_CANCELLED", "A_DECLINED");
        return false;
    }
    happen(run, "A_ACCEPTED");
    happen(run, "A_FINALIZED");
    happen(run, "O_SELECTED");
    happen(run, "O_CREATED");
    happen(run, "O_SENT");
    return true;
}

static void conclude(simulation *run)
{
    work(run, "W_Call about offer", 6, 2 * DAY);
    if (chance(run, 5))
        return;
    if (chance(run, 28)) {
        happen(run, "O_CANCELLED");
        decide(run, "A_CANCELLED", "A_APPROVED");
        return;
    }
    happen(run, "O_SENT_BACK");
    work(run, "W_Assess application", 3, DAY);
    if (chance(run, 30))
        work(run, "W_Ask for missing papers", 5, 2 * DAY);
    if (chance(run, 22)) {
        happen(run, "O_DECLINED");
        decide(run, "A_DECLINED", "A_APPROVED");
        return;
    }
    happen(run, "O_ACCEPTED");
    happen(run, "A_REGISTERED");
    happen(run, "A_ACTIVATED");
    decide(run, "A_APPROVED", "A_CANCELLED");
}

static void simulate(simulation *run, int64_t applications, int64_t start)
{
    int64_t arrival = start;
    run->application = FIRST_ID;
    for (int64_t i = 0; i < applications; i++) {
        int64_t hour = arrival % DAY;
        bool daytime = hour >= 7 * HOUR && hour < 22 * HOUR;
        arrival += around(run, daytime ? 8 * MINUTE : 45 * MINUTE);
        run->application += 1 + (uint32_t)below(run, ID_STEP_MAX);
        run->number = 0;
        run->time = arrival;
        submit(run);
        if (accept(run))
            conclude(run);
    }
}

/* --- The log --- */

static int compare_events(const void *left_event, const void *right_event)
{
    const loan_event *left = left_event;
    const loan_event *right = right_event;
    if (left->time != right->time)
        return left->time < right->time ? -1 : 1;
    if (left->application != right->application)
        return left->application < right->application ? -1 : 1;
    return left->number < right->number ? -1 : left->number > right->number;
}

/* Of the kinds that come: "12500", "12500.5" and "12500.75". */
static void print_amount(int64_t cents)
{
    printf("\"amount_req\":\"%" PRId64, cents / 100);
    if (cents % 10 != 0)
        printf(".%02" PRId64, cents % 100);
    else if (cents % 100 != 0)
        printf(".%" PRId64, cents % 100 / 10);
    printf("\",");
}

static void print_event(const loan_event *event)
{
    char time[STELE_TIME_SIZE];
    stele_time_format(event->time, time);
    printf("{\"stream\":\"loan-%" PRIu32 "\",\"id\":\"loan-%" PRIu32 "-%" PRIu32 "\"",
           event->application, event->application, event->number);
    printf(",\"type\":\"%s\",\"time\":\"%s\",\"data\":{", event->type, time);
    if (event->cents > 0) {
        stele_time_format(event->time + HOUR, time);
        printf("\"reg_date\":\"%.*s+01:00\",", (int)strlen(time) - 1, time);
        print_amount(event->cents);
    }
    if (event->resource != NULL)
        printf("\"resource\":\"%s\",", event->resource);
    printf("\"transition\":\"%s\"}}\n", event->transition);
}

static bool read_number(const char *text, uint64_t most, uint64_t *number_out)
{
    char *end;
    errno = 0;
    *number_out = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && *number_out <= most;
}

int main(int argc, char **argv)
{
    uint64_t applications = 400;
    uint64_t seed = 1;
    int64_t start = INT64_C(1725235200) * SECOND; /* 2024-09-02, a Monday. */
    bool usage = argc % 2 == 0;
    for (int i = 1; i + 1 < argc && !usage; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--applications") == 0)
            usage = !read_number(value, APPLICATIONS_MAX, &applications);
        else if (strcmp(argv[i], "--seed") == 0)
            usage = !read_number(value, UINT64_MAX, &seed);
        else if (strcmp(argv[i], "--start") == 0)
            usage = stele_time_parse(value, strlen(value), &start) != STELE_OK || start < 0;
        else
            usage = true;
    }
    if (usage) {
        fputs("usage: loan_log [--applications N] [--seed S] [--start TIME]\n", stderr);
        return 2;
    }

    simulation run = { .random = seed };
    simulate(&run, (int64_t)applications, start);
    if (run.count > 0)
        qsort(run.events, run.count, sizeof(loan_event), compare_events);
    for (size_t i = 0; i < run.count; i++)
        print_event(&run.events[i]);
    free(run.events);
    if (fflush(stdout) != 0) {
        fprintf(stderr, "error: standard output: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
