/*
 * Sequencers on the stores of shards. `shards->sequencing` is held while one is put on or taken
 * off, so that the maker and what each store has fit together; it is taken before `mutex`. What a
 * slot keeps for it is there from begin to end, also when there is no maker.
 */
#include "shard/sequence.h"

#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "shard/shard.h"

/* Of an open store. */
typedef struct slot_sequencer {
    const stele__sequencer_maker *maker; /* of what it has; NULL: nothing */
    stele__sequencing sequencing;
    bool is_shut; /* and yet to be taken off */
    /* In its place when that couldn't be made. */
    bool refuses;
    struct refusing_sequencer {
        stele__sequencer sequencer;
        stele_status status;
        char text[STELE__ERROR_SIZE];
    } refusal;
} slot_sequencer;

static stele_status propose_to_refusal(stele__sequencer *sequencer, stele_store *store,
                                       const stele__change *change)
{
    struct refusing_sequencer *refusal = (struct refusing_sequencer *)sequencer;
    (void)store;
    (void)change;
    return stele__fail(refusal->status, "this shard has no sequencer: %s", refusal->text);
}

/* What a store has while one takes the place of another: nothing may be written past both. */
static stele_status propose_to_nobody(stele__sequencer *sequencer, stele_store *store,
                                      const stele__change *change)
{
    (void)sequencer;
    (void)store;
    (void)change;
    return stele__fail(STELE_BUSY, "the sequencer of this shard is just being set");
}

static stele__sequencer nobody = { propose_to_nobody, true };

/* Take off what the store has: `instead` is there then. On failure it has it still. */
static stele_status take_off(stele__shard_slot *slot, slot_sequencer *own,
                             stele__sequencer *instead)
{
    if (own->maker == NULL && !own->refuses && instead == NULL)
        return STELE_OK;
    if (own->maker != NULL && own->maker->shut != NULL)
        own->maker->shut(own->maker->context, &own->sequencing);
    own->is_shut = own->maker != NULL || own->refuses;
    stele_status status = stele__sequencer_set(slot->store, instead);
    if (status != STELE_OK && status != STELE_CLOSED)
        return status;
    if (own->maker != NULL)
        own->maker->close(own->maker->context, &own->sequencing);
    *own = (slot_sequencer){ .refuses = instead != NULL };
    return STELE_OK;
}

static stele_status put_on(stele__shard_slot *slot, slot_sequencer *own,
                           const stele__sequencer_maker *maker)
{
    stele__sequencing made = { 0 };
    stele_status status =
        maker->open(maker->context, slot->store, slot->organisation, slot->name_space, &made);
    if (status == STELE_OK) {
        status = stele__sequencer_set(slot->store, made.sequencer);
        if (status == STELE_OK) {
            *own = (slot_sequencer){ .maker = maker, .sequencing = made };
            return STELE_OK;
        }
        char text[STELE__ERROR_SIZE];
        stele__keep_error(text);
        maker->close(maker->context, &made);
        stele__restore_error(text);
    }
    return stele__fail_within(status, "shard '%s'", slot->path);
}

/* Nothing may be written past a sequencer that couldn't be made: in place of `nobody`. */
static void refuse_writing(stele__shard_slot *slot, slot_sequencer *own, stele_status status)
{
    own->refusal.sequencer = (stele__sequencer){ propose_to_refusal, true };
    own->refusal.status = status;
    stele__keep_error(own->refusal.text);
    stele__sequencer_set(slot->store, &own->refusal.sequencer);
    stele__restore_error(own->refusal.text);
}

static stele_status change_sequencer(stele__shard_slot *slot, const stele__sequencer_maker *maker)
{
    slot_sequencer *own = slot->sequencer;
    if (slot->store->options.read_only) /* there is nothing to be put in order */
        return STELE_OK;
    if (own->maker == maker && !own->refuses && !own->is_shut)
        return STELE_OK;
    stele_status status = take_off(slot, own, maker == NULL ? NULL : &nobody);
    if (status != STELE_OK || maker == NULL)
        return status;
    status = put_on(slot, own, maker);
    if (status != STELE_OK)
        refuse_writing(slot, own, status);
    return status;
}

