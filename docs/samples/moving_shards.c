/* A shard that goes to another root, and a writer that follows it. */
#define _XOPEN_SOURCE 700
#include <stele.h>

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static stele_status append_order(stele_store *store, const char *order)
{
    stele_event event = { .type = "order-placed", .data = "{}", .data_size = 2 };
    stele_append append = STELE_APPEND_INIT;
    append.stream = order;
    append.events = &event;
    append.event_count = 1;
    append.idempotency_key = order;
    return stele_store_append(store, &append, NULL);
}

static stele_status move_orders(stele_shards *shards, const char *root)
{
    stele_shard_move move = STELE_SHARD_MOVE_INIT;
    stele_shard_moved moved;
    move.organisation = "acme";
    move.name_space = "orders";
    move.root = root;
    stele_status status = stele_shards_move(shards, &move, &moved);
    if (status == STELE_OK)
        printf("moved up to position %" PRId64 "\n", moved.head);
    return status;
}

static stele_status note_order(stele_shards *shards, const char *order, char *path, size_t capacity)
{
    stele_shard *shard = NULL;
    stele_status status = stele_shards_acquire(shards, "acme", "orders", NULL, &shard);
    if (status == STELE_OK)
        status = append_order(stele_shard_store(shard), order);
    stele_shard_release(shard);
    if (status == STELE_MOVED
        && stele_shards_moved_to(shards, "acme", "orders", path, capacity) != STELE_OK)
        path[0] = '\0';
    return status;
}

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *where)
{
    (void)facts;
    (void)kind;
    (void)where;
    return remove(path);
}

int main(void)
{
    char folder[] = "/tmp/stele-moving-XXXXXX";
    char roots[2][64];
    char path[512] = "";
    stele_shards *shards[2] = { NULL, NULL };
    stele_status status = STELE_OK;
    if (mkdtemp(folder) == NULL)
        return 1;
    for (int i = 0; i < 2 && status == STELE_OK; i++) {
        snprintf(roots[i], sizeof(roots[i]), "%s/%s", folder, i == 0 ? "old" : "new");
        status = stele_shards_open(roots[i], NULL, &shards[i]);
    }
    if (status == STELE_OK)
        status = note_order(shards[0], "order-1", path, sizeof(path));
    if (status == STELE_OK)
        status = move_orders(shards[0], roots[1]);
    if (status == STELE_OK)
        status = note_order(shards[0], "order-2", path, sizeof(path));
    if (status == STELE_MOVED && strncmp(path, roots[1], strlen(roots[1])) == 0) {
        printf("on to %s\n", path + strlen(folder));
        status = note_order(shards[1], "order-2", path, sizeof(path));
    }
    if (status != STELE_OK)
        fprintf(stderr, "%s\n", stele_error_text());
    stele_shards_close(shards[0]);
    stele_shards_close(shards[1]);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return status == STELE_OK ? 0 : 1;
}
