/* An anchor for a store that was put into its place whole, by a move or from a backup. */
#include <string.h>

#include "base/failure.h"
#include "base/platform.h"
#include "store/anchoring.h"

/* What it says of itself, by its file alone. */
static stele_status read_placed_facts(const char *path, stele__anchor_facts *facts)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_store *store = NULL;
    options.read_only = true;
    options.immutable = true;
    options.must_exist = true;
    *facts = (stele__anchor_facts){ 0 };
    stele_status status = stele__store_open(path, &options, &store);
    if (status == STELE_OK) {
        memcpy(facts->uuid, store->uuid, sizeof(facts->uuid));
        memcpy(facts->epoch, store->epoch, sizeof(facts->epoch));
        status = stele__anchoring_head(store->idle_readers->database, facts);
    }
    stele_store_close(store); /* keeps the error text */
    return status;
}

void stele__anchoring_place(const char *path)
{
    char error[STELE__ERROR_SIZE];
    stele__anchor *anchor = NULL;
    stele__anchor_facts facts;
    stele__anchor_facts before;
    bool found = false;
    stele__keep_error(error);
    stele_status status = read_placed_facts(path, &facts);
    if (status == STELE_OK)
        status = stele__anchor_open(path, &anchor, &found, &before);
    if (status == STELE_OK)
        status = stele__anchor_write(anchor, &facts);
    stele__anchor_close(anchor);
    if (status != STELE_OK)
        stele__log(STELE_LOG_WARNING, "'%s' goes without an anchor until it is written to: %s",
                   path, stele_error_text());
    stele__restore_error(error);
}
