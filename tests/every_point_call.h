/**
 * @file tests/every_point_call.h
 * Resume points and session memory for tests/every_call.h, which includes this.
 */
#ifndef STELE_TESTS_EVERY_POINT_CALL_H
#define STELE_TESTS_EVERY_POINT_CALL_H

#include <stele/resume_point.h>
#include <stele/session.h>

static inline stele_status list_points(void)
{
    stele_resume_points *points = NULL;
    const stele_resume_record *record = NULL;
    stele_status status = stele_resume_point_list(store, NULL, 0, &points);
    while (status == STELE_OK)
        status = stele_resume_points_next(points, &record);
    stele_resume_points_close(points);
    return status == STELE_DONE ? STELE_OK : status;
}

static inline stele_status call_points(caller *self)
{
    stele_resume_point point = STELE_RESUME_POINT_INIT;
    stele_resumption resumption = STELE_RESUMPTION_INIT;
    stele_resume_answer answer = STELE_RESUME_FRESH;
    const stele_resume_record *record = NULL;
    point.execution = resumption.execution = self->stream;
    stele_status status = stele_resume_point_save(store, &point, NULL);
    if (status == STELE_OK)
        status = stele_resume_point_load(store, NULL, self->stream, &record);
    stele_resume_record_close(record);
    record = NULL;
    if (status == STELE_OK)
        status = stele_resume_point_resume(store, &resumption, &answer, NULL, &record);
    stele_resume_record_close(record);
    if (status == STELE_OK)
        status = list_points();
    return status == STELE_OK ? stele_resume_point_delete(store, NULL, self->stream, NULL) : status;
}

static inline stele_status call_points_in(caller *self)
{
    stele_resume_point point = STELE_RESUME_POINT_INIT;
    const stele_resume_record *record = NULL;
    stele_transaction *transaction = NULL;
    point.execution = self->stream;
    stele_status status = stele_transaction_begin(store, &transaction);
    if (status == STELE_OK)
        status = stele_transaction_resume_point_save(transaction, &point, NULL);
    if (status == STELE_OK)
        status = stele_transaction_resume_point_load(transaction, NULL, self->stream, &record);
    stele_resume_record_close(record);
    if (status == STELE_OK)
        status = stele_transaction_resume_point_delete(transaction, NULL, self->stream, NULL);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    return status;
}

static inline stele_status use_slot(stele_session_memory *memory, const stele_identity *identity)
{
    const stele_session_turns *turns = NULL;
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_session_state state = STELE_SESSION_HEALTHY;
    stele_status status = stele_session_add(memory, identity, "user", "hello");
    if (status == STELE_OK)
        status = stele_session_read(memory, identity, &turns);
    stele_session_turns_close(turns);
    if (status == STELE_OK)
        status = stele_session_snapshot(memory, identity, &buffer);
    if (status == STELE_OK)
        status = stele_session_restore(memory, identity, buffer.data, buffer.size);
    stele_buffer_dispose(&buffer);
    if (status == STELE_OK)
        status = stele_session_health(memory, identity, &state, NULL);
    return status == STELE_OK ? stele_session_flush(memory, identity) : status;
}

static inline stele_status call_session(caller *self)
{
    stele_session_options options = STELE_SESSION_OPTIONS_INIT;
    stele_identity identity = STELE_IDENTITY_INIT;
    stele_session_memory *memory = NULL;
    options.strategy = "truncation";
    identity.tenant = identity.user = identity.session = self->stream;
    stele_status status = stele_session_open(store, &options, &memory);
    if (status == STELE_OK)
        status = use_slot(memory, &identity);
    stele_session_close(memory);
    return status;
}

#endif
