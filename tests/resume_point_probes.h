/**
 * @file tests/resume_point_probes.h
 * The probes of tests/test_modes_matrix.c for resume points and session memory.
 */
#ifndef STELE_TESTS_RESUME_POINT_PROBES_H
#define STELE_TESTS_RESUME_POINT_PROBES_H

#include <stele/resume_point.h>
#include <stele/session.h>

static stele_resume_point probe_point(void)
{
    stele_resume_point point = STELE_RESUME_POINT_INIT;
    point.execution = "run-1";
    return point;
}

static stele_status probe_point_save(void)
{
    stele_resume_point point = probe_point();
    return stele_resume_point_save(store, &point, NULL);
}

static stele_status probe_point_load(void)
{
    const stele_resume_record *record = NULL;
    stele_status status = stele_resume_point_load(store, NULL, "run-1", &record);
    stele_resume_record_close(record);
    return status;
}

static stele_status probe_point_delete(void)
{
    return stele_resume_point_delete(store, NULL, "run-2", NULL);
}

static stele_status probe_points(void)
{
    stele_resume_points *points = NULL;
    const stele_resume_record *record = NULL;
    stele_status status = stele_resume_point_list(store, NULL, 0, &points);
    while (status == STELE_OK)
        status = stele_resume_points_next(points, &record);
    stele_resume_points_close(points);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status probe_point_resume(void)
{
    stele_resumption resumption = STELE_RESUMPTION_INIT;
    stele_resume_answer answer;
    const stele_resume_record *record = NULL;
    resumption.execution = "run-1";
    stele_status status = stele_resume_point_resume(store, &resumption, &answer, NULL, &record);
    stele_resume_record_close(record);
    return status;
}

static stele_status point_save_in(void)
{
    stele_resume_point point = probe_point();
    return stele_transaction_resume_point_save(open_transaction, &point, NULL);
}

static stele_status point_load_in(void)
{
    const stele_resume_record *record = NULL;
    stele_status status =
        stele_transaction_resume_point_load(open_transaction, NULL, "run-1", &record);
    stele_resume_record_close(record);
    return status;
}

INSIDE(probe_point_save_in, point_save_in())
INSIDE(probe_point_load_in, point_load_in())
INSIDE(probe_point_delete_in,
       stele_transaction_resume_point_delete(open_transaction, NULL, "run-2", NULL))
INSIDE(probe_point_save_around, probe_point_save())
INSIDE(probe_point_load_around, probe_point_load())

/* --- Session memory --- */

static const stele_identity probe_identity = { sizeof(stele_identity), "acme", "ada", "s1", NULL };

typedef stele_status (*session_use)(stele_session_memory *memory);

static stele_status with_memory(session_use use)
{
    stele_session_options options = STELE_SESSION_OPTIONS_INIT;
    stele_session_memory *memory = NULL;
    options.strategy = "truncation";
    stele_status status = stele_session_open(store, &options, &memory);
    if (status == STELE_OK && use != NULL)
        status = use(memory);
    stele_session_close(memory);
    return status;
}

static stele_status use_add(stele_session_memory *memory)
{
    return stele_session_add(memory, &probe_identity, "user", "hello");
}

static stele_status use_read(stele_session_memory *memory)
{
    const stele_session_turns *turns = NULL;
    stele_status status = stele_session_read(memory, &probe_identity, &turns);
    stele_session_turns_close(turns);
    return status;
}

static stele_status use_flush(stele_session_memory *memory)
{
    return stele_session_flush(memory, &probe_identity);
}

static stele_status use_snapshot(stele_session_memory *memory)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_status status = stele_session_snapshot(memory, &probe_identity, &buffer);
    stele_buffer_dispose(&buffer);
    return status;
}

static stele_status use_restore(stele_session_memory *memory)
{
    return stele_session_restore(memory, &probe_identity, NULL, 0);
}

static stele_status use_health(stele_session_memory *memory)
{
    stele_session_state state;
    return stele_session_health(memory, &probe_identity, &state, NULL);
}

static stele_status probe_session(void)
{
    return with_memory(NULL);
}

static stele_status probe_session_add(void)
{
    return with_memory(use_add);
}

static stele_status probe_session_read(void)
{
    return with_memory(use_read);
}

static stele_status probe_session_flush(void)
{
    return with_memory(use_flush);
}

static stele_status probe_session_snapshot(void)
{
    return with_memory(use_snapshot);
}

static stele_status probe_session_restore(void)
{
    return with_memory(use_restore);
}

static stele_status probe_session_health(void)
{
    return with_memory(use_health);
}

INSIDE(probe_session_add_around, probe_session_add())
INSIDE(probe_session_read_around, probe_session_read())

#endif
