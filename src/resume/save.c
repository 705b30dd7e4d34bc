/* Saving and deleting the resume points of executions. */
#include <stele/resume_point.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele/codec.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "resume/document.h"
#include "state/own.h"
#include "store/store.h"

void stele_resume_point_init(stele_resume_point *point)
{
    *point = (stele_resume_point)STELE_RESUME_POINT_INIT;
}

/* --- Whose point --- */

stele_status stele__resume_find_space(const char *space, stele__resume_place *place_out)
{
    if (space == NULL)
        space = "default";
    stele_status status = stele__check_name("space", space);
    if (status == STELE_OK)
        snprintf(place_out->scope, sizeof(place_out->scope), STELE__RESUME_SCOPE "%s", space);
    return status;
}

stele_status stele__resume_find(const char *space, const char *execution,
                                stele__resume_place *place_out)
{
    stele_status status = stele__resume_find_space(space, place_out);
    place_out->execution = execution;
    return status == STELE_OK ? stele__check_name("execution", execution) : status;
}

/* --- Saving --- */

stele_status stele__resume_check_text(const char *what, const char *text)
{
    if (text == NULL || stele__utf8_valid(text, strlen(text)))
        return STELE_OK;
    return stele__fail(STELE_MISUSE, "the %s of the point is not UTF-8", what);
}

static stele_status check_point_numbers(const stele_resume_point *point)
{
    if (point->iteration < 0)
        return stele__fail(STELE_MISUSE, "the iteration is %" PRId64, point->iteration);
    if (point->attempt < 0)
        return stele__fail(STELE_MISUSE, "the attempt is %" PRId64, point->attempt);
    return STELE_OK;
}

static stele_status take_point(const stele_resume_point *given, stele_resume_point *point,
                               stele__resume_place *place, int64_t *actual_out)
{
    *point = (stele_resume_point)STELE_RESUME_POINT_INIT;
    if (actual_out != NULL)
        *actual_out = 0;
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "the point is NULL");
    stele_status status = stele__options_take("stele_resume_point", given, point, sizeof(*point));
    if (status == STELE_OK)
        status = stele__resume_find(point->space, point->execution, place);
    if (status == STELE_OK)
        status = stele__resume_check_text("step", point->step);
    if (status == STELE_OK)
        status = stele__resume_check_text("spec_version", point->spec_version);
    if (status == STELE_OK)
        status = check_point_numbers(point);
    if (status == STELE_OK && point->payload == NULL && point->payload_size > 0)
        status =
            stele__fail(STELE_MISUSE, "the payload is NULL, and its size %zu", point->payload_size);
    return status;
}

/* What can't be stored isn't encoded: others would wait for that. */
static stele_status check_point_size(const stele_store *store, const stele_resume_point *point)
{
    size_t size_max = store->options.value_size_max;
    size_t texts = (point->step == NULL ? 0 : strlen(point->step))
                   + (point->spec_version == NULL ? 0 : strlen(point->spec_version));
    if (point->payload_size <= size_max && texts <= size_max - point->payload_size)
        return STELE_OK;
    return stele__fail(STELE_TOO_LARGE,
                       "a payload of %zu and texts of %zu bytes are beyond value_size_max, %zu",
                       point->payload_size, texts, size_max);
}

/* Before the write lock is asked for. */
static stele_status check_point_before(stele_store *store, const stele_resume_point *point)
{
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = check_point_size(store, point);
    stele__store_leave(store);
    return status;
}

/* In a transaction, which holds it. */
static stele_status check_point_within(stele_transaction *transaction,
                                       const stele_resume_point *point)
{
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = check_point_size(transaction->store, point);
    stele__transaction_leave(transaction);
    return status;
}

/* The user's clock may only be asked under the write lock. */
static stele_status read_resume_clock(stele_transaction *transaction, int64_t *now_out)
{
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    *now_out = stele__store_now(transaction->store);
    stele__transaction_leave(transaction);
    return STELE_OK;
}

stele_status stele__resume_put(stele_transaction *transaction, const stele__resume_place *place,
                               const stele__resume_document *document,
                               const stele_attribute *attributes, size_t attribute_count,
                               size_t attribute_size)
{
    stele_buffer data = STELE_BUFFER_INIT;
    stele_put put = STELE_PUT_INIT;
    stele_status status =
        stele_type_encode(&stele__resume_document_type, document, stele_codec_cbor(), &data, NULL);
    if (status == STELE_OK) {
        put.scope = place->scope;
        put.key = place->execution;
        put.codec = "cbor";
        put.data = data.data;
        put.data_size = data.size;
        put.attributes = attributes;
        put.attribute_count = attribute_count;
        put.attribute_size = attribute_size;
        status = stele__transaction_own_put(transaction, &put, NULL);
    }
    stele_buffer_dispose(&data);
    return status;
}

/* An attempt of 0: there is no point. One that is damaged is none to who saves by force, and of
 * whichever attempt that says. */
static stele_status read_resume_head(stele_transaction *transaction,
                                     const stele__resume_place *place, bool force,
                                     stele__resume_head *head_out, bool *damaged_out)
{
    const stele_entry *entry = NULL;
    *head_out = (stele__resume_head){ 0 };
    stele_status status =
        stele_transaction_state_get(transaction, place->scope, place->execution, &entry);
    if (status == STELE_OK && entry->found)
        status = stele__resume_decode(entry, &stele__resume_head_type, head_out);
    stele_entry_close(entry);
    *damaged_out = status == STELE_CORRUPT;
    return *damaged_out && force ? STELE_OK : status;
}

