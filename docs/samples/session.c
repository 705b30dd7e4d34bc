/*
 * The memory of a session: the latest turns are kept, the slot can be taken along as bytes, and who
 * doesn't say who they are is refused.
 */
#include <stdio.h>

#include <stele.h>

static stele_status show_slot(stele_session_memory *memory, const stele_identity *who)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_status status = stele_session_snapshot(memory, who, &buffer);
    if (status == STELE_OK)
        printf("%s: %.*s\n", who->user, (int)buffer.size, buffer.data);
    stele_buffer_dispose(&buffer);
    return status;
}

/* Bob goes on where Ada is. */
static stele_status hand_over(stele_session_memory *memory, const stele_identity *from,
                              const stele_identity *to)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_status status = stele_session_snapshot(memory, from, &buffer);
    if (status == STELE_OK)
        status = stele_session_restore(memory, to, buffer.data, buffer.size);
    stele_buffer_dispose(&buffer);
    return status;
}

static stele_status use_memory(stele_session_memory *memory)
{
    stele_identity ada = STELE_IDENTITY_INIT, bob = STELE_IDENTITY_INIT;
    ada.tenant = bob.tenant = "acme";
    ada.session = bob.session = "s1";
    ada.user = "ada";
    bob.user = "bob";
    stele_status status = stele_session_add(memory, &ada, "user", "one");
    if (status == STELE_OK)
        status = stele_session_add(memory, &ada, "assistant", "two");
    if (status == STELE_OK)
        status = stele_session_add(memory, &ada, "user", "three");
    if (status == STELE_OK)
        status = show_slot(memory, &ada);
    if (status == STELE_OK)
        status = hand_over(memory, &ada, &bob);
    if (status == STELE_OK)
        status = stele_session_flush(memory, &ada);
    if (status == STELE_OK)
        status = show_slot(memory, &ada);
    if (status == STELE_OK)
        status = show_slot(memory, &bob);
    bob.session = NULL;
    if (status == STELE_OK && stele_session_flush(memory, &bob) == STELE_MISUSE)
        printf("%s\n", stele_error_text());
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_session_memory *memory = NULL;
    stele_session_options options = STELE_SESSION_OPTIONS_INIT;
    options.strategy = "truncation";
    options.turn_count_max = 2;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = stele_session_open(store, &options, &memory);
    if (status == STELE_OK)
        status = use_memory(memory);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_session_close(memory);
    stele_store_close(store);
    return status < 0;
}
