#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "base/turnstile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"

#if defined(__linux__) && defined(F_OFD_SETLK)

/*
 * The lock space of the file: ticket n is byte TICKETS_AT + n. A new ticket follows the last one
 * that is locked, thus numbers begin again whenever the line is empty.
 *
 * Looking for the last ticket and locking the next one are two steps, and between them the line
 * can have emptied and filled again: so who has locked a ticket looks once more, and when somebody
 * stands behind it, steps out and begins anew. Hence nobody keeps a ticket before one whose turn
 * may have come already; no step waits for another process, and whoever is last never steps out.
 */
#define TICKETS_AT 4096
/* The last byte that can be locked, whatever the size of the system's offsets. */
#define TICKET_MAX ((sizeof(off_t) < 8 ? INT64_C(0x7fffffff) : INT64_MAX) - TICKETS_AT)

#define ATTEMPTS_MAX 1000

/* For each place that we stand behind, up to 20. Less costs more processor time than it gains. */
#define PLACE_PAUSE_US 50
#define PLACES_MAX     20

struct stele__turnstile {
    int descriptor;
    uint32_t fork_count; /* when it was opened: a child's unlocking would unlock for its parent */
    int64_t ticket;      /* 0: not in the line */
};

static stele_status fail_to_open(const char *path, int error)
{
    stele_status status =
        error == EROFS || error == EACCES || error == EPERM ? STELE_READ_ONLY
        : error == ENOENT || error == ENOTDIR               ? STELE_NOT_FOUND
        : error == EINVAL || error == ENOLCK || error == EOPNOTSUPP || error == ENOSYS
            ? STELE_UNSUPPORTED
            : STELE_IO;
    return stele__fail(status, "can't keep a line at '%s': %s", path, strerror(error));
}

static bool was_forked(const stele__turnstile *turnstile)
{
    return turnstile->fork_count != stele__fork_count();
}

/* Lock or unlock one byte, without waiting. */
static bool set_lock(const stele__turnstile *turnstile, short type, int64_t at)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)at, .l_len = 1 };
    return fcntl(turnstile->descriptor, F_OFD_SETLK, &lock) == 0;
}

/*
 * Any lock of another from ticket `from` to ticket `to`: whether there is one, and which part of
 * that it covers. Of one that covers more than a byte, none is a ticket; it must not keep us
 * searching byte after byte.
 */
