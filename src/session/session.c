/* Session memory: opening it, and what is done with its slots. */
#include "session/session.h"

#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "state/own.h"

static const char strategy_none[] = "none";
static const char strategy_truncation[] = "truncation";

void stele_session_options_init(stele_session_options *options)
{
    *options = (stele_session_options)STELE_SESSION_OPTIONS_INIT;
}

/* --- Opening --- */

static stele_status check_audit_stream(const char *stream)
{
    stele_status status = stele__check_name("audit_stream", stream);
    if (status == STELE_OK && stream[0] == '$')
        status = stele__fail(STELE_MISUSE, "the audit_stream '%s' is the library's", stream);
    return status;
}

static stele_status take_session_options(const stele_session_options *given,
                                         stele_session_options *options)
{
    *options = (stele_session_options)STELE_SESSION_OPTIONS_INIT;
    stele_status status =
        stele__options_take("stele_session_options", given, options, sizeof(*options));
    if (status != STELE_OK)
        return status;
    if (options->strategy == NULL)
        return stele__fail(STELE_MISUSE, "the strategy is NULL");
    if (options->turn_count_max == 0 || options->slot_size_max == 0)
        return stele__fail(STELE_MISUSE, "%s is 0",
                           options->turn_count_max == 0 ? "turn_count_max" : "slot_size_max");
    return check_audit_stream(options->audit_stream);
}

static stele_status make_memory(stele_store *store, const stele_session_options *options,
                                stele_session_memory **memory_out)
{
    bool keeps = strcmp(options->strategy, strategy_truncation) == 0;
    if (!keeps && strcmp(options->strategy, strategy_none) != 0)
        return stele__fail(STELE_UNSUPPORTED, "there is no strategy '%s', but '%s' and '%s'",
                           options->strategy, strategy_none, strategy_truncation);
    stele_session_memory *memory = stele__allocate_array(1, sizeof(*memory));
    char *audit_stream = stele__copy_text(options->audit_stream);
    if (memory == NULL || audit_stream == NULL) {
        stele__free(memory);
        stele__free(audit_stream);
        return stele__fail(STELE_NO_MEMORY, "no memory for a session memory");
    }
    *memory = (stele_session_memory){ .store = store,
                                      .strategy = keeps ? strategy_truncation : strategy_none,
                                      .keeps = keeps,
                                      .turn_count_max = options->turn_count_max,
                                      .slot_size_max = options->slot_size_max,
                                      .audit_stream = audit_stream };
    stele__store_hold(store);
    *memory_out = memory;
    return STELE_OK;
}

stele_status stele_session_open(stele_store *store, const stele_session_options *options,
                                stele_session_memory **memory_out)
{
    stele_session_options taken;
    if (memory_out == NULL)
        return stele__fail(STELE_MISUSE, "memory_out is NULL");
    *memory_out = NULL;
    stele_status status = take_session_options(options, &taken);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = make_memory(store, &taken, memory_out);
    stele__store_leave(store);
    return status;
}

void stele_session_close(stele_session_memory *memory)
{
    if (memory == NULL)
        return;
    stele__store_release(memory->store);
    stele__free(memory->audit_stream);
    stele__free(memory);
}

/* --- Writing a slot, inside a transaction --- */

static stele_status put_slot(stele_transaction *transaction, const char *scope, const void *data,
                             size_t size)
{
    stele_put put = STELE_PUT_INIT;
    put.scope = scope;
    put.key = STELE__SESSION_KEY;
    put.codec = "json";
    put.data = data;
    put.data_size = size;
    return stele__transaction_own_put(transaction, &put, NULL);
}

static stele_status delete_slot(stele_transaction *transaction, const char *scope)
{
    stele_remove what = STELE_REMOVE_INIT;
    what.scope = scope;
    what.key = STELE__SESSION_KEY;
    return stele__transaction_own_delete(transaction, &what, NULL);
}

/* --- Adding --- */

static stele_status check_turn(const stele_turn *turn)
{
    stele_status status = stele__check_name("role", turn->role);
    if (status != STELE_OK)
        return status;
    if (turn->text == NULL)
        return stele__fail(STELE_MISUSE, "the text is NULL");
    if (!stele__utf8_valid(turn->text, strlen(turn->text)))
        return stele__fail(STELE_MISUSE, "the text is not UTF-8");
    return STELE_OK;
}

