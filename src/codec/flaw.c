#include "codec/flaw.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

void stele__flaw_begin(stele_flaw *flaw, size_t offset)
{
    flaw->offset = offset;
    flaw->path[0] = '\0';
}

/* When the path gets too long, what goes is what was between its ends. */
static void prepend_to_path(stele_flaw *flaw, const char *step, size_t step_size)
{
    enum { PATH_TAIL_SIZE = 100 };
    size_t room = sizeof(flaw->path) - 1;
    size_t size = strlen(flaw->path);
    if (step_size > room / 2) {
        step_size = stele__utf8_cut(step, step_size, room / 2);
    }
    if (step_size + size > room) {
        const char *tail = flaw->path + size - PATH_TAIL_SIZE;
        while (((unsigned char)*tail & 0xc0) == 0x80)
            tail++;
        char shortened[PATH_TAIL_SIZE + 8];
        size = (size_t)snprintf(shortened, sizeof(shortened), "...%s", tail);
        memcpy(flaw->path, shortened, size + 1);
    }
    memmove(flaw->path + step_size, flaw->path, size + 1);
    memcpy(flaw->path, step, step_size);
}

void stele__flaw_in_member(stele_flaw *flaw, const char *name)
{
    if (flaw->path[0] != '\0' && flaw->path[0] != '[')
        prepend_to_path(flaw, ".", 1);
    /* What would be mistaken for several steps, or for none, as stele__path_write() has it. */
    if (name[0] == '\0' || strpbrk(name, ".[]\"") != NULL) {
        prepend_to_path(flaw, "\"]", 2);
        prepend_to_path(flaw, name, strlen(name));
        prepend_to_path(flaw, "[\"", 2);
    } else {
        prepend_to_path(flaw, name, strlen(name));
    }
}

void stele__flaw_in_element(stele_flaw *flaw, size_t index)
{
    char step[32];
    int size = snprintf(step, sizeof(step), "[%zu]", index);
    if (flaw->path[0] != '\0' && flaw->path[0] != '[')
        prepend_to_path(flaw, ".", 1);
    prepend_to_path(flaw, step, (size_t)size);
}

stele_status stele__flaw_end(stele_status status, const stele_flaw *flaw)
{
    return flaw->path[0] == '\0' ? status : stele__fail_within(status, "%s", flaw->path);
}
