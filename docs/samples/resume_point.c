/*
 * An execution that stops in the middle and is gone on with: where it was, which attempt it is, and
 * whether the program is still the same.
 */
#include <inttypes.h>
#include <stdio.h>

#include <stele.h>

static stele_status save_at(stele_store *store, const char *step, int64_t iteration)
{
    stele_resume_point point = STELE_RESUME_POINT_INIT;
    int64_t actual = 0;
    point.execution = "report-17";
    point.step = step;
    point.iteration = iteration;
    point.payload = "{\"page\":3}";
    point.payload_size = 10;
    point.spec_version = "2024-05";
    stele_status status = stele_resume_point_save(store, &point, &actual);
    if (status != STELE_CONFLICT)
        return status;
    printf("%s, iteration %" PRId64 ": too late, it is at %" PRId64 "\n", step, iteration, actual);
    return STELE_OK;
}

/* Of who was given `attempt`: when another was given a later one, this worker is to stop. */
static stele_status save_as(stele_store *store, int64_t attempt, const char *step)
{
    stele_resume_point point = STELE_RESUME_POINT_INIT;
    point.execution = "report-17";
    point.step = step;
    point.iteration = 2;
    point.spec_version = "2024-05";
    point.attempt = attempt;
    stele_status status = stele_resume_point_save(store, &point, NULL);
    if (status != STELE_FENCED)
        return status;
    printf("%s: %s\n", step, stele_error_text());
    return STELE_OK;
}

static stele_status go_on(stele_store *store, const char *spec_version)
{
    static const char *const answers[] = { "from the start", "go on", "another version" };
    stele_resumption resumption = STELE_RESUMPTION_INIT;
    stele_resume_answer answer = STELE_RESUME_FRESH;
    int64_t attempt = 0;
    const stele_resume_record *record = NULL;
    resumption.execution = "report-17";
    resumption.spec_version = spec_version;
    stele_status status = stele_resume_point_resume(store, &resumption, &answer, &attempt, &record);
    if (status != STELE_OK)
        return status;
    printf("version %s: %s, attempt %" PRId64, spec_version, answers[answer], attempt);
    if (record->found)
        printf(", at %s with %s", record->step, (const char *)record->payload);
    printf("\n");
    stele_resume_record_close(record);
    return STELE_OK;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = go_on(store, "2024-05");
    if (status == STELE_OK)
        status = save_at(store, "collect", 1);
    if (status == STELE_OK)
        status = save_at(store, "write", 2);
    if (status == STELE_OK)
        status = save_at(store, "collect", 1);
    if (status == STELE_OK)
        status = go_on(store, "2024-05");
    if (status == STELE_OK)
        status = save_as(store, 1, "collect");
    if (status == STELE_OK)
        status = go_on(store, "2024-06");
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
