/* What no status can say, for the program's log hook. */
#ifndef STELE_BASE_LOG_H
#define STELE_BASE_LOG_H

#include <stele/hooks.h>

/* Tell the hook, if there is one. Keeps the text of stele__fail(). */
__attribute__((format(printf, 2, 3))) void stele__log(stele_log_level level, const char *format,
                                                      ...);

/* The first store is being opened: hooks stay as they are from here on. */
void stele__hooks_freeze(void);

#endif
