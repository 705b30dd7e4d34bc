/* Going on from a resume point: which attempt it is, and whether it is still the same program. */
#include <stele/resume_point.h>

#include <string.h>

#include "base/failure.h"
#include "base/options.h"
#include "resume/document.h"

void stele_resumption_init(stele_resumption *resumption)
{
    *resumption = (stele_resumption)STELE_RESUMPTION_INIT;
}

static bool versions_differ(const char *left, const char *right)
{
    if (left == NULL || left[0] == '\0' || right == NULL || right[0] == '\0')
        return false;
    return strcmp(left, right) != 0;
}

static stele_status count_attempt(stele_transaction *transaction, const stele__resume_place *place,
                                  stele__resume_holder *holder)
{
    const stele_entry *entry = holder->entry;
    stele__resume_head *head = &holder->document.head;
    if (head->attempt < INT64_MAX)
        head->attempt++;
    holder->record.attempt = head->attempt;
    stele_status status =
        stele__resume_put(transaction, place, &holder->document, entry->attributes,
                          entry->attribute_count, sizeof(stele_attribute));
    return status == STELE_OK ? stele_transaction_commit(transaction) : status;
}

static stele_status decide_how(stele_transaction *transaction, const stele__resume_place *place,
                               const stele_resumption *resumption, stele__resume_holder *holder,
                               stele_resume_answer *answer_out)
{
    if (!holder->record.found) {
        *answer_out = STELE_RESUME_FRESH;
        return resumption->must_exist
                   ? stele__fail(STELE_NOT_FOUND, "there is no point of execution '%s' in '%s'",
                                 place->execution, place->scope)
                   : STELE_OK;
    }
    if (versions_differ(resumption->spec_version, holder->record.spec_version)) {
        *answer_out = STELE_RESUME_DRIFT;
        return STELE_OK;
    }
    *answer_out = STELE_RESUME_GO_ON;
    return count_attempt(transaction, place, holder);
}

static stele_status take_resumption(const stele_resumption *given, stele_resumption *resumption,
                                    stele__resume_place *place)
{
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "the resumption is NULL");
    stele_status status =
        stele__options_take("stele_resumption", given, resumption, sizeof(*resumption));
    if (status == STELE_OK)
        status = stele__resume_find(resumption->space, resumption->execution, place);
    return status == STELE_OK ? stele__resume_check_text("spec_version", resumption->spec_version)
                              : status;
}

/* In a transaction of its own. */
static stele_status resume_point(stele_store *store, const stele__resume_place *place,
                                 const stele_resumption *resumption,
                                 stele_resume_answer *answer_out, stele__resume_holder **holder_out)
{
    const stele_entry *entry = NULL;
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin_wait(store, resumption->wait, &transaction);
    if (status == STELE_OK)
        status = stele_transaction_state_get(transaction, place->scope, place->execution, &entry);
    if (status == STELE_OK)
        status = stele__resume_make(entry, holder_out);
    if (status == STELE_OK)
        status = decide_how(transaction, place, resumption, *holder_out, answer_out);
    stele_transaction_end(transaction);
    return status;
}

stele_status stele_resume_point_resume(stele_store *store, const stele_resumption *resumption,
                                       stele_resume_answer *answer_out, int64_t *attempt_out,
                                       const stele_resume_record **record_out)
{
    stele_resumption taken = STELE_RESUMPTION_INIT;
    stele__resume_place place;
    stele__resume_holder *holder = NULL;
    stele_resume_answer answer = STELE_RESUME_FRESH;
    if (answer_out != NULL)
        *answer_out = answer;
    if (attempt_out != NULL)
        *attempt_out = 0;
    if (record_out != NULL)
        *record_out = NULL;
    if (answer_out == NULL || record_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL",
                           answer_out == NULL ? "answer_out" : "record_out");
    stele_status status = take_resumption(resumption, &taken, &place);
    if (status == STELE_OK)
        status = resume_point(store, &place, &taken, &answer, &holder);
    if (status != STELE_OK) {
        stele_resume_record_close(holder == NULL ? NULL : &holder->record);
        return status;
    }
    *answer_out = answer;
    if (attempt_out != NULL)
        *attempt_out = holder->record.found ? holder->record.attempt : 1;
    *record_out = &holder->record;
    return STELE_OK;
}
