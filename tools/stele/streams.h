/**
 * @file streams.h
 * What several verbs ask about a stream.
 */
#ifndef STELE_TOOLS_STREAMS_H
#define STELE_TOOLS_STREAMS_H

#include "report.h"

/** EXIT_OK if `stream` was ever written to and not deleted; else how the tool ends (reported). */
exit_code check_stream(stele_store *store, const char *stream);

#endif
