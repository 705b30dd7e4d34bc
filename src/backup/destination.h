/* A file that is written under another name, and gets its own when it is whole. */
#ifndef STELE_BACKUP_DESTINATION_H
#define STELE_BACKUP_DESTINATION_H

#include "store/copy.h"

typedef struct stele__destination {
    char *path;
    char *partial; /* `<path>-partial` */
    stele__database *target;
} stele__destination;

/* Make sure that nothing is in the way at `path`, and begin. On failure there is nothing to close.
 */
stele_status stele__destination_open(stele__destination *destination, const char *path);
/* It is whole: from now on it is found under its name, durably. */
stele_status stele__destination_publish(stele__destination *destination);
/* Remove what wasn't published. Keeps the error text. */
void stele__destination_close(stele__destination *destination);

#endif
