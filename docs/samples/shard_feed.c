/* The C of docs/shards.md that lists shards and follows them. */
#include <stele.h>

#include <stdio.h>

static stele_status print_shards(stele_shards *shards, const char *organisation)
{
    stele_shards_read read = STELE_SHARDS_READ_INIT;
    stele_shard_list *list = NULL;
    const stele_shard_entry *entry = NULL;
    read.organisation = organisation;
    stele_status status = stele_shards_list(shards, &read, &list);
    while (status == STELE_OK && (status = stele_shard_list_next(list, &entry)) == STELE_OK)
        printf("%s/%s %s\n", entry->organisation, entry->name_space, entry->path);
    stele_shard_list_close(list);
    return status == STELE_DONE ? STELE_OK : status;
}

static void handle_event(stele_shard *shard, const stele_record *record)
{
    printf("%s/%s %s %s\n", stele_shard_organisation(shard), stele_shard_namespace(shard),
           record->stream, record->type);
}

static stele_status follow_shards(stele_shards *shards, const stele_wait *wait)
{
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    stele_feed *feed = NULL;
    const stele_feed_batch *batch = NULL;
    options.name = "invoices";
    stele_status status = stele_feed_open(shards, &options, &feed);
    while (status == STELE_OK && (status = stele_feed_next(feed, wait, &batch)) == STELE_OK) {
        for (size_t i = 0; i < batch->count; i++)
            handle_event(batch->shard, batch->records[i]);
        status = stele_feed_ack(feed);
    }
    stele_feed_close(feed);
    return status;
}

int main(int argc, char **argv)
{
    stele_shards *shards = NULL;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 1000;
    stele_status status = stele_shards_open(argc > 1 ? argv[1] : "tenants", NULL, &shards);
    if (status == STELE_OK)
        status = print_shards(shards, "acme");
    if (status == STELE_OK)
        status = follow_shards(shards, &wait);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_shards_close(shards);
    return status < 0 ? 1 : 0;
}
