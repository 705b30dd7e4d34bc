/* The frame that is on its way: put together, proposed, withdrawn, and come to its end. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/platform.h"
#include "frame/replica_own.h"

#define SEATS_MAX 1024

static void release_packet(stele__packet *packet)
{
    if (packet == NULL || --packet->holders > 0)
        return;
    stele__buffer_dispose(&packet->bytes);
    stele__free(packet);
}

void stele__asked_end(stele__asked *asked, stele_status status, const char *text)
{
    asked->status = status;
    snprintf(asked->error, sizeof(asked->error), "%s", text);
    asked->state = STELE__ASKING_OVER;
}

/* Back to the front of the line, with those after it. */
static void put_back(stele__replica *replica, stele__asked *asked)
{
    asked->state = STELE__ASKING_WAITS;
    asked->next = replica->first;
    if (replica->first == NULL)
        replica->last = &asked->next;
    replica->first = asked;
}

void stele__flight_end(stele__replica *replica)
{
    stele__flight *flight = &replica->flight;
    release_packet(flight->packet);
    stele__free(flight->seats);
    *flight = (stele__flight){ 0 };
}

void stele__flight_dispose(stele__replica *replica)
{
    stele__flight_end(replica);
    stele__frame_builder_dispose(&replica->builder);
}

/* --- Putting it together --- */

static stele__frame_header own_header(const stele__replica *replica, stele__frame_kind kind,
                                      const stele__frame_place *place, uint64_t number)
{
    stele__frame_header header = { .kind = kind };
    header.lane = place->lane;
    header.shard = replica->options.shard;
    header.writer = replica->writer;
    header.writer_sequence = number;
    header.time = stele__store_now(replica->store);
    return header;
}

/* With the mutex held: what the next frame is to be; 0: none. */
static int choose_kind(const stele__replica *replica)
{
    if (replica->flight.there || !replica->joined || replica->stopped != STELE_OK
        || replica->troubled != STELE_OK || replica->shut)
        return 0;
    if (!replica->place.bound)
        return replica->genesis_due ? STELE__FRAME_GENESIS : 0;
    if (replica->checkpoint_due)
        return STELE__FRAME_CHECKPOINT;
    return replica->first != NULL ? STELE__FRAME_DATA : 0;
}

/* With the mutex held: out of the line. */
static stele__asked **seat_those_who_wait(stele__replica *replica, size_t *count_out)
{
    size_t count = 0;
    for (stele__asked *asked = replica->first; asked != NULL && count < SEATS_MAX;
         asked = asked->next)
        count++;
    stele__asked **seats = stele__allocate_array(count, sizeof(stele__asked *));
    for (size_t i = 0; seats != NULL && i < count; i++) {
        seats[i] = replica->first;
        replica->first = seats[i]->next;
        seats[i]->next = NULL;
        seats[i]->state = STELE__ASKING_FORMS;
    }
    if (replica->first == NULL)
        replica->last = &replica->first;
    *count_out = seats != NULL ? count : 0;
    return seats;
}

/* Without a lock: they can't leave meanwhile. How many of the first are in the frame, or were
 * refused: for those `refused` is set. */
static size_t add_changes(stele__replica *replica, stele__asked **seats, size_t count)
{
    size_t i = 0;
    for (; i < count; i++) {
        stele_status status = stele__frame_add(&replica->builder, seats[i]->change);
        if (status == STELE_TOO_LARGE && replica->builder.change_count > 0)
            break; /* for the next frame, perhaps */
        seats[i]->status = status;
        if (status != STELE_OK)
            stele__keep_error(seats[i]->error);
    }
    return i;
}

/* With the mutex held: those who are not in the frame go back, or were refused. */
static void sort_seats(stele__replica *replica, stele__asked **seats, size_t added, size_t *count)
{
    size_t seated = 0;
    for (size_t i = *count; i > added; i--)
        put_back(replica, seats[i - 1]);
    for (size_t i = 0; i < added; i++) {
        if (seats[i]->status == STELE_OK) {
            seats[i]->state = STELE__ASKING_FLIES;
            seats[seated++] = seats[i];
        } else {
            seats[i]->state = STELE__ASKING_OVER;
        }
    }
    *count = seated;
}

