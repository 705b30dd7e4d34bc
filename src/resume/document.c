#include "resume/document.h"

#include <inttypes.h>
#include <string.h>

#include <stele/codec.h>

#include "base/failure.h"
#include "base/memory.h"

/* Not strict: a later version may store more. */
static const stele_field resume_document_fields[] = {
    STELE_F(stele__resume_document, head.execution, "execution", STELE_REQUIRED),
    STELE_F(stele__resume_document, head.iteration, "iteration", STELE_REQUIRED),
    STELE_F(stele__resume_document, head.started_at, "started_at", STELE_REQUIRED),
    STELE_F(stele__resume_document, head.attempt, "attempt", STELE_REQUIRED),
    STELE_F(stele__resume_document, step, "step", STELE_OPTIONAL),
    STELE_F(stele__resume_document, payload, "payload", STELE_OPTIONAL),
    STELE_F(stele__resume_document, spec_version, "spec_version", STELE_OPTIONAL),
    STELE_F(stele__resume_document, saved_at, "saved_at", STELE_REQUIRED),
};
STELE_TYPE(stele__resume_document_type, stele__resume_document, "stele.resume-point", 1,
           resume_document_fields);

static const stele_field resume_head_fields[] = {
    STELE_F(stele__resume_head, execution, "execution", STELE_REQUIRED),
    STELE_F(stele__resume_head, iteration, "iteration", STELE_REQUIRED),
    STELE_F(stele__resume_head, started_at, "started_at", STELE_REQUIRED),
    STELE_F(stele__resume_head, attempt, "attempt", STELE_REQUIRED),
};
STELE_TYPE(stele__resume_head_type, stele__resume_head, "stele.resume-point", 1,
           resume_head_fields);

static stele_status check_resume_head(const stele_entry *entry, const stele__resume_head *head)
{
    if (strcmp(head->execution, entry->key) != 0)
        return stele__fail(STELE_CORRUPT, "it is of the execution '%s'", head->execution);
    if (head->iteration < 0 || head->attempt < 1)
        return stele__fail(STELE_CORRUPT, "it is at iteration %" PRId64 ", attempt %" PRId64,
                           head->iteration, head->attempt);
    return STELE_OK;
}

stele_status stele__resume_decode(const stele_entry *entry, const stele_type *type,
                                  stele__resume_head *head)
{
    stele_status status =
        stele_type_decode(type, stele_codec_cbor(), entry->data, entry->data_size, head, NULL);
    if (status == STELE_OK) {
        status = check_resume_head(entry, head);
        if (status != STELE_OK)
            stele_type_clear(type, head);
    }
    if (status == STELE_OK)
        return STELE_OK;
    return stele__fail_within(status == STELE_NO_MEMORY ? STELE_NO_MEMORY : STELE_CORRUPT,
                              "the point of execution '%s' in '%s'", entry->key, entry->scope);
}

/* Payloads are lent with a NUL behind them. */
static stele_status end_payload(stele_bytes *payload)
{
    unsigned char *longer = stele__reallocate(payload->data, payload->size + 1);
    if (longer == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a payload of %zu bytes", payload->size);
    longer[payload->size] = '\0';
    payload->data = longer;
    return STELE_OK;
}

static const char *lend_resume_text(const char *text)
{
    return text == NULL ? "" : text;
}

stele_status stele__resume_fill(stele__resume_holder *holder, const stele_entry *entry)
{
    stele__resume_document *document = &holder->document;
    stele__resume_empty(holder);
    if (!entry->found)
        return STELE_OK;
    stele_status status =
        stele__resume_decode(entry, &stele__resume_document_type, &document->head);
    if (status == STELE_OK)
        status = end_payload(&document->payload);
    if (status != STELE_OK) {
        stele__resume_empty(holder);
        return status;
    }
    holder->record =
        (stele_resume_record){ .found = true,
                               .space = entry->scope + strlen(STELE__RESUME_SCOPE),
                               .execution = entry->key,
                               .step = lend_resume_text(document->step),
                               .iteration = document->head.iteration,
                               .payload = document->payload.data,
                               .payload_size = document->payload.size,
                               .attributes = entry->attributes,
                               .attribute_count = entry->attribute_count,
                               .started_at = document->head.started_at,
                               .spec_version = lend_resume_text(document->spec_version),
                               .saved_at = document->saved_at,
                               .attempt = document->head.attempt };
    return STELE_OK;
}

void stele__resume_empty(stele__resume_holder *holder)
{
    stele_type_clear(&stele__resume_document_type, &holder->document);
    holder->record = (stele_resume_record){
        .space = "", .execution = "", .step = "", .payload = "", .spec_version = ""
    };
}
