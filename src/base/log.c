#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/callback.h"
#include "base/failure.h"
#include "base/memory.h"

static atomic_bool hooks_frozen;

/* Written before the freeze only, so that no thread that logs needs a lock. */
static stele_log_function log_hook;
static void *log_hook_context;

static const char log_hook_name[] = "log hook";

void stele__hooks_freeze(void)
{
    atomic_store(&hooks_frozen, true);
    stele__allocator_freeze();
}

stele_status stele_log_set(stele_log_function log, void *context)
{
    if (atomic_load(&hooks_frozen))
        return stele__fail(STELE_MISUSE, "too late to set the log hook: a store was opened");
    log_hook = log;
    log_hook_context = context;
    return STELE_OK;
}

void stele__log(stele_log_level level, const char *format, ...)
{
    /* A hook that makes us log would never end. */
    if (log_hook == NULL || stele__callback_running() == log_hook_name)
        return;

    char line[STELE__ERROR_SIZE], reason[STELE__ERROR_SIZE];
    va_list arguments;
    va_start(arguments, format);
    stele__format_printable(line, sizeof(line), format, arguments);
    va_end(arguments);

    memcpy(reason, stele_error_text(), strlen(stele_error_text()) + 1);
    const char *outer = stele__callback_begin(log_hook_name);
    log_hook(log_hook_context, level, line);
    stele__callback_end(outer);
    stele__restore_error(reason);
}
