/* Checkpoints of the source, with their lanes and what is parked, on their way to the target. */
#ifndef STELE_COPY_PLACES_H
#define STELE_COPY_PLACES_H

#include "copy/copy.h"

typedef enum stele__copy_place_kind {
    STELE__COPY_PLACE,   /* where a checkpoint, or a lane of one, is */
    STELE__COPY_EFFECTS, /* up to where its effects were done by an older reader */
    STELE__COPY_PARKED   /* an event that it set aside */
} stele__copy_place_kind;

/* A position that means something to the checkpoint `name`. */
typedef struct stele__copy_place {
    stele__copy_place_kind kind;
    size_t name; /* offset of its text */
    int64_t lane;
    int64_t lanes;
    int64_t position; /* in the source; -1: a lane that was never saved */
    int64_t target;   /* the last position of the target that came from it and before */
    int64_t outputs;  /* so many of them came from it itself */
} stele__copy_place;

/* All of them, by position once they are read. Starts as { 0 }. */
typedef struct stele__copy_places {
    stele__copy_place *places;
    size_t count;
    size_t capacity;
    stele__buffer names;
    uint64_t names_kept;
    uint64_t names_lost; /* left out: of a timeline that was lost */
    uint64_t parked;     /* that the target gets */
    size_t next;         /* the first that isn't translated yet */
} stele__copy_places;

/* Read them from the source, and translate those within what the target's map has. */
stele_status stele__copy_places_read(stele__copier *copier, stele__copy_places *all);
/* Translate those within `stretch`, which follows the one before. */
void stele__copy_places_pass(stele__copy_places *all, const stele__copy_stretch *stretch);
/* The others are beyond what was copied. */
void stele__copy_places_end(const stele__copier *copier, stele__copy_places *all);
/* Write them in the target's transaction. */
stele_status stele__copy_places_save(stele__copier *copier, stele_transaction *transaction,
                                     const stele__copy_places *all);
void stele__copy_places_dispose(stele__copy_places *all);

#endif
