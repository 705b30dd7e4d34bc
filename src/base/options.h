/* Options structs begin with their own size, so that old programs and new libraries get along. */
#ifndef STELE_BASE_OPTIONS_H
#define STELE_BASE_OPTIONS_H

#include <stddef.h>

#include <stele/status.h>

/*
 * Lay what the caller gave over the defaults in `options`, which is `size` bytes. `given` NULL
 * leaves them. OK; MISUSE for a size of 0, or one beyond ours with anything set there. `what`
 * names the struct.
 */
stele_status stele__options_take(const char *what, const void *given, void *options, size_t size);

#endif
