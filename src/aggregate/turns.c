/*
 * Threads that execute on one stream go one after the other. Without that, each commit would let
 * one of them through, and the others would have waited for it only to learn that they decided on
 * an old state.
 */
#include <string.h>

#include "aggregate/aggregate.h"
#include "base/checksum.h"
#include "base/failure.h"
#include "base/platform.h"
#include "store/group.h"

static stele__line **lines_of(stele_aggregate *aggregate, const char *stream)
{
    return &aggregate->lines[stele__hash(stream, strlen(stream)) % STELE__LINE_CHAINS];
}

/* Behind those who wait. With the mutex held, here and below. */
static void stand_in_line(stele__line *line, stele__in_line *place)
{
    stele__condition_init(&place->wake);
    if (line->last != NULL)
        line->last->next = place;
    else
        line->first = place;
    line->last = place;
}

static void step_out(stele__line *line, const stele__in_line *place)
{
    stele__in_line *before = NULL;
    for (stele__in_line *one = line->first; one != place; one = one->next)
        before = one;
    if (before != NULL)
        before->next = place->next;
    else
        line->first = place->next;
    if (line->last == place)
        line->last = before;
}

static stele__line *find_line(stele_aggregate *aggregate, const char *stream)
{
    stele__line *line = *lines_of(aggregate, stream);
    while (line != NULL && strcmp(line->stream, stream) != 0)
        line = line->next;
    return line;
}

static void take_turn(stele_aggregate *aggregate, const char *stream, stele__in_line *place)
{
    stele__line **chain = lines_of(aggregate, stream);
    place->line = (stele__line){ .stream = stream, .thread = stele__thread_id(), .next = *chain };
    *chain = &place->line;
}

/* With the mutex held, but for moments: the user may be asked whether to go on. */
static stele_status await_turn(stele_aggregate *aggregate, stele__patience *patience,
                               stele__in_line *place)
{
    stele_status status = stele__aggregate_check(aggregate);
    while (!place->has_turn && status == STELE_OK) {
        pthread_mutex_unlock(&aggregate->mutex);
        status = stele__patience_check(patience, "waiting for other commands on the stream");
        pthread_mutex_lock(&aggregate->mutex);
        if (status == STELE_OK)
            status = stele__aggregate_check(aggregate);
        if (status == STELE_OK && !place->has_turn)
            stele__condition_wait(&place->wake, &aggregate->mutex,
                                  stele__patience_next_check_us(patience));
    }
    return status;
}

stele_status stele__line_join(stele_aggregate *aggregate, const char *stream,
                              stele__patience *patience, stele__in_line *place)
{
    stele_status status = STELE_OK;
    *place = (stele__in_line){ .stream = stream, .thread = stele__thread_id() };
    if (stele__group_is_telling(aggregate->store))
        return STELE_OK;
    pthread_mutex_lock(&aggregate->mutex);
    stele__line *line = find_line(aggregate, stream);
    if (line == NULL) {
        take_turn(aggregate, stream, place);
        pthread_mutex_unlock(&aggregate->mutex);
        return STELE_OK;
    }
    if (line->thread == stele__thread_id()) {
        pthread_mutex_unlock(&aggregate->mutex);
        return STELE_OK;
    }
    stand_in_line(line, place);
    status = await_turn(aggregate, patience, place);
    pthread_cond_destroy(&place->wake);
    /* The turn may have come while the answer was being found: then it is passed on. */
    bool late = status != STELE_OK && place->has_turn;
    if (status != STELE_OK && !late)
        step_out(find_line(aggregate, stream), place);
    pthread_mutex_unlock(&aggregate->mutex);
    if (late)
        stele__line_leave(aggregate, place);
    return status;
}

void stele__line_leave(stele_aggregate *aggregate, stele__in_line *place)
{
    if (place->line.stream == NULL)
        return;
    pthread_mutex_lock(&aggregate->mutex);
    stele__line **at = lines_of(aggregate, place->line.stream);
    while (*at != &place->line)
        at = &(*at)->next;
    stele__in_line *heir = place->line.first;
    if (heir == NULL) {
        *at = place->line.next;
    } else {
        /* The line goes on in the next one's hands, under its own name of the stream: this one's
         * ends with its call. */
        heir->line = place->line;
        heir->line.first = heir->next;
        if (heir->next == NULL)
            heir->line.last = NULL;
        heir->line.stream = heir->stream;
        heir->line.thread = heir->thread;
        heir->next = NULL;
        *at = &heir->line;
        heir->has_turn = true;
        pthread_cond_signal(&heir->wake);
    }
    pthread_mutex_unlock(&aggregate->mutex);
}

void stele__lines_wake(stele_aggregate *aggregate)
{
    for (size_t i = 0; i < STELE__LINE_CHAINS; i++)
        for (stele__line *line = aggregate->lines[i]; line != NULL; line = line->next)
            for (stele__in_line *place = line->first; place != NULL; place = place->next)
                pthread_cond_signal(&place->wake);
}