/* Without a lock. */
static stele_status write_packet(stele__replica *replica, const stele__frame_header *header,
                                 const stele__frame_checkpoint *checkpoint,
                                 stele__packet **packet_out)
{
    stele__packet *packet = stele__allocate_array(1, sizeof(*packet));
    *packet_out = NULL;
    if (packet == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a frame");
    packet->holders = 1;
    stele_status status = header->kind == STELE__FRAME_DATA
                              ? stele__frame_end(&replica->builder, header, &packet->bytes)
                              : stele__frame_mark(header, checkpoint, &packet->bytes);
    if (status == STELE_OK)
        *packet_out = packet;
    else
        release_packet(packet);
    return status;
}

/* Everybody in `seats` was in no frame that left, and gets `status` with this thread's text. */
static void refuse_seats(stele__asked **seats, size_t count, stele_status status)
{
    for (size_t i = 0; i < count; i++)
        if (seats[i]->state == STELE__ASKING_FLIES)
            stele__asked_end(seats[i], status, stele_error_text());
}

/* With the mutex held, but for where it says so; and the launcher's role. */
static void form_flight(stele__replica *replica, stele__frame_kind kind)
{
    stele__flight flight = { .there = true };
    stele__frame_place place = replica->place;
    stele__frame_checkpoint checkpoint = { place.applied, place.chain, 0 };
    uint64_t number = replica->last_number + 1;
    size_t added = 0;
    if (kind == STELE__FRAME_DATA)
        flight.seats = seat_those_who_wait(replica, &flight.seat_count);
    pthread_mutex_unlock(&replica->mutex);

    stele_status status = STELE_OK;
    if (kind == STELE__FRAME_GENESIS)
        status = stele__frame_id_make(&place.lane);
    stele__frame_clear(&replica->builder);
    if (kind == STELE__FRAME_DATA)
        added = add_changes(replica, flight.seats, flight.seat_count);
    bool empty = kind == STELE__FRAME_DATA && replica->builder.change_count == 0;
    if (status == STELE_OK && !empty) {
        flight.header = own_header(replica, kind, &place, number);
        status = write_packet(replica, &flight.header,
                              kind == STELE__FRAME_CHECKPOINT ? &checkpoint : NULL, &flight.packet);
    }

    pthread_mutex_lock(&replica->mutex);
    if (replica->stopped != STELE_OK) {
        added = flight.seat_count; /* nobody goes back: no other frame leaves */
        if (status == STELE_OK)
            status = stele__fail(replica->stopped, "%s", replica->stop_text);
    }
    sort_seats(replica, flight.seats, added, &flight.seat_count);
    if (status != STELE_OK || empty) {
        refuse_seats(flight.seats, flight.seat_count, status);
        release_packet(flight.packet);
        stele__free(flight.seats);
    } else {
        flight.interval_ms = replica->options.again_ms;
        replica->last_number = number;
        replica->flight = flight;
        replica->info.proposed++;
        if (kind == STELE__FRAME_CHECKPOINT)
            replica->checkpoint_due = false;
    }
    pthread_cond_broadcast(&replica->changed);
}

/* With the mutex held: the frame, when it is time to propose it. */
static stele__packet *take_due_packet(stele__replica *replica)
{
    stele__flight *flight = &replica->flight;
    int64_t now = stele__clock_monotonic_us();
    if (!flight->there || flight->place != 0 || now < flight->due_us
        || replica->stopped != STELE_OK)
        return NULL;
    if (flight->times++ > 0) {
        replica->info.proposed_again++;
        replica->head_asked++; /* it may be there, and we have missed it */
        if (flight->interval_ms < replica->options.again_max_ms)
            flight->interval_ms *= 2;
    }
    flight->due_us = now + (int64_t)flight->interval_ms * 1000;
    flight->packet->holders++;
    return flight->packet;
}

void stele__flight_launch(stele__replica *replica)
{
    pthread_mutex_lock(&replica->mutex);
    if (replica->launching) {
        pthread_mutex_unlock(&replica->mutex);
        return;
    }
    replica->launching = true;
    int kind = choose_kind(replica);
    if (kind != 0)
        form_flight(replica, (stele__frame_kind)kind);
    stele__packet *packet = take_due_packet(replica);
    if (packet != NULL) {
        pthread_mutex_unlock(&replica->mutex);
        stele_status status =
            replica->log->propose(replica->log, packet->bytes.data, packet->bytes.size);
        pthread_mutex_lock(&replica->mutex);
        if (status != STELE_OK) {
            replica->info.log_errors++;
            snprintf(replica->info.error, sizeof(replica->info.error), "%s", stele_error_text());
        }
        release_packet(packet);
    }
    replica->launching = false;
    pthread_mutex_unlock(&replica->mutex);
}

/* --- Its end --- */

void stele__flight_withdraw(stele__replica *replica)
{
    stele__flight *flight = &replica->flight;
    stele__packet *packet = NULL;
    if (!flight->there || flight->withdrawn || flight->place != 0 || !replica->place.bound)
        return;
    stele__frame_header header = flight->header;
    header.kind = STELE__FRAME_BARRIER;
    header.lane = replica->place.lane;
    if (write_packet(replica, &header, NULL, &packet) != STELE_OK)
        return; /* the full one goes on, then */
    release_packet(flight->packet);
    flight->packet = packet;
    flight->withdrawn = true;
    flight->due_us = 0;
    flight->interval_ms = replica->options.again_ms;
    replica->info.withdrawn++;
}

/* The empty frame counts: who gave up is told so, the others are in line again. */
static void end_withdrawn(stele__replica *replica)
{
    stele__flight *flight = &replica->flight;
    for (size_t i = flight->seat_count; i > 0; i--) {
        stele__asked *asked = flight->seats[i - 1];
        if (asked == NULL)
            continue;
        if (asked->gave_up == STELE_OK) {
            put_back(replica, asked);
        } else {
            asked->status = asked->gave_up;
            asked->state = STELE__ASKING_OVER; /* with the reason it gave */
        }
    }
}

static void tell_verdicts(stele__replica *replica, const stele__frame_result *result)
{
    stele__flight *flight = &replica->flight;
    for (size_t i = 0; i < flight->seat_count; i++) {
        stele__asked *asked = flight->seats[i];
        stele_status status = STELE_UNKNOWN_OUTCOME;
        if (i < result->verdict_count)
            status = result->verdicts[i].status;
        if (status >= 0)
            replica->info.accepted++;
        else
            replica->info.refused++;
        if (asked == NULL)
            continue;
        if (i < result->verdict_count)
            status = stele__verdict_tell(&result->verdicts[i], asked->change);
        stele__asked_end(asked, status, status < 0 ? stele_error_text() : "");
    }
}

void stele__flight_settle(stele__replica *replica, const stele__frame_result *result)
{
    stele__flight *flight = &replica->flight;
    if (!flight->there || result->outcome != STELE__FRAME_APPLIED
        || result->header.writer_sequence != flight->header.writer_sequence
        || !stele__frame_id_equal(&result->header.writer, &replica->writer))
        return;
    if (result->header.kind == STELE__FRAME_BARRIER)
        end_withdrawn(replica);
    else
        tell_verdicts(replica, result);
    stele__flight_end(replica);
}

void stele__flight_lose(stele__replica *replica, const char *text)
{
    stele__flight *flight = &replica->flight;
    for (size_t i = 0; i < flight->seat_count; i++) {
        if (flight->seats[i] == NULL)
            continue;
        stele__asked_end(flight->seats[i], STELE_UNKNOWN_OUTCOME, text);
        flight->seats[i] = NULL;
        replica->info.unknown++;
    }
}
