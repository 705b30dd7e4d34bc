#include <stele/version.h>

#define TEXT_OF(number)       #number
#define VERSION_TEXT(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)

const char *stele_version(void)
{
    return VERSION_TEXT(STELE_VERSION_MAJOR, STELE_VERSION_MINOR, STELE_VERSION_PATCH);
}
