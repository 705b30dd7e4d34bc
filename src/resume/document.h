/*
 * What the files of this folder share.
 *
 * What a resume point is stored as: one CBOR document, the data of a state entry. The attributes of
 * the point are those of the entry.
 */
#ifndef STELE_RESUME_DOCUMENT_H
#define STELE_RESUME_DOCUMENT_H

#include <stele/resume_point.h>
#include <stele/type.h>

#define STELE__RESUME_SCOPE "$resume/"

/* What saving over it has to know: without copies of the payload and the texts. */
typedef struct stele__resume_head {
    char *execution; /* the key once more: the bytes of one point never pass for another's */
    int64_t iteration;
    int64_t started_at;
    int64_t attempt;
} stele__resume_head;

/* All of it. */
typedef struct stele__resume_document {
    stele__resume_head head; /* first */
    char *step;
    stele_bytes payload;
    char *spec_version;
    int64_t saved_at;
} stele__resume_document;

/* The tables of both. */
STELE_TYPE_DECLARE(stele__resume_document_type, stele__resume_document);
STELE_TYPE_DECLARE(stele__resume_head_type, stele__resume_head);

/* The entry of an execution. */
typedef struct stele__resume_place {
    char scope[sizeof(STELE__RESUME_SCOPE) + STELE_NAME_SIZE_MAX];
    const char *execution; /* borrowed */
} stele__resume_place;

/* `space` NULL: the default one. OK or MISUSE. */
stele_status stele__resume_find_space(const char *space, stele__resume_place *place_out);
stele_status stele__resume_find(const char *space, const char *execution,
                                stele__resume_place *place_out);
/* `text` is NULL or UTF-8; else MISUSE. */
stele_status stele__resume_check_text(const char *what, const char *text);

/* Write the entry, inside a transaction. */
stele_status stele__resume_put(stele_transaction *transaction, const stele__resume_place *place,
                               const stele__resume_document *document,
                               const stele_attribute *attributes, size_t attribute_count,
                               size_t attribute_size);

/* A record, and what it points to. */
typedef struct stele__resume_holder {
    stele_resume_record record; /* first: it is what users have */
    const stele_entry *entry;   /* owned, or NULL */
    stele__resume_document document;
} stele__resume_holder;

/*
 * Decode the data of `entry`, which was found, by one of the tables into the value that begins with
 * `head`. CORRUPT for what isn't the document of this entry's execution; NO_MEMORY.
 */
stele_status stele__resume_decode(const stele_entry *entry, const stele_type *type,
                                  stele__resume_head *head);

/* Fill `holder`, whose record then borrows from `entry`. As above; `holder` is empty on failure. */
stele_status stele__resume_fill(stele__resume_holder *holder, const stele_entry *entry);
/* A new one that owns `entry`, which is closed on failure. Close it as the user does. */
stele_status stele__resume_make(const stele_entry *entry, stele__resume_holder **holder_out);
/* Nothing is in it any more; the entry is the owner's to close. */
void stele__resume_empty(stele__resume_holder *holder);

#endif
