/*
 * A log copied into a new store: a type renamed, noise left out, and readers that go on there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele.h>

static stele_status rewrite_event(void *context, const stele_record *record, stele_copy_sink *sink)
{
    (void)context;
    if (strcmp(record->type, "Pinged") == 0)
        return STELE_OK; /* nothing is emitted: it is left out */
    if (strcmp(record->type, "OrderMade") != 0)
        return stele_copy_pass(sink, record);
    stele_event event = { 0 };
    event.type = "OrderPlaced";
    event.data = record->data;
    event.data_size = record->data_size;
    return stele_copy_emit(sink, record->stream, &event); /* the time is that of the record */
}

static void show_position(void *context, int64_t position, int64_t first, int64_t last)
{
    (void)context;
    printf("position %" PRId64 " became %" PRId64 " to %" PRId64 "\n", position, first, last);
}

static stele_status fill_source(stele_store *source)
{
    static const char *const types[] = { "OrderMade", "Pinged", "OrderPaid" };
    stele_status status = STELE_OK;
    for (size_t i = 0; i < 3 && status == STELE_OK; i++) {
        stele_event event = { 0 };
        event.type = types[i];
        stele_append append = STELE_APPEND_INIT;
        append.stream = "order-1";
        append.events = &event;
        append.event_count = 1;
        status = stele_store_append(source, &append, NULL);
    }
    return status == STELE_OK ? stele_checkpoint_save(source, "billing", 2) : status;
}

static stele_status copy_all(stele_store *source, stele_store *target)
{
    stele_checkpoint billing;
    stele_copy copy = STELE_COPY_INIT;
    copy.transform = rewrite_event;
    copy.mapped = show_position;
    stele_status status = stele_store_copy(source, target, &copy, NULL);
    if (status == STELE_OK)
        status = stele_checkpoint_load(target, "billing", &billing);
    if (status == STELE_OK)
        printf("billing goes on after position %" PRId64 "\n", billing.position);
    return status;
}

int main(void)
{
    stele_store *source = NULL;
    stele_store *target = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &source);
    if (status == STELE_OK)
        status = stele_store_open(":memory:", NULL, &target);
    if (status == STELE_OK)
        status = fill_source(source);
    if (status == STELE_OK)
        status = copy_all(source, target);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(target);
    stele_store_close(source);
    return status < 0;
}
