/*
 * What SQL of the user may not do on a connection of ours: write to our tables, hang something on
 * them, begin or end transactions, attach files, change settings.
 *
 * Installed once on a connection (setting an authorizer expires every prepared statement), and
 * armed only while the user has the handle. SQLite asks when a statement is prepared, and again
 * when a changed schema makes it prepare it anew.
 */
#ifndef STELE_SQLITE_AUTHORIZER_H
#define STELE_SQLITE_AUTHORIZER_H

#include <stdbool.h>

#include "sqlite/database.h"

/*
 * `is_ours` tells whether a table, index or view of that name is ours. OK or IO.
 */
stele_status stele__authorizer_install(stele__database *database,
                                       bool (*is_ours)(const char *name));

/* From now on user SQL may run, or no longer. One store; allowed before install. */
void stele__authorizer_arm(stele__database *database, bool armed);

#endif
