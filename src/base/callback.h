/* Which callback of the user runs on this thread: it may not come back to the store. */
#ifndef STELE_BASE_CALLBACK_H
#define STELE_BASE_CALLBACK_H

/* Before and after a callback that may call nothing; `name` is what a refusal calls it. Give back
 * what begin returned. */
const char *stele__callback_begin(const char *name);
void stele__callback_end(const char *outer);

/* The name of the innermost one on this thread; NULL for none. */
const char *stele__callback_running(void);

#endif
