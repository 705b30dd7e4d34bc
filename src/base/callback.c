#include "base/callback.h"

#include <stddef.h>

static _Thread_local const char *callback_name;

const char *stele__callback_begin(const char *name)
{
    const char *outer = callback_name;
    callback_name = name;
    return outer;
}

void stele__callback_end(const char *outer)
{
    callback_name = outer;
}

const char *stele__callback_running(void)
{
    return callback_name;
}
