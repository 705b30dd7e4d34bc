/**
 * @file plugin.h
 * Shared libraries of the user's that know tables, codecs and upcasters: --lib.
 */
#ifndef STELE_TOOLS_PLUGIN_H
#define STELE_TOOLS_PLUGIN_H

#include <stdbool.h>

#include <stele/store.h>

#include "report.h"
#include "tool.h"

/* clang-format off */
#define LIB_OPTION { .name = "lib", .value = "FILE", .repeats = true, \
    .what = "a shared library that registers types, codecs and upcasters" }
/* clang-format on */

/**
 * Let the libraries given by --lib register what they have on `store`, in their order. They stay
 * loaded until the tool ends.
 *
 * @return EXIT_OK, or how the tool ends (reported).
 */
exit_code load_plugins(const tool *of, stele_store *store);

/** Of a verb that shows events: whether --lib, if given, goes with the output's format. If not,
 * that was reported. */
bool plugins_can_show(const tool *of);

#endif
