#include "receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "interrupt.h"

#define GLANCE_MS     100
#define WAIT_MS       5  /* between two looks whether it has ended */
#define GRACE_GLANCES 30 /* So often an end is waited for, */
#define QUIET_GLANCES 10 /* and so often without a word. */

static void close_receiver_input(receiver *of)
{
    if (of->to >= 0)
        close(of->to);
    of->to = -1;
}

exit_code receiver_open(receiver *of, const char *command)
{
    int ends[2] = { -1, -1 };
    *of = (receiver)RECEIVER_NONE;
    int failed = make_pipe(ends) ? start_shell(command, ends[0], -1, &of->child) : errno;
    if (ends[0] >= 0)
        close(ends[0]);
    of->to = ends[1];
    if (failed == 0) {
        fcntl(of->to, F_SETFL, O_NONBLOCK);
        return EXIT_OK;
    }
    of->child = 0;
    close_receiver_input(of);
    report_error("can't run '%s': %s", command, strerror(failed));
    return EXIT_OTHER;
}

bool receiver_give(receiver *of, const char *bytes, size_t size, size_t *taken_out)
{
    *taken_out = 0;
    ssize_t wrote = write(of->to, bytes, size);
    if (wrote < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        struct pollfd end = { .fd = of->to, .events = POLLOUT };
        poll(&end, 1, GLANCE_MS);
        wrote = write(of->to, bytes, size);
    }
    if (wrote > 0)
        *taken_out = (size_t)wrote;
    return wrote >= 0 || errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
}

bool receiver_reads(const receiver *of)
{
    struct pollfd end = { .fd = of->to };
    return of->to >= 0 && (poll(&end, 1, 0) <= 0 || (end.revents & (POLLERR | POLLHUP)) == 0);
}

bool receiver_has_ended(receiver *of)
{
    close_receiver_input(of);
    for (int waited = 0; of->child > 0 && waited < GLANCE_MS; waited += WAIT_MS) {
        if (shell_has_ended(of->child, &of->code, of->how))
            of->child = 0;
        else
            poll(NULL, 0, WAIT_MS);
    }
    return of->child == 0;
}

/* It is never killed: what it is in the middle of, only it and its user know. */
void receiver_close(receiver *of)
{
    bool before = was_interrupted();
    close_receiver_input(of);
    for (int i = 0; of->child > 0 && i < GRACE_GLANCES && was_interrupted() == before; i++) {
        if (i == QUIET_GLANCES)
            report_line("note: waiting for the command to end, for %d seconds more;"
                        " Ctrl-C doesn't wait",
                        (GRACE_GLANCES - QUIET_GLANCES) * GLANCE_MS / 1000);
        receiver_has_ended(of);
    }
    if (of->child > 0)
        report_line("warning: the command still runs, as process %ld", (long)of->child);
    of->child = 0;
}
