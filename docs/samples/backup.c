/* A backup of a store in use, and a store made from it. */
#include <stele.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static stele_status back_up(stele_store *store, const char *path)
{
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = path;
    stele_backed_up made;
    stele_status status = stele_store_backup(store, &backup, &made);
    if (status == STELE_OK)
        printf("a backup up to position %" PRId64 "\n", made.head);
    return status;
}

static stele_status recover(const char *backup, const char *path)
{
    stele_recover recover = STELE_RECOVER_INIT;
    recover.backup = backup;
    recover.path = path;
    stele_recovered made;
    stele_status status = stele_recover_backup(&recover, &made);
    if (status == STELE_OK)
        printf("a new epoch begins after position %" PRId64 "\n", made.head);
    return status;
}

static stele_status append(stele_store *store)
{
    stele_event event = { .type = "OrderPlaced", .data = "{}", .data_size = 2 };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "order-1";
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(store, &append, NULL);
}

int main(void)
{
    char folder[] = "/tmp/stele-backup-XXXXXX";
    if (mkdtemp(folder) == NULL || chdir(folder) != 0)
        return 1;
    stele_store *store = NULL;
    stele_status status = stele_store_open("orders.stele", NULL, &store);
    if (status == STELE_OK)
        status = append(store);
    if (status == STELE_OK)
        status = back_up(store, "backup.stele");
    stele_store_close(store);
    if (status == STELE_OK)
        status = recover("backup.stele", "again.stele");
    if (status != STELE_OK)
        fprintf(stderr, "%s\n", stele_error_text());

    static const char *const left[] = { "orders.stele", "orders.stele-anchor", "orders.stele-lock",
                                        "backup.stele", "again.stele" };
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
        unlink(left[i]);
    rmdir(folder);
    return status == STELE_OK ? 0 : 1;
}
