/*
 * When the anchor is judged and renewed.
 *
 * Two things are written into it, and each only when no loss of power can make it untrue:
 *
 * - A head, once it is durable: that of a commit of our own with full durability (its sync reaches
 *   everything before it in the WAL, whoever wrote that), or of a transfer that was complete.
 * - The WAL's salts, while the WAL holds commits that no transfer has copied. SQLite gives a WAL
 *   other salts only once all of it was copied, so a complete transfer takes them away first, under
 *   the write lock. (SQLite then mostly adds 1, but a commit that doesn't come through can make
 *   it choose new ones.)
 *
 * Every write is a whole new slot, in the turn of the writer and under the write lock.
 */
#include "store/anchoring.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/platform.h"
#include "sqlite/statement.h"

/* The checksum of a row that is a husk by now. Each change that makes husks is followed by an event
 * of its own in the same commit, so that no anchor is ever written while the head is one: what it
 * names was the event, and that it was there is all that can be asked. */
#define HUSK_CHECKSUM INT64_MIN

static bool is_same_event(int64_t found, int64_t named)
{
    return found == named || found == HUSK_CHECKSUM;
}

/* The last event up to a position; zeros for none. */
static stele_status find_event(stele__database *database, int64_t through, int64_t *position_out,
                               int64_t *checksum_out)
{
    *position_out = 0;
    *checksum_out = 0;
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        database,
        "SELECT position, checksum, flags & 3 FROM events WHERE position <= ?1"
        " ORDER BY position DESC LIMIT 1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, through);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        *position_out = stele__column_number(statement, 0);
        *checksum_out = stele__column_number(statement, 2) != 0
                            ? HUSK_CHECKSUM
                            : stele__column_number(statement, 1);
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__anchoring_head(stele__database *database, stele__anchor_facts *facts)
{
    return find_event(database, INT64_MAX, &facts->head, &facts->head_checksum);
}

/* --- Before SQLite --- */

/* An anchor that was left behind by another store: the first WAL of a new one is not to be measured
 * by it. */
static void forget_salts_of_another(const char *path)
{
    stele__anchor *anchor = NULL;
    stele__anchor_facts facts;
    bool found = false;
    stele_status status = stele__anchor_open(path, &anchor, &found, &facts);
    if (status == STELE_OK && found && facts.has_salts) {
        facts.has_salts = false;
        status = stele__anchor_write(anchor, &facts);
    }
    if (status != STELE_OK)
        stele__log(STELE_LOG_WARNING, "the anchor of '%s' can't be renewed: %s", path,
                   stele_error_text());
    stele__anchor_close(anchor);
}

/*
 * Whether the file alone, without any WAL, holds what the anchor names: then nothing of that was in
 * a WAL, and another program may have moved that and begun one of its own. A transfer may be at
 * work, so once is not enough.
 */
static bool is_in_file_alone(const char *path, const stele__anchor_facts *facts)
{
    stele__database_options settings = { .read_only = true, .immutable = true };
    bool found = false;
    for (int i = 0; i < 5 && !found; i++) {
        stele__database *database = NULL;
        int64_t position = 0;
        int64_t checksum = 0;
        if (i > 0)
            stele__sleep_us(20000);
        found = stele__database_open(path, &settings, &database) == STELE_OK
                && find_event(database, facts->head, &position, &checksum) == STELE_OK
                && position == facts->head && is_same_event(checksum, facts->head_checksum);
        stele__database_close(database);
    }
    return found;
}

/* Whether the WAL there is can be the one that the anchor knows. Other processes may write
 * meanwhile: only what stood still can be judged. */
static stele_status compare_wal(const char *path, stele__anchor_facts *before)
{
    bool found = true;
    stele_status status = STELE_OK;
    for (int i = 0; i < 100 && before->has_salts; i++) {
        stele__anchor_facts after;
        uint32_t salts[2];
        bool valid = stele__wal_salts(path, salts);
        if (!valid || stele__wal_salts_follow(before->salts, salts))
            return STELE_OK;
        status = stele__anchor_read(path, &found, &after);
        if (status != STELE_OK || !found)
            return status;
        if (stele__anchor_facts_equal(before, &after) && is_in_file_alone(path, before))
            return STELE_OK;
        if (stele__anchor_facts_equal(before, &after))
            return stele__fail(STELE_CORRUPT,
                               "the WAL beside '%s' belongs to another file or time (its salts are"
                               " %08" PRIx32 "-%08" PRIx32 ", the anchor's %08" PRIx32 "-%08" PRIx32
                               "): put the right one back; if that is lost, move this"
                               " one away and open with accept_loss",
                               path, salts[0], salts[1], before->salts[0], before->salts[1]);
        *before = after;
    }
    return STELE_OK;
}

stele_status stele__anchoring_judge_empty(const char *path)
{
    stele__anchor_facts facts;
    bool found = false;
    if (stele__anchor_read(path, &found, &facts) != STELE_OK || !found || facts.head == 0)
        return STELE_OK;
    return stele__fail(STELE_CORRUPT,
                       "the file is empty, but its anchor names position %" PRId64
                       " of the store %s:"
                       " its WAL is gone; put that back, or open with accept_loss to begin anew",
                       facts.head, facts.uuid);
}

/* Another process may make the file meanwhile, and write to it: what was read while there was none
 * is another store's, and only that is forgotten. */
void stele__anchoring_forget(const char *path)
{
    stele__anchor *anchor = NULL;
    stele__anchor_facts facts;
    stele__anchor_facts now;
    stele__file_facts file;
    bool found = false;
    if (stele__anchor_read(path, &found, &facts) != STELE_OK || !found
        || stele__look_at_file(path, &file) != STELE_OK || file.exists
        || stele__anchor_open(path, &anchor, &found, &now) != STELE_OK)
        return;
    if (stele__anchor_facts_equal(&facts, &now)) {
        stele__log(STELE_LOG_WARNING,
                   "'%s' is new, and the anchor there of another store: %s at position %" PRId64,
                   path, facts.uuid, facts.head);
        now = (stele__anchor_facts){ 0 };
        stele__anchor_write(anchor, &now);
    }
    stele__anchor_close(anchor);
}

stele_status stele__anchoring_judge_wal(const char *path, bool read_only)
{
    stele__anchor_facts facts;
    stele__file_facts file = { 0 };
    bool found = false;
    stele_status status = stele__anchor_read(path, &found, &facts);
    if (status != STELE_OK) /* a reader can do without */
        return read_only && status != STELE_NO_MEMORY ? STELE_OK : status;
    if (!found || !facts.has_salts)
        return STELE_OK;
    status = stele__look_at_file(path, &file);
    if (status != STELE_OK)
        return status;
    if (file.size > 0)
        return compare_wal(path, &facts);
    if (!read_only)
        forget_salts_of_another(path);
    return STELE_OK;
}

/* --- At open --- */

/* Inside a transaction: what the anchor names must be there. Else `lost` says what isn't. */
static stele_status compare_log(stele__database *database, const stele__anchor_facts *facts,
                                char *lost, size_t lost_size)
{
    static const char hint[] = "open it with accept_loss to go on from there";
    int64_t position = 0;
    int64_t checksum = 0;
    int64_t head = 0;
    int64_t head_checksum = 0;
    bool epoch_known = true;
    lost[0] = '\0';
    if (facts->head == 0)
        return STELE_OK;
    stele_status status = stele__epoch_knows(database, facts->epoch, &epoch_known);
    if (status == STELE_OK)
        status = find_event(database, INT64_MAX, &head, &head_checksum);
    if (status == STELE_OK)
        status = find_event(database, facts->head, &position, &checksum);
    if (status == STELE_CORRUPT) {
        snprintf(lost, lost_size, "the event that the anchor names, %" PRId64 ", can't be read",
                 facts->head);
        return STELE_OK;
    }
    if (status != STELE_OK)
        return status;
    if (position != facts->head)
        snprintf(lost, lost_size,
                 "events were lost: the anchor names position %" PRId64 ", the log ends at %" PRId64
                 "; %s",
                 facts->head, head, hint);
    else if (!is_same_event(checksum, facts->head_checksum))
        snprintf(lost, lost_size,
                 "events were lost: position %" PRId64
                 " is another event than the anchor names, and"
                 " the log ends at %" PRId64 "; %s",
                 facts->head, head, hint);
    else if (!epoch_known)
        snprintf(lost, lost_size,
                 "this is an older copy: the anchor names position %" PRId64
                 " of an epoch that it doesn't know, and its log ends at %" PRId64 "; %s",
                 facts->head, head, hint);
    return STELE_OK;
}

/* The head that is left begins a new epoch, durably; from then on the anchor names that. */
static stele_status accept_loss_locked(stele_store *store, stele__patience *patience,
                                       stele__anchor_facts *facts)
{
    stele__database *database = store->writer.database;
    int64_t named = facts->head;
    stele_status status = STELE_OK;
    /* The commit may begin a WAL of other salts: say so before. */
    if (facts->has_salts) {
        facts->has_salts = false;
        status = stele__anchor_write(store->anchor, facts);
    }
    if (status == STELE_OK)
        status = stele__meta_begin_epoch(database, facts->epoch);
    if (status == STELE_OK)
        status = find_event(database, INT64_MAX, &facts->head, &facts->head_checksum);
    if (status == STELE_OK)
        status = stele__settle_outcome(stele__database_commit(database));
    if (status != STELE_OK)
        return status;
    /* Between two accepting processes it doesn't matter whose stays: both are true. */
    status = stele__file_lock(store, patience);
    if (status == STELE_OK)
        status = stele__anchor_write(store->anchor, facts);
    if (status == STELE_OK)
        stele__log(STELE_LOG_NOTICE,
                   "'%s': the loss of events was accepted: the anchor named position %" PRId64
                   ", a new epoch begins after %" PRId64,
                   store->path, named, facts->head);
    return status;
}

static stele_status accept_loss(stele_store *store)
{
    stele__database *database = store->writer.database;
    stele__anchor_facts facts = { 0 };
    bool found = false;
    stele__patience patience;
    stele__patience_begin(&patience, NULL, store->options.busy_timeout_ms, NULL);
    stele_status status = stele__database_sync(database, STELE_DURABILITY_FULL);
    if (status == STELE_OK)
        status = stele__file_lock(store, &patience);
    if (status == STELE_OK)
        status = stele__anchor_look(store->anchor, &found, &facts);
    if (status == STELE_OK && found) /* somebody else may have accepted it since */
        status = compare_log(database, &facts, store->lost, sizeof(store->lost));
    if (status == STELE_OK && found && store->lost[0] != '\0')
        status = accept_loss_locked(store, &patience, &facts);
    stele__write_end_held(store);
    if (status != STELE_OK)
        return status;
    store->lost[0] = '\0';
    store->anchor_head = facts.head;
    status = stele__epoch_current(database, store->epoch);
    if (status != STELE_OK || store->options.durability == STELE_DURABILITY_FULL)
        return status;
    return stele__database_sync(database, STELE_DURABILITY_RELAXED);
}

/* No anchor, or another store's: that may be as it should, or hide anything. `head` is -1 for a log
 * that can't be read. */
static void note_missing(stele_store *store, int64_t head, bool found,
                         const stele__anchor_facts *facts)
{
    store->anchor_sample.fresh = true;
    store->anchor_state = STELE_ANCHOR_MISSING;
    if (head == 0 && (!found || facts->head == 0))
        store->anchor_state = STELE_ANCHOR_GOOD;
    /* A backup has none of its own, and is only read; or a file is looked at alone. */
    else if (store->backup || (!found && store->options.immutable))
        return;
    else if (found)
        stele__log(STELE_LOG_WARNING,
                   "'%s': the anchor is of another store, %s at position %" PRId64
                   "; this one, %s, ends at %" PRId64 ", and whether it lost events can't be said",
                   store->path, facts->uuid, facts->head, store->uuid, head);
    else
        stele__log(STELE_LOG_WARNING,
                   "'%s': there is no anchor, so whether events were lost can't be said; the log"
                   " ends at %" PRId64,
                   store->path, head);
}

/* A failure costs the next open its certainty, never this call its success. */
static void renew_anchor(stele_store *store, const stele__anchor_facts *facts)
{
    stele__anchor_sample *sample = &store->anchor_sample;
    stele_status status = stele__anchor_write(store->anchor, facts);
    if (status == STELE_OK)
        sample->fresh = false;
    else if (!sample->failing)
        stele__log(STELE_LOG_WARNING, "the anchor of '%s' can't be renewed: %s", store->path,
                   stele_error_text());
    sample->failing = status != STELE_OK;
    store->anchored_at_us = stele__clock_monotonic_us();
}

/* SQLite gives a WAL that holds no commit new salts. Without the write lock: nobody is writing; and
 * should somebody begin just now, the anchor that stays says less than it could, never more. */
static void forget_salts(stele_store *store, stele__anchor_facts *facts)
{
    bool has_commit = true;
    if (!facts->has_salts || stele__wal_has_commit(store->path, &has_commit) != STELE_OK
        || has_commit)
        return;
    facts->has_salts = false;
    renew_anchor(store, facts);
}

static stele_status judge_found(stele_store *store, stele__database *database,
                                stele__anchor_facts *facts)
{
    store->anchor_state = STELE_ANCHOR_GOOD;
    store->anchor_head = facts->head;
    stele_status status = stele__database_begin_read(database);
    if (status == STELE_OK)
        status = compare_log(database, facts, store->lost, sizeof(store->lost));
    stele__database_rollback(database);
    if (status != STELE_OK)
        return status;
    if (store->lost[0] == '\0') {
        if (store->anchor != NULL)
            forget_salts(store, facts);
        return STELE_OK;
    }
    if (store->options.accept_loss && !store->options.read_only)
        return accept_loss(store);
    store->anchor_state = STELE_ANCHOR_LOST;
    stele__log(STELE_LOG_WARNING, "'%s': %s", store->path, store->lost);
    return STELE_OK;
}

static stele_status look_for_anchor(stele_store *store, bool reader, bool *found_out,
                                    stele__anchor_facts *facts_out)
{
    if (reader)
        return stele__anchor_read(store->path, found_out, facts_out);
    if (store->anchor != NULL)
        return stele__anchor_look(store->anchor, found_out, facts_out);
    return stele__anchor_open(store->path, &store->anchor, found_out, facts_out);
}

/* Where the log ends; -1 when that can't be read, of which who reads will hear. */
static stele_status find_end_of_log(stele__database *database, int64_t *head_out)
{
    int64_t checksum = 0;
    stele_status status = find_event(database, INT64_MAX, head_out, &checksum);
    if (status != STELE_CORRUPT)
        return status;
    *head_out = -1;
    return STELE_OK;
}

stele_status stele__anchoring_open(stele_store *store)
{
    /* A backup gets no anchor: nothing is written there until it begins an epoch. */
    bool reader = store->options.read_only || (store->backup && !store->options.accept_loss);
    stele__database *database =
        store->options.read_only ? store->idle_readers->database : store->writer.database;
    stele__anchor_facts facts;
    bool found = false;
    int64_t head = 0;
    stele_status status = look_for_anchor(store, reader, &found, &facts);
    if (status == STELE_OK && (!found || strcmp(facts.uuid, store->uuid) != 0)) {
        status = find_end_of_log(database, &head);
        if (status != STELE_OK)
            return status;
        /* The anchor comes before the first event, so another process may have written both since
         * we looked for it. */
        if (head != 0)
            status = look_for_anchor(store, reader, &found, &facts);
    }
    if (status == STELE_FULL || (reader && status != STELE_OK && status != STELE_NO_MEMORY)) {
        store->anchor_state = STELE_ANCHOR_MISSING;
        stele__log(STELE_LOG_WARNING, "'%s' goes without its anchor: %s", store->path,
                   stele_error_text());
        return STELE_OK;
    }
    if (status != STELE_OK)
        return status;
    store->anchored_at_us = INT64_MIN / 2; /* the first commit is anchored, however early */
    if (found && strcmp(facts.uuid, store->uuid) == 0)
        status = judge_found(store, database, &facts);
    else
        note_missing(store, head, found, &facts);
    /* What was lost may be put back: then the anchor must still know it. */
    if (status != STELE_OK || store->lost[0] != '\0')
        stele__anchoring_close(store);
    return status;
}

/* --- While writing --- */

/* What the anchor says of this store now; nothing but its name, when it says nothing. */
static bool look_at_anchor(stele_store *store, stele__anchor_facts *facts_out)
{
    bool found = false;
    if (stele__anchor_look(store->anchor, &found, facts_out) != STELE_OK)
        return false;
    if (!found || strcmp(facts_out->uuid, store->uuid) != 0) {
        *facts_out = (stele__anchor_facts){ 0 };
        memcpy(facts_out->uuid, store->uuid, sizeof(facts_out->uuid));
    }
    return true;
}

/* What the last commit left, and the salts of the WAL that it is in. */
static void renew_with_sample(stele_store *store)
{
    const stele__anchor_sample *sample = &store->anchor_sample;
    stele__anchor_facts facts;
    store->anchored_at_us = stele__clock_monotonic_us();
    /* A transfer since then, or somebody else's renewal, has said as much. */
    if (!look_at_anchor(store, &facts) || facts.head >= sample->head)
        return;
    stele__anchor_facts before = facts;
    if (store->options.durability == STELE_DURABILITY_FULL) {
        facts.head = sample->head;
        facts.head_checksum = sample->checksum;
        memcpy(facts.epoch, store->epoch, sizeof(facts.epoch));
    }
    facts.has_salts = stele__wal_salts(store->path, facts.salts);
    if (!stele__anchor_facts_equal(&before, &facts))
        renew_anchor(store, &facts);
}

void stele__anchoring_begun(stele_store *store)
{
    stele__anchor_sample *sample = &store->anchor_sample;
    if (store->anchor == NULL || (!sample->committed && !sample->fresh))
        return;
    stele__anchor_facts facts;
    /* Before the first event, so that a store with events always has one. */
    if (sample->fresh && look_at_anchor(store, &facts))
        renew_anchor(store, &facts);
    if (sample->committed)
        renew_with_sample(store);
    sample->committed = false;
}

void stele__anchoring_committing(stele_store *store)
{
    stele__anchor_sample *sample = &store->anchor_sample;
    sample->taken = false;
    if (store->anchor == NULL
        || stele__clock_monotonic_us() - store->anchored_at_us
               < (int64_t)store->options.anchor_interval_ms * 1000)
        return;
    stele__database *database = store->writer.database;
    sample->taken = find_event(database, INT64_MAX, &sample->head, &sample->checksum) == STELE_OK;
    sample->wal_pages = database->wal_pages;
}

void stele__anchoring_committed(stele_store *store)
{
    stele__anchor_sample *sample = &store->anchor_sample;
    /* A commit that had nothing to write has synced nothing. */
    sample->committed = sample->taken && store->writer.database->wal_pages != sample->wal_pages;
    sample->taken = false;
}

void stele__anchoring_transferred(stele_store *store, bool complete)
{
    stele__anchor_facts before;
    if (store->anchor == NULL || !complete || !look_at_anchor(store, &before))
        return;
    stele__anchor_facts facts = before;
    facts.has_salts = false;
    memcpy(facts.epoch, store->epoch, sizeof(facts.epoch));
    if (find_event(store->writer.database, INT64_MAX, &facts.head, &facts.head_checksum)
        != STELE_OK)
        return;
    char lost[256];
    if (compare_log(store->writer.database, &before, lost, sizeof(lost)) != STELE_OK)
        return;
    if (lost[0] != '\0') { /* while it was open: the next open is to find it out */
        stele__log(STELE_LOG_WARNING, "'%s': %s", store->path, lost);
        stele__anchoring_close(store);
        return;
    }
    if (store->anchor_sample.fresh || !stele__anchor_facts_equal(&before, &facts))
        renew_anchor(store, &facts);
    store->anchor_sample.committed = false;
}

void stele__anchoring_close(stele_store *store)
{
    stele__anchor_close(store->anchor);
    store->anchor = NULL;
}