static size_t turn_size(const stele_turn *turn)
{
    return strlen(turn->role) + strlen(turn->text);
}

/* What can't be stored isn't written out as JSON: others would wait for that. */
static stele_status check_turn_size(const stele_session_memory *memory, const stele_turn *turn)
{
    uint32_t size_max = memory->store->options.value_size_max;
    size_t size = turn_size(turn);
    if (size <= size_max)
        return STELE_OK;
    return stele__fail(STELE_TOO_LARGE, "a turn of %zu bytes is beyond value_size_max, %" PRIu32,
                       size, size_max);
}

/* From which turn on they are within the bounds; the last one always is. */
static size_t first_kept(const stele_session_memory *memory, const stele_turn *turns, size_t count)
{
    size_t first = count - 1;
    size_t size = turn_size(&turns[first]);
    while (first > 0 && count - first < memory->turn_count_max) {
        size += turn_size(&turns[first - 1]);
        if (size > memory->slot_size_max)
            break;
        first--;
    }
    return first;
}

static stele_status read_slot(const stele_session_memory *memory, const stele_entry *entry,
                              stele__session_slot *slot_out)
{
    *slot_out = (stele__session_slot){ 0 };
    return entry->found ? stele__session_parse(memory, entry->data, entry->data_size, slot_out)
                        : STELE_OK;
}

static stele_status add_turn(const stele_session_memory *memory, stele_transaction *transaction,
                             const char *scope, const stele_turn *turn)
{
    const stele_entry *entry = NULL;
    stele__session_slot slot = { 0 };
    stele__buffer data = { 0 };
    stele_status status =
        stele_transaction_state_get(transaction, scope, STELE__SESSION_KEY, &entry);
    if (status == STELE_OK)
        status = read_slot(memory, entry, &slot);
    if (status == STELE_OK)
        status = stele__buffer_add(&slot.turns, turn, sizeof(*turn));
    if (status == STELE_OK) {
        const stele_turn *turns = (const stele_turn *)(const void *)slot.turns.data;
        size_t count = slot.turns.size / sizeof(*turns);
        size_t first = first_kept(memory, turns, count);
        status = stele__session_write(memory, turns + first, count - first, &data);
    }
    if (status == STELE_OK)
        status = put_slot(transaction, scope, data.data, data.size);
    stele__buffer_dispose(&data);
    stele__session_dispose(&slot);
    stele_entry_close(entry);
    return status;
}

stele_status stele_session_add(stele_session_memory *memory, const stele_identity *identity,
                               const char *role, const char *text)
{
    char scope[STELE_SCOPE_SIZE_MAX + 1];
    stele_turn turn = { role, text };
    stele_transaction *transaction = NULL;
    stele_status status = stele__session_enter(memory, "add", identity, scope);
    if (status == STELE_OK)
        status = check_turn(&turn);
    if (status != STELE_OK || !memory->keeps)
        return status;
    status = check_turn_size(memory, &turn);
    if (status == STELE_OK)
        status = stele_transaction_begin(memory->store, &transaction);
    if (status == STELE_OK)
        status = add_turn(memory, transaction, scope, &turn);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    return status;
}

/* --- Reading --- */

/* What the user has, and what it points to. */
typedef struct turns_holder {
    stele_session_turns turns; /* first */
    stele__session_slot slot;
} turns_holder;

