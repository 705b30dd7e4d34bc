#include "loan_events.h"

static const stele_field event_fields[] = {
    STELE_F(loan_event, amount, "amount_req", STELE_OPTIONAL | STELE_OR_NUMBER),
};
STELE_TYPE(submitted_type, loan_event, "A_SUBMITTED", 1, event_fields);
STELE_TYPE(approved_type, loan_event, "A_APPROVED", 1, event_fields);
STELE_TYPE(declined_type, loan_event, "A_DECLINED", 1, event_fields);
STELE_TYPE(cancelled_type, loan_event, "A_CANCELLED", 1, event_fields);

static const stele_field transition_fields[] = {
    STELE_F(loan_text, text, "transition", STELE_OPTIONAL | STELE_OR_NUMBER),
};
static const stele_field resource_fields[] = {
    STELE_F(loan_text, text, "resource", STELE_OPTIONAL | STELE_OR_NUMBER),
};
STELE_TYPE(transition_type, loan_text, "transition", 1, transition_fields);
STELE_TYPE(resource_type, loan_text, "resource", 1, resource_fields);

stele_status register_events(stele_store *store)
{
    static const stele_type *const types[] = { &submitted_type, &approved_type, &declined_type,
                                               &cancelled_type };
    stele_status status = STELE_OK;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && status == STELE_OK; i++)
        status = stele_store_register_type(store, types[i]);
    return status;
}

/* What went wrong in the data doesn't matter here: then there is none. */
static stele_status forgive(stele_status status)
{
    return status == STELE_NO_MEMORY || status == STELE_CLOSED ? status : STELE_OK;
}

stele_status read_as(stele_store *store, const stele_record *record, const stele_type *type,
                     void *value_out)
{
    return forgive(stele_record_decode_as(store, record, type, value_out, NULL));
}

stele_status read_event(stele_store *store, const stele_record *record, loan_event *event_out)
{
    const stele_type *type = NULL;
    stele_status status = stele_store_type(store, record->type, 1, &type);
    *event_out = (loan_event){ 0 };
    if (type == &submitted_type || record->version == 1)
        status = stele_record_decode_as(store, record, &submitted_type, event_out, NULL);
    event_out->type = type;
    return forgive(status);
}
