/**
 * @file tests/bit_rot.h
 * A disk that forgets: bits that turn over, sectors that are zeros or another's, in a file that is
 * patched in place and mended again.
 */
#ifndef STELE_TESTS_BIT_ROT_H
#define STELE_TESTS_BIT_ROT_H

#include "effort.h"
#include "log_text.h"

#include <stele/verify.h>

#include <fcntl.h>
#include <unistd.h>

/* --- Damage --- */

typedef enum damage_kind {
    FLIPPED_BIT,
    ZEROED_512,
    ZEROED_4096,
    SWAPPED_512,
    SWAPPED_4096,
    DAMAGE_KINDS
} damage_kind;

static const char *const damage_names[] = { "flipped bits", "zeroed sectors of 512",
                                            "zeroed sectors of 4096", "swapped sectors of 512",
                                            "swapped sectors of 4096" };

/* A file on the disk, and what belongs there. */
typedef struct patient {
    int descriptor;
    file_copy whole;
} patient;

static inline patient take_patient(const char *path)
{
    patient of = { open(path, O_RDWR | O_CLOEXEC), load_file(path) };
    ck_assert_int_ge(of.descriptor, 0);
    return of;
}

static inline void dismiss_patient(patient *of)
{
    close(of->descriptor);
    free(of->whole.data);
}

static inline void put_bytes(const patient *of, const void *bytes, size_t size, size_t at)
{
    ck_assert_int_eq(pwrite(of->descriptor, bytes, size, (off_t)at), (ssize_t)size);
}

/* What was done to it, to be undone and to be told of. */
typedef struct damage {
    damage_kind kind;
    size_t size;
    size_t at;
    size_t other; /* of the two sectors that changed places */
    unsigned bit;
} damage;

/* Half of them anywhere, half where something is: most of a small file is empty. */
static inline size_t choose_byte(const patient *of)
{
    size_t at = (size_t)(next_chance() % of->whole.size);
    if (one_in(2))
        return at;
    for (int i = 0; i < 200 && of->whole.data[at] == 0; i++)
        at = (size_t)(next_chance() % of->whole.size);
    return at;
}

static inline damage do_damage(const patient *of, damage_kind kind)
{
    static const unsigned char zeros[4096];
    damage done = { .kind = kind, .at = choose_byte(of), .size = 1 };
    if (kind == FLIPPED_BIT) {
        done.bit = (unsigned)(next_chance() % 8);
        unsigned char byte = of->whole.data[done.at] ^ (unsigned char)(1u << done.bit);
        put_bytes(of, &byte, 1, done.at);
        return done;
    }
    done.size = kind == ZEROED_512 || kind == SWAPPED_512 ? 512 : 4096;
    done.at -= done.at % done.size;
    if (done.at + done.size > of->whole.size)
        done.at = 0;
    if (kind == ZEROED_512 || kind == ZEROED_4096) {
        put_bytes(of, zeros, done.size, done.at);
        return done;
    }
    done.other = choose_byte(of);
    done.other -= done.other % done.size;
    if (done.other + done.size > of->whole.size)
        done.other = 0;
    put_bytes(of, of->whole.data + done.at, done.size, done.other);
    put_bytes(of, of->whole.data + done.other, done.size, done.at);
    return done;
}

static inline void undo_damage(const patient *of, const damage *done)
{
    put_bytes(of, of->whole.data + done->at, done->size, done->at);
    put_bytes(of, of->whole.data + done->other, done->size, done->other);
}

/* --- What came of it --- */

typedef enum verdict {
    UNHARMED,        /* all is read as it was */
    REFUSED,         /* it isn't opened */
    FAILED,          /* reading ends with an error, after true events only */
    TOLD_LOST,       /* the end is missing, and the anchor says so */
    CUT,             /* of a WAL: the end that no anchor had named yet is missing */
    FOUND_BY_VERIFY, /* a stream or list ends too early, and verification says so */
    REWOUND,         /* a checkpoint is gone, as if it had never been saved */
    SILENT,          /* none of these */
    OUTCOMES
} verdict;

typedef struct tally {
    int tries;
    int counts[OUTCOMES];
    int read_some; /* tries that gave at least one event */
} tally;

static inline void print_tally(const char *what, uint64_t seed, const tally *of)
{
    printf("%s: seed %" PRIu64 ", %d tries: %d unharmed, %d refused, %d failed, %d told as lost,"
           " %d cut, %d found by verify, %d rewound, %d silent; %d gave events\n",
           what, seed, of->tries, of->counts[UNHARMED], of->counts[REFUSED], of->counts[FAILED],
           of->counts[TOLD_LOST], of->counts[CUT], of->counts[FOUND_BY_VERIFY], of->counts[REWOUND],
           of->counts[SILENT], of->read_some);
}

static inline void note_outcome(tally *of, verdict result, const damage *done)
{
    of->tries++;
    of->counts[result]++;
    if (result == SILENT)
        fprintf(stderr, "silent: %s, at %zu (bit %u) and %zu\n", damage_names[done->kind], done->at,
                done->bit, done->other);
}

static inline stele_options for_reading(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    return options;
}

static inline bool verify_finds_fault(stele_store *damaged)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(damaged, NULL, &verify);
    uint64_t failures = 0;
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK)
        if (strcmp(check->name, "anchor") != 0) /* of which tells_of_loss() is the question */
            failures += check->failures;
    stele_verify_close(verify);
    return failures > 0 || status < 0;
}

static inline bool begins_with(const log_text *original, const log_text *now)
{
    return now->size <= original->size && memcmp(now->text, original->text, now->size) == 0;
}

/* All events in the order of their positions, until the first failure. The caller frees it. */
static inline log_text read_events(stele_store *source)
{
    log_text log = { 0 };
    FILE *out = open_memstream(&log.text, &log.size);
    ck_assert_ptr_nonnull(out);
    stele_read read = STELE_READ_INIT;
    read.keys = true;
    log.status = print_records(out, source, &read);
    ck_assert_int_eq(fclose(out), 0);
    return log;
}

/* Whether the store knows that events which it had acknowledged are gone. */
static inline bool tells_of_loss(stele_store *damaged)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_status status = stele_store_describe(damaged, &info);
    return status == STELE_CORRUPT || info.anchor == STELE_ANCHOR_LOST;
}

#endif
