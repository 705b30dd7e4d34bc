#include "base/options.h"

#include <string.h>

#include "base/failure.h"

stele_status stele__options_take(const char *what, const void *given, void *options, size_t size)
{
    if (given == NULL)
        return STELE_OK;

    size_t given_size;
    memcpy(&given_size, given, sizeof(given_size));
    if (given_size < sizeof(given_size))
        return stele__fail(STELE_MISUSE, "%s.struct_size is %zu: begin with its initializer", what,
                           given_size);
    /* A newer program may ask for what only a newer library can do; zero asks for nothing. */
    for (size_t i = size; i < given_size; i++)
        if (((const unsigned char *)given)[i] != 0)
            return stele__fail(STELE_MISUSE,
                               "%s.struct_size is %zu, this library knows %zu, and a field beyond"
                               " that is set",
                               what, given_size, size);
    memcpy(options, given, given_size < size ? given_size : size);
    memcpy(options, &size, sizeof(size));
    return STELE_OK;
}
