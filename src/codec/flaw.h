/*
 * Where something was wrong in a value: the path is put together from inside out, while a failure
 * returns through the structs and lists around it, so that success pays nothing for it.
 */
#ifndef STELE_CODEC_FLAW_H
#define STELE_CODEC_FLAW_H

#include <stddef.h>

#include <stele/type.h>

#include "base/failure.h"

/* At the innermost place: no path yet. */
void stele__flaw_begin(stele_flaw *flaw, size_t offset);
/* That was the member `name`; that was element `index`. */
void stele__flaw_in_member(stele_flaw *flaw, const char *name);
void stele__flaw_in_element(stele_flaw *flaw, size_t index);
/* Put the path before the text of the failure. */
stele_status stele__flaw_end(stele_status status, const stele_flaw *flaw);

#endif