stele_status stele__shard_sequence_begin(stele_shards *shards, stele__shard_slot *slot)
{
    slot_sequencer *own = stele__allocate_array(1, sizeof(*own));
    stele_status status = STELE_OK;
    if (own == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for an open shard");
    pthread_mutex_lock(&shards->sequencing);
    if (shards->sequencers != NULL && !slot->store->options.read_only)
        status = put_on(slot, own, shards->sequencers);
    if (status == STELE_OK)
        slot->sequencer = own;
    pthread_mutex_unlock(&shards->sequencing);
    if (status != STELE_OK)
        stele__free(own);
    return status;
}

void stele__shard_sequence_end(stele_shards *shards, stele__shard_slot *slot)
{
    pthread_mutex_lock(&shards->sequencing);
    slot_sequencer *own = slot->sequencer;
    slot->sequencer = NULL;
    stele_status status = own != NULL ? take_off(slot, own, NULL) : STELE_OK;
    while (status == STELE_BUSY) /* somebody has the writer's turn: it passes */
        status = take_off(slot, own, NULL);
    pthread_mutex_unlock(&shards->sequencing);
    if (status == STELE_OK) /* else the store points to it until it is closed */
        stele__free(own);
}

/* With `sequencing` held: those that have begun, which can't end meanwhile. */
static stele_status collect_slots(stele_shards *shards, stele__shard_slot ***slots_out,
                                  size_t *count_out)
{
    size_t count = 0;
    pthread_mutex_lock(&shards->mutex);
    stele__shard_slot **slots =
        stele__allocate_array(shards->slot_count + 1, sizeof(stele__shard_slot *));
    for (size_t i = 0; slots != NULL && i < shards->chain_count; i++)
        for (stele__shard_slot *slot = shards->chains[i]; slot != NULL; slot = slot->next)
            if (slot->sequencer != NULL && count < shards->slot_count)
                slots[count++] = slot;
    pthread_mutex_unlock(&shards->mutex);
    *slots_out = slots;
    *count_out = count;
    return slots != NULL ? STELE_OK : stele__fail(STELE_NO_MEMORY, "no memory for a list");
}

stele_status stele__shards_sequence(stele_shards *shards, const stele__sequencer_maker *maker)
{
    stele__shard_slot **slots = NULL;
    size_t count = 0;
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    char text[STELE__ERROR_SIZE] = "";
    pthread_mutex_lock(&shards->sequencing);
    status = collect_slots(shards, &slots, &count);
    if (status == STELE_OK)
        shards->sequencers = maker;
    for (size_t i = 0; i < count; i++) {
        stele_status one = change_sequencer(slots[i], maker);
        if (one == STELE_OK || status != STELE_OK)
            continue;
        status = one;
        stele__keep_error(text);
    }
    pthread_mutex_unlock(&shards->sequencing);
    stele__free(slots);
    stele__shards_leave(shards);
    if (status != STELE_OK && text[0] != '\0')
        stele__restore_error(text);
    return status;
}

const stele__sequencer_maker *stele__shards_sequence_get(stele_shards *shards)
{
    pthread_mutex_lock(&shards->sequencing);
    const stele__sequencer_maker *maker = shards->sequencers;
    pthread_mutex_unlock(&shards->sequencing);
    return maker;
}

void *stele__shard_sequence_handle(const stele_shard *shard)
{
    void *handle = NULL;
    pthread_mutex_lock(&shard->shards->sequencing);
    const slot_sequencer *own = shard->slot->sequencer;
    if (own != NULL && own->maker != NULL)
        handle = own->sequencing.handle;
    pthread_mutex_unlock(&shard->shards->sequencing);
    return handle;
}

void stele__shard_lane(const char *organisation, const char *name_space, stele__frame_id *lane_out)
{
    for (size_t half = 0; half < 2; half++) {
        stele__digest digest;
        stele__digest_init(&digest);
        stele__digest_text(&digest, half == 0 ? "stele lane" : "stele lane, second half");
        stele__digest_text(&digest, organisation);
        stele__digest_text(&digest, name_space);
        uint64_t hash = stele__digest_end(&digest);
        for (size_t i = 0; i < 8; i++)
            lane_out->bytes[half * 8 + i] = (unsigned char)(hash >> (8 * i));
    }
}

/* --- Replicas --- */

static stele_status open_shard_replica(void *context, stele_store *store, const char *organisation,
                                       const char *name_space, stele__sequencing *sequencing_out)
{
    stele__shard_replicas *replicas = context;
    stele__replica_options options = replicas->options;
    stele__frame_log *log = NULL;
    stele__replica *replica = NULL;
    stele__shard_lane(organisation, name_space, &options.shard);
    stele_status status = replicas->open_log(replicas->context, &options.shard, &log);
    if (status == STELE_OK)
        status = stele__replica_open(store, log, &options, &replica);
    if (status == STELE_OK && replicas->threads) {
        status = stele__replica_start(replica);
        if (status != STELE_OK)
            stele__replica_close(replica);
    }
    if (status == STELE_OK)
        *sequencing_out = (stele__sequencing){ stele__replica_sequencer(replica), replica };
    return status;
}

static void shut_shard_replica(void *context, stele__sequencing *sequencing)
{
    (void)context;
    stele__replica_shut(sequencing->handle);
}

static void close_shard_replica(void *context, stele__sequencing *sequencing)
{
    (void)context;
    stele__replica_close(sequencing->handle);
}

void stele__shard_replicas_init(stele__shard_replicas *replicas)
{
    *replicas = (stele__shard_replicas){ .options = STELE__REPLICA_OPTIONS_INIT };
    replicas->maker.open = open_shard_replica;
    replicas->maker.shut = shut_shard_replica;
    replicas->maker.close = close_shard_replica;
    replicas->maker.context = replicas;
}
