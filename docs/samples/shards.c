/* The C of docs/shards.md. */
#include <stele.h>

#include <stdio.h>

static stele_status note_order(stele_shards *shards, const char *tenant, const char *order)
{
    stele_shard *shard = NULL;
    stele_status status = stele_shards_acquire(shards, tenant, "orders", NULL, &shard);
    if (status != STELE_OK)
        return status;
    stele_event event = { .type = "order-placed", .data = "{}", .data_size = 2 };
    stele_append append = STELE_APPEND_INIT;
    append.stream = order;
    append.events = &event;
    append.event_count = 1;
    status = stele_store_append(stele_shard_store(shard), &append, NULL);
    stele_shard_release(shard);
    return status;
}

static stele_status print_task(void *context, const stele_keyed *keyed)
{
    fprintf(context, "%s: %.*s\n", keyed->key, (int)keyed->data_size, (const char *)keyed->data);
    return STELE_OK;
}

static stele_status note_task(stele_shards *shards, const char *tenant)
{
    stele_status status = stele_shards_put(shards, tenant, "task/orders/42", "pack it", 7);
    if (status == STELE_OK)
        status = stele_shards_keys(shards, tenant, "task/", print_task, stdout);
    return status;
}

int main(int argc, char **argv)
{
    stele_shards *shards = NULL;
    stele_status status = stele_shards_open(argc > 1 ? argv[1] : "tenants", NULL, &shards);
    if (status == STELE_OK)
        status = note_order(shards, "acme", "order-1");
    if (status == STELE_OK)
        status = note_order(shards, "Globex Ltd.", "order-1");
    if (status == STELE_OK)
        status = note_task(shards, "acme");
    if (status != STELE_OK)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_shards_close(shards);
    return status == STELE_OK ? 0 : 1;
}
