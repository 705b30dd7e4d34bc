/*
 * What an assistant remembers: the latest turns of each session, kept apart by tenant, user and
 * session, and through restarts.
 *
 *     session_memory [STORE]
 */
#include <inttypes.h>
#include <stdio.h>

#include <stele.h>

/* What somebody says, and an answer to it. */
static stele_status talk(stele_session_memory *memory, const stele_identity *who, const char *text)
{
    char answer[200];
    snprintf(answer, sizeof(answer), "You said: %s", text);
    stele_status status = stele_session_add(memory, who, "user", text);
    return status == STELE_OK ? stele_session_add(memory, who, "assistant", answer) : status;
}

/* What would be sent to a model, the oldest first. */
static stele_status show_context(stele_session_memory *memory, const stele_identity *who)
{
    const stele_session_turns *turns = NULL;
    stele_status status = stele_session_read(memory, who, &turns);
    if (status != STELE_OK)
        return status;
    printf("%s of %s, %zu turns:\n", who->user, who->tenant, turns->count);
    for (size_t i = 0; i < turns->count; i++)
        printf("  %s: %s\n", turns->turns[i].role, turns->turns[i].text);
    stele_session_turns_close(turns);
    return STELE_OK;
}

/* A request whose user got lost on its way here must not end up in anybody's memory. */
static stele_status ask_as_nobody(stele_session_memory *memory)
{
    stele_identity nobody = STELE_IDENTITY_INIT;
    nobody.tenant = "acme";
    nobody.session = "monday";
    stele_status status = stele_session_add(memory, &nobody, "user", "who am I?");
    printf("refused: %s\n", stele_error_text());
    return status == STELE_MISUSE ? STELE_OK : status;
}

static stele_status show_refusals(stele_store *store)
{
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    const stele_record *record;
    read.stream = "session_audit";
    stele_status status = stele_store_read(store, &read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK)
        printf("audit %" PRId64 ": %s\n", record->version, (const char *)record->data);
    stele_cursor_close(cursor);
    return status;
}

static stele_status use_memory(stele_session_memory *memory)
{
    stele_identity ada = STELE_IDENTITY_INIT, bob = STELE_IDENTITY_INIT;
    ada.tenant = bob.tenant = "acme";
    ada.session = bob.session = "monday";
    ada.user = "ada";
    bob.user = "bob";
    stele_status status = talk(memory, &ada, "My name is Ada.");
    if (status == STELE_OK)
        status = talk(memory, &bob, "My name is Bob.");
    if (status == STELE_OK)
        status = talk(memory, &ada, "What is my name?");
    if (status == STELE_OK)
        status = show_context(memory, &ada);
    if (status == STELE_OK)
        status = show_context(memory, &bob);
    return status == STELE_OK ? ask_as_nobody(memory) : status;
}

int main(int argc, char **argv)
{
    stele_store *store = NULL;
    stele_session_memory *memory = NULL;
    stele_session_options options = STELE_SESSION_OPTIONS_INIT;
    options.strategy = "truncation";
    options.turn_count_max = 6;
    stele_status status =
        stele_store_open(argc > 1 ? argv[1] : "session_memory.stele", NULL, &store);
    if (status == STELE_OK)
        status = stele_session_open(store, &options, &memory);
    if (status == STELE_OK)
        status = use_memory(memory);
    if (status == STELE_OK)
        status = show_refusals(store);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_session_close(memory);
    stele_store_close(store);
    return status < 0;
}
