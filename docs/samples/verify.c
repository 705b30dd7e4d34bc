/*
 * Proving at night that a store is whole: slowly, and no longer than it is quiet.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include <stele.h>

/* Set by whoever knows that the day begins, be it a signal handler. */
static atomic_bool is_day;

static int ask_for_day(void *context, const stele_progress *progress)
{
    (void)context;
    (void)progress;
    return atomic_load(&is_day);
}

static stele_status verify_slowly(stele_store *store)
{
    stele_work work = STELE_WORK_INIT;
    work.bytes_per_second = UINT64_C(20) * 1024 * 1024;
    work.progress = ask_for_day;
    stele_verify_options options = STELE_VERIFY_INIT;
    options.work = &work;

    uint64_t failed = 0;
    const stele_check *check;
    stele_verify *verify = NULL;
    stele_status status = stele_verify_open(store, &options, &verify);
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK) {
        if (check->failures > 0)
            printf("%s: %" PRIu64 " wrong, first %s\n", check->name, check->failures,
                   check->offender);
        failed += check->failures > 0;
    }
    stele_verify_close(verify);
    if (status == STELE_DONE)
        printf("%" PRIu64 " checks failed\n", failed);
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_event event = { .type = "measured" };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "meter-1";
    append.events = &event;
    append.event_count = 1;
    stele_status status = stele_store_open("meters.stele", NULL, &store);
    if (status == STELE_OK)
        status = stele_store_append(store, &append, NULL);
    if (status == STELE_OK)
        status = verify_slowly(store);
    if (status < 0) /* CANCELLED: the day has begun; what was proven until then holds */
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
