/* The scope of an identity: its parts one after the other, escaped so that no two identities meet.
 */
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/options.h"
#include "state/own.h"
#include "state/state.h"

#define PART_COUNT_MIN 3
#define PART_COUNT_MAX 4

void stele_identity_init(stele_identity *identity)
{
    *identity = (stele_identity)STELE_IDENTITY_INIT;
}

/* Stands for itself. */
static bool is_plain(unsigned char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z')
           || (character >= '0' && character <= '9') || character == '-' || character == '.'
           || character == '_' || character >= 0x80;
}

static stele_status check_part(const char *what, const char *part)
{
    if (part == NULL || part[0] == '\0')
        return stele__fail(STELE_MISUSE, "the identity has no %s", what);
    return stele__check_name(what, part);
}

/* Add the part to the scope; its size goes on growing where there is no room any more. */
static void add_part(const char *part, char *scope, size_t *size)
{
    for (; *part != '\0'; part++) {
        char escaped[4] = { *part, '\0' };
        if (!is_plain((unsigned char)*part))
            snprintf(escaped, sizeof(escaped), "%%%02X", (unsigned char)*part);
        for (const char *one = escaped; *one != '\0'; one++, ++*size)
            if (*size < STELE_SCOPE_SIZE_MAX)
                scope[*size] = *one;
    }
}

stele_status stele_identity_scope(const stele_identity *identity, char *scope, size_t capacity)
{
    stele_identity taken = STELE_IDENTITY_INIT;
    if (scope != NULL && capacity > 0)
        scope[0] = '\0';
    if (identity == NULL || scope == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", identity == NULL ? "identity" : "scope");
    if (capacity < STELE_SCOPE_SIZE_MAX + 1)
        return stele__fail(STELE_MISUSE, "the capacity is %zu, below %d", capacity,
                           STELE_SCOPE_SIZE_MAX + 1);
    stele_status status = stele__options_take("stele_identity", identity, &taken, sizeof(taken));
    if (status == STELE_OK)
        status = check_part("tenant", taken.tenant);
    if (status == STELE_OK)
        status = check_part("user", taken.user);
    if (status == STELE_OK)
        status = check_part("session", taken.session);
    bool has_run = taken.run != NULL && taken.run[0] != '\0';
    if (status == STELE_OK && has_run)
        status = check_part("run", taken.run);
    if (status != STELE_OK)
        return status;

    const char *parts[PART_COUNT_MAX] = { taken.tenant, taken.user, taken.session, taken.run };
    char made[STELE_SCOPE_SIZE_MAX + 1] = STELE__IDENTITY_SCOPE;
    size_t size = strlen(STELE__IDENTITY_SCOPE);
    for (int i = 0; i < PART_COUNT_MIN + has_run; i++) {
        if (i > 0 && size < STELE_SCOPE_SIZE_MAX)
            made[size] = '/';
        size += i > 0;
        add_part(parts[i], made, &size);
    }
    if (size > STELE_SCOPE_SIZE_MAX)
        return stele__fail(STELE_TOO_LARGE, "the scope of the identity has %zu bytes, beyond %d",
                           size, STELE_SCOPE_SIZE_MAX);
    memcpy(scope, made, size);
    scope[size] = '\0';
    return STELE_OK;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* A part as it is made above, up to its end; its size is that of the name, 0 for none such. */
static size_t take_part(const char **at)
{
    size_t size = 0;
    for (; **at != '\0' && **at != '/'; ++size) {
        if (is_plain((unsigned char)**at)) {
            ++*at;
            continue;
        }
        int high = **at == '%' ? hex_value((*at)[1]) : -1;
        int low = high < 0 ? -1 : hex_value((*at)[2]);
        int character = high * 16 + low;
        if (low < 0 || character < 0x20 || character >= 0x7f || is_plain((unsigned char)character))
            return 0;
        *at += 3;
    }
    return size > STELE_NAME_SIZE_MAX ? 0 : size;
}

bool stele__is_identity_scope(const char *scope)
{
    size_t count = 0;
    if (!stele__take_text(&scope, STELE__IDENTITY_SCOPE))
        return false;
    do {
        if (take_part(&scope) == 0)
            return false;
        count++;
    } while (stele__take_text(&scope, "/"));
    return *scope == '\0' && count >= PART_COUNT_MIN && count <= PART_COUNT_MAX;
}
