/**
 * @file tests/resume_points.h
 * Short ways to save resume points and to look at them.
 */
#ifndef STELE_TESTS_RESUME_POINTS_H
#define STELE_TESTS_RESUME_POINTS_H

#include "contract.h"

#include <stele/resume_point.h>

static inline stele_resume_point make_point(const char *execution, int64_t iteration)
{
    stele_resume_point point = STELE_RESUME_POINT_INIT;
    point.execution = execution;
    point.step = "collect";
    point.iteration = iteration;
    point.payload = "{}";
    point.payload_size = 2;
    return point;
}

static inline stele_status save_at(const char *execution, int64_t iteration)
{
    stele_resume_point point = make_point(execution, iteration);
    return stele_resume_point_save(store, &point, NULL);
}

/* Borrowed until it is closed. */
static inline const stele_resume_record *load_point(const char *space, const char *execution)
{
    const stele_resume_record *record = NULL;
    assert_status(stele_resume_point_load(store, space, execution, &record), STELE_OK);
    ck_assert_ptr_nonnull(record);
    return record;
}

/* -1: there is none. */
static inline int64_t iteration_of(const char *execution)
{
    const stele_resume_record *record = load_point(NULL, execution);
    int64_t iteration = record->found ? record->iteration : -1;
    stele_resume_record_close(record);
    return iteration;
}

static inline void expect_no_point(const stele_resume_record *record)
{
    ck_assert(!record->found);
    ck_assert_str_eq(record->space, "");
    ck_assert_str_eq(record->execution, "");
    ck_assert_str_eq(record->step, "");
    ck_assert_int_eq(record->iteration, 0);
    ck_assert_str_eq(record->payload, "");
    ck_assert_uint_eq(record->payload_size, 0);
    ck_assert_uint_eq(record->attribute_count, 0);
    ck_assert_int_eq(record->started_at, 0);
    ck_assert_str_eq(record->spec_version, "");
    ck_assert_int_eq(record->saved_at, 0);
    ck_assert_int_eq(record->attempt, 0);
}

/* The executions of a space in the order of the list, as "c b a". Borrowed until next. */
static inline const char *executions_of(const char *space, uint64_t limit)
{
    static char text[4096];
    stele_resume_points *points = NULL;
    const stele_resume_record *record = NULL;
    size_t size = 0;
    text[0] = '\0';
    assert_status(stele_resume_point_list(store, space, limit, &points), STELE_OK);
    stele_status status;
    while ((status = stele_resume_points_next(points, &record)) == STELE_OK)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s", size > 0 ? " " : "",
                                 record->execution);
    assert_status(status, STELE_DONE);
    ck_assert_ptr_null(record);
    stele_resume_points_close(points);
    return text;
}

/* --- Going on --- */

static inline stele_resumption resumption_of(const char *execution, const char *spec_version)
{
    stele_resumption resumption = STELE_RESUMPTION_INIT;
    resumption.execution = execution;
    resumption.spec_version = spec_version;
    return resumption;
}

/* The answer and the attempt; the record goes. */
static inline void expect_resumed(const char *execution, const char *spec_version,
                                  stele_resume_answer expected, int64_t expected_attempt)
{
    stele_resumption resumption = resumption_of(execution, spec_version);
    stele_resume_answer answer = STELE_RESUME_FRESH;
    int64_t attempt = -1;
    const stele_resume_record *record = NULL;
    assert_status(stele_resume_point_resume(store, &resumption, &answer, &attempt, &record),
                  STELE_OK);
    ck_assert_int_eq(answer, expected);
    ck_assert_int_eq(attempt, expected_attempt);
    ck_assert_int_eq(record->found, expected != STELE_RESUME_FRESH);
    ck_assert_int_eq(record->attempt, record->found ? expected_attempt : 0);
    stele_resume_record_close(record);
}

#endif