/* A late worker may be at the iteration of its successor, or behind the end of the execution. */
static stele_status check_attempt(const stele__resume_place *place, const stele_resume_point *point,
                                  const stele__resume_head *head)
{
    if (point->attempt == 0 || point->attempt == head->attempt)
        return STELE_OK;
    if (head->attempt != 0)
        return stele__fail(STELE_FENCED,
                           "the execution '%s' is at attempt %" PRId64 ", not %" PRId64,
                           place->execution, head->attempt, point->attempt);
    if (point->attempt == 1)
        return STELE_OK;
    return stele__fail(STELE_FENCED,
                       "the execution '%s' has no point any more to save attempt %" PRId64 " over",
                       place->execution, point->attempt);
}

static stele_status check_iteration(const stele__resume_place *place,
                                    const stele_resume_point *point, const stele__resume_head *head,
                                    int64_t *actual_out)
{
    if (point->force || head->iteration <= point->iteration)
        return STELE_OK;
    if (actual_out != NULL)
        *actual_out = head->iteration;
    return stele__fail(STELE_CONFLICT,
                       "the point of execution '%s' is at iteration %" PRId64 ", beyond %" PRId64,
                       place->execution, head->iteration, point->iteration);
}

/* Encoding only reads what is borrowed from the caller. */
static char *borrow_text(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : (char *)text;
}

static stele_status write_point(stele_transaction *transaction, const stele__resume_place *place,
                                const stele_resume_point *point, const stele__resume_head *head)
{
    int64_t now = 0;
    stele_status status = read_resume_clock(transaction, &now);
    if (status != STELE_OK)
        return status;
    bool first = head->attempt == 0;
    stele__resume_document document = {
        .head = { .execution = borrow_text(place->execution),
                  .iteration = point->iteration,
                  .started_at = point->started_at != 0 ? point->started_at
                                : first                ? now
                                                       : head->started_at,
                  .attempt = !first               ? head->attempt
                             : point->attempt > 1 ? point->attempt
                                                  : 1 },
        .step = borrow_text(point->step),
        .payload = { (unsigned char *)point->payload, point->payload_size },
        .spec_version = borrow_text(point->spec_version),
        .saved_at = point->saved_at != 0 ? point->saved_at : now,
    };
    return stele__resume_put(transaction, place, &document, point->attributes,
                             point->attribute_count, point->attribute_size);
}

static stele_status save_point(stele_transaction *transaction, const stele__resume_place *place,
                               const stele_resume_point *point, int64_t *actual_out)
{
    bool damaged = false;
    stele__resume_head head;
    stele_status status = read_resume_head(transaction, place, point->force, &head, &damaged);
    if (status == STELE_OK && !damaged)
        status = check_attempt(place, point, &head);
    if (status == STELE_OK)
        status = check_iteration(place, point, &head, actual_out);
    if (status == STELE_OK)
        status = write_point(transaction, place, point, &head);
    stele_type_clear(&stele__resume_head_type, &head);
    return status;
}

stele_status stele_resume_point_save(stele_store *store, const stele_resume_point *point,
                                     int64_t *actual_out)
{
    stele_resume_point taken;
    stele__resume_place place;
    stele_transaction *transaction = NULL;
    stele_status status = take_point(point, &taken, &place, actual_out);
    if (status == STELE_OK)
        status = check_point_before(store, &taken);
    if (status == STELE_OK)
        status = stele_transaction_begin_wait(store, taken.wait, &transaction);
    if (status == STELE_OK)
        status = save_point(transaction, &place, &taken, actual_out);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    return status;
}

stele_status stele_transaction_resume_point_save(stele_transaction *transaction,
                                                 const stele_resume_point *point,
                                                 int64_t *actual_out)
{
    stele_resume_point taken;
    stele__resume_place place;
    stele_status status = take_point(point, &taken, &place, actual_out);
    if (status == STELE_OK)
        status = check_point_within(transaction, &taken);
    return status == STELE_OK ? save_point(transaction, &place, &taken, actual_out) : status;
}

/* --- Deleting --- */

static stele_status delete_point(stele_transaction *transaction, const stele__resume_place *place,
                                 bool *found_out)
{
    stele_remove what = STELE_REMOVE_INIT;
    stele_written written = { 0 };
    what.scope = place->scope;
    what.key = place->execution;
    stele_status status = stele__transaction_own_delete(transaction, &what, &written);
    if (status == STELE_OK && found_out != NULL)
        *found_out = written.found;
    return status;
}

static stele_status check_resume_delete(const char *space, const char *execution,
                                        stele__resume_place *place, bool *found_out)
{
    if (found_out != NULL)
        *found_out = false;
    return stele__resume_find(space, execution, place);
}

stele_status stele_resume_point_delete(stele_store *store, const char *space, const char *execution,
                                       bool *found_out)
{
    stele__resume_place place;
    bool found = false;
    stele_transaction *transaction = NULL;
    stele_status status = check_resume_delete(space, execution, &place, found_out);
    if (status == STELE_OK)
        status = stele_transaction_begin(store, &transaction);
    if (status == STELE_OK)
        status = delete_point(transaction, &place, &found);
    if (status == STELE_OK && found)
        status = stele_transaction_commit(transaction);
    if (status == STELE_OK && found_out != NULL)
        *found_out = found;
    stele_transaction_end(transaction);
    return status;
}

stele_status stele_transaction_resume_point_delete(stele_transaction *transaction,
                                                   const char *space, const char *execution,
                                                   bool *found_out)
{
    stele__resume_place place;
    stele_status status = check_resume_delete(space, execution, &place, found_out);
    return status == STELE_OK ? delete_point(transaction, &place, found_out) : status;
}