static stele_status make_turns(const stele_session_memory *memory, const stele_entry *entry,
                               const stele_session_turns **turns_out)
{
    turns_holder *holder = stele__allocate_array(1, sizeof(*holder));
    if (holder == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the turns of a session");
    stele_status status = read_slot(memory, entry, &holder->slot);
    if (status != STELE_OK) {
        stele__free(holder);
        return status;
    }
    holder->turns.turns = (const stele_turn *)(const void *)holder->slot.turns.data;
    holder->turns.count = holder->slot.turns.size / sizeof(stele_turn);
    holder->turns.size = holder->slot.size;
    holder->turns.revision = entry->found ? entry->revision : 0;
    *turns_out = &holder->turns;
    return STELE_OK;
}

stele_status stele_session_read(stele_session_memory *memory, const stele_identity *identity,
                                const stele_session_turns **turns_out)
{
    char scope[STELE_SCOPE_SIZE_MAX + 1];
    const stele_entry *entry = NULL;
    if (turns_out != NULL)
        *turns_out = NULL;
    stele_status status = stele__session_enter(memory, "read", identity, scope);
    if (status == STELE_OK && turns_out == NULL)
        status = stele__fail(STELE_MISUSE, "turns_out is NULL");
    if (status == STELE_OK)
        status = stele_state_get(memory->store, scope, STELE__SESSION_KEY, &entry);
    if (status == STELE_OK)
        status = make_turns(memory, entry, turns_out);
    stele_entry_close(entry);
    return status;
}

void stele_session_turns_close(const stele_session_turns *turns)
{
    turns_holder *holder = (turns_holder *)turns;
    if (holder == NULL)
        return;
    stele__session_dispose(&holder->slot);
    stele__free(holder);
}

/* --- The slot as a whole --- */

/* `size` 0: it is to be empty. */
static stele_status replace_slot(stele_session_memory *memory, const char *scope, const void *data,
                                 size_t size)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(memory->store, &transaction);
    if (status == STELE_OK)
        status =
            size == 0 ? delete_slot(transaction, scope) : put_slot(transaction, scope, data, size);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    return status;
}

stele_status stele_session_flush(stele_session_memory *memory, const stele_identity *identity)
{
    char scope[STELE_SCOPE_SIZE_MAX + 1];
    stele_status status = stele__session_enter(memory, "flush", identity, scope);
    return status == STELE_OK ? replace_slot(memory, scope, NULL, 0) : status;
}

stele_status stele_session_snapshot(stele_session_memory *memory, const stele_identity *identity,
                                    stele_buffer *buffer)
{
    char scope[STELE_SCOPE_SIZE_MAX + 1];
    const stele_entry *entry = NULL;
    stele_status status = stele__session_enter(memory, "snapshot", identity, scope);
    if (status == STELE_OK && buffer == NULL)
        status = stele__fail(STELE_MISUSE, "the buffer is NULL");
    if (status == STELE_OK)
        status = stele_state_get(memory->store, scope, STELE__SESSION_KEY, &entry);
    if (status != STELE_OK)
        return status;
    size_t size = buffer->size;
    status = entry->found ? stele__buffer_add(buffer, entry->data, entry->data_size)
                          : stele__session_write(memory, NULL, 0, buffer);
    if (status != STELE_OK)
        buffer->size = size;
    stele_entry_close(entry);
    return status;
}

stele_status stele_session_restore(stele_session_memory *memory, const stele_identity *identity,
                                   const void *data, size_t size)
{
    char scope[STELE_SCOPE_SIZE_MAX + 1];
    stele__session_slot slot = { 0 };
    stele_status status = stele__session_enter(memory, "restore", identity, scope);
    if (status == STELE_OK && data == NULL && size > 0)
        status = stele__fail(STELE_MISUSE, "the snapshot is NULL, and its size %zu", size);
    if (status == STELE_OK && size > 0)
        status = stele__session_parse(memory, data, size, &slot);
    if (status == STELE_OK)
        status = replace_slot(memory, scope, data, size);
    stele__session_dispose(&slot);
    return status;
}

/* --- Health --- */

stele_status stele_session_health(stele_session_memory *memory, const stele_identity *identity,
                                  stele_session_state *state_out, const char **reason_out)
{
    char scope[STELE_SCOPE_SIZE_MAX + 1];
    const stele_entry *entry = NULL;
    stele__session_slot slot = { 0 };
    if (state_out != NULL)
        *state_out = STELE_SESSION_HEALTHY;
    if (reason_out != NULL)
        *reason_out = "";
    stele_status status = stele__session_enter(memory, "health", identity, scope);
    if (status == STELE_OK && state_out == NULL)
        status = stele__fail(STELE_MISUSE, "state_out is NULL");
    if (status != STELE_OK)
        return status;
    status = stele_state_get(memory->store, scope, STELE__SESSION_KEY, &entry);
    if (status == STELE_OK)
        status = read_slot(memory, entry, &slot);
    stele__session_dispose(&slot);
    stele_entry_close(entry);
    if (status != STELE_CORRUPT && status != STELE_INVALID)
        return status;
    *state_out = STELE_SESSION_DEGRADED;
    if (reason_out != NULL)
        *reason_out = stele_error_text();
    return STELE_OK;
}
