/**
 * @file stele/version.h
 * Which stele this is.
 */
#ifndef STELE_VERSION_H
#define STELE_VERSION_H

#include <stele/api.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STELE_VERSION_MAJOR 0
#define STELE_VERSION_MINOR 1
#define STELE_VERSION_PATCH 0

/** The version of the library in use, "0.1.0". Never NULL; never freed; any thread. */
STELE_API const char *stele_version(void);

/**
 * The version of the SQLite in use, "3.40.1". Never NULL; never freed; any thread.
 *
 * SQLite 3.7.0 to 3.51.2 can lose commits when two connections transfer the WAL at once; stele
 * keeps a guard around its own transfers (`stele_store_info.wal_reset` says which holds).
 */
STELE_API const char *stele_sqlite_version(void);

#ifdef __cplusplus
}
#endif

#endif