static bool find_ticket(const stele__turnstile *turnstile, int64_t from, int64_t to,
                        int64_t *first_out, int64_t *last_out)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    lock.l_start = (off_t)(TICKETS_AT + from);
    lock.l_len = to == TICKET_MAX ? 0 : (off_t)(to - from + 1);
    if (fcntl(turnstile->descriptor, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
        return false;
    int64_t first = (int64_t)lock.l_start - TICKETS_AT;
    int64_t last = lock.l_len == 0 ? TICKET_MAX : first + (int64_t)lock.l_len - 1;
    *first_out = first < from ? from : first;
    *last_out = last < to ? last : to;
    return true;
}

static stele_status open_line_file(const char *path, int *descriptor_out)
{
    /* NONBLOCK for what is no file at all. */
    const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    *descriptor_out = open(path, flags);
    if (*descriptor_out < 0 && errno == ENOENT) {
        stele_status status = stele__create_beside(path);
        if (status != STELE_OK)
            return status;
        *descriptor_out = open(path, flags);
    }
    struct stat facts;
    if (*descriptor_out < 0 || fstat(*descriptor_out, &facts) != 0)
        return fail_to_open(path, errno);
    if (!S_ISREG(facts.st_mode))
        return stele__fail(STELE_IO, "can't keep a line at '%s': not a file", path);
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    if (fcntl(*descriptor_out, F_OFD_GETLK, &lock) != 0)
        return fail_to_open(path, errno);
    return STELE_OK;
}

stele_status stele__turnstile_open(const char *path, stele__turnstile **turnstile_out)
{
    *turnstile_out = NULL;
    stele__turnstile *turnstile = stele__allocate(sizeof(*turnstile));
    if (turnstile == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a turnstile");
    stele__fork_watch();
    *turnstile = (stele__turnstile){ .fork_count = stele__fork_count() };
    stele_status status = open_line_file(path, &turnstile->descriptor);
    if (status != STELE_OK)
        stele__turnstile_close(turnstile);
    else
        *turnstile_out = turnstile;
    return status;
}

void stele__turnstile_close(stele__turnstile *turnstile)
{
    if (turnstile == NULL)
        return;
    /* Closing alone would not do it while a child of ours still has the file open. */
    stele__turnstile_leave(turnstile);
    if (turnstile->descriptor >= 0)
        close(turnstile->descriptor);
    stele__free(turnstile);
}

bool stele__turnstile_is_empty(stele__turnstile *turnstile)
{
    int64_t first = 0, last = 0;
    return was_forked(turnstile) || !find_ticket(turnstile, 1, TICKET_MAX, &first, &last);
}

/* The ticket after the last one, TICKET_MAX when there is none left. */
static int64_t find_end_of_line(const stele__turnstile *turnstile)
{
    int64_t ticket = 1, first = 0, last = 0;
    while (ticket < TICKET_MAX && find_ticket(turnstile, ticket, TICKET_MAX, &first, &last))
        ticket = last < TICKET_MAX ? last + 1 : TICKET_MAX;
    return ticket;
}

stele_status stele__turnstile_join(stele__turnstile *turnstile)
{
    if (was_forked(turnstile))
        return stele__fail(STELE_IO, "can't get in line: it was opened before fork()");
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        int64_t ticket = find_end_of_line(turnstile), first = 0, last = 0;
        if (ticket == TICKET_MAX)
            return stele__fail(STELE_IO, "can't get in line: all of the file is locked");
        if (set_lock(turnstile, F_WRLCK, TICKETS_AT + ticket)) {
            if (!find_ticket(turnstile, ticket + 1, TICKET_MAX, &first, &last)) {
                turnstile->ticket = ticket;
                return STELE_OK;
            }
            set_lock(turnstile, F_UNLCK, TICKETS_AT + ticket);
        } else if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
            return stele__fail(STELE_IO, "can't get in line: %s", strerror(errno));
        }
    }
    return stele__fail(STELE_IO, "can't get in line: %d times others were faster", ATTEMPTS_MAX);
}

bool stele__turnstile_is_our_turn(stele__turnstile *turnstile, uint32_t *pause_us_out,
                                  int64_t *ahead_out)
{
    *pause_us_out = 0;
    *ahead_out = 0;
    int64_t first = turnstile->ticket, last = 0;
    if (was_forked(turnstile))
        return true;
    /* The system names any one of those before us: go down to the first. */
    while (first > 1 && find_ticket(turnstile, 1, first - 1, &first, &last))
        *ahead_out = first;
    if (*ahead_out == 0)
        return true;
    int64_t distance = turnstile->ticket - *ahead_out;
    *pause_us_out = PLACE_PAUSE_US * (uint32_t)(distance < PLACES_MAX ? distance : PLACES_MAX);
    return false;
}

void stele__turnstile_leave(stele__turnstile *turnstile)
{
    if (turnstile->ticket != 0 && !was_forked(turnstile))
        set_lock(turnstile, F_UNLCK, TICKETS_AT + turnstile->ticket);
    turnstile->ticket = 0;
}

#else

stele_status stele__turnstile_open(const char *path, stele__turnstile **turnstile_out)
{
    *turnstile_out = NULL;
    return stele__fail(STELE_UNSUPPORTED,
                       "can't keep a line at '%s': this system has no locks for it", path);
}

void stele__turnstile_close(stele__turnstile *turnstile)
{
    (void)turnstile;
}

bool stele__turnstile_is_empty(stele__turnstile *turnstile)
{
    (void)turnstile;
    return true;
}

stele_status stele__turnstile_join(stele__turnstile *turnstile)
{
    (void)turnstile;
    return stele__fail(STELE_IO, "can't get in line: this system has no locks for it");
}

bool stele__turnstile_is_our_turn(stele__turnstile *turnstile, uint32_t *pause_us_out,
                                  int64_t *ahead_out)
{
    (void)turnstile;
    *pause_us_out = 0;
    *ahead_out = 0;
    return true;
}

void stele__turnstile_leave(stele__turnstile *turnstile)
{
    (void)turnstile;
}

#endif
