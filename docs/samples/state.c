/*
 * A job's progress beside the log: taken on where it was, written at the revision it was read at,
 * and safe to write again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stele.h>

/* One more step of the job. CONFLICT: somebody else has done it. */
static stele_status do_step(stele_store *store, const char *scope, const char *job)
{
    const stele_entry *entry = NULL;
    stele_status status = stele_state_get(store, scope, job, &entry);
    if (status != STELE_OK)
        return status;

    char step[32];
    char attempt[96];
    int64_t revision = entry->found ? entry->revision : STELE_NO_ENTRY;
    snprintf(step, sizeof(step), "%ld", entry->found ? strtol(entry->data, NULL, 10) + 1 : 1L);
    snprintf(attempt, sizeof(attempt), "%s/step-%s", job, step);
    stele_entry_close(entry);

    stele_put put = STELE_PUT_INIT;
    put.scope = scope;
    put.key = job;
    put.expected_revision = revision;
    put.codec = "json";
    put.data = step;
    put.data_size = strlen(step);
    put.write_id = attempt;

    stele_written written;
    status = stele_state_put(store, &put, &written);
    if (status == STELE_OK)
        printf("%s is at step %s, revision %" PRId64 "\n", job, step, written.revision);

    /* The answer got lost, say: the same write again changes nothing. */
    if (status == STELE_OK)
        status = stele_state_put(store, &put, &written);
    if (status == STELE_OK && !written.duplicate)
        fputs("written twice\n", stderr);
    return status;
}

int main(void)
{
    char scope[STELE_SCOPE_SIZE_MAX + 1];
    stele_identity identity = STELE_IDENTITY_INIT;
    identity.tenant = "acme";
    identity.user = "eve@example.org";
    identity.session = "2026-05-17";

    stele_store *store = NULL;
    stele_status status = stele_identity_scope(&identity, scope, sizeof(scope));
    if (status == STELE_OK)
        status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        printf("in %s\n", scope);
    for (int i = 0; i < 3 && status == STELE_OK; i++)
        status = do_step(store, scope, "import");
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
