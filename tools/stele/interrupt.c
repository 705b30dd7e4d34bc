#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t interrupted;
static volatile sig_atomic_t termination_watched;

static void set_handler(int number, void (*handler)(int number))
{
    struct sigaction action = { .sa_handler = handler };
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

/* The next one kills, whichever of the two it is. */
static void note_interrupt(int number)
{
    (void)number;
    interrupted = 1;
    set_handler(SIGINT, SIG_DFL);
    if (termination_watched != 0)
        set_handler(SIGTERM, SIG_DFL);
}

void watch_interrupt(void)
{
    set_handler(SIGINT, note_interrupt);
}

void watch_termination(void)
{
    termination_watched = 1;
    set_handler(SIGTERM, note_interrupt);
}

bool was_interrupted(void)
{
    return interrupted != 0;
}
