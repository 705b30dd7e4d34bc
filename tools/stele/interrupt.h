/**
 * @file interrupt.h
 * Ctrl-C, for verbs that end in an orderly way.
 */
#ifndef STELE_TOOLS_INTERRUPT_H
#define STELE_TOOLS_INTERRUPT_H

#include <stdbool.h>

/** From now on the first Ctrl-C is only noted, and ends waiting system calls; a second one kills.
 */
void watch_interrupt(void);

/** Take SIGTERM for one, too, also as the second: for verbs that run as services. */
void watch_termination(void);

/** Whether it came. */
bool was_interrupted(void);

#endif
