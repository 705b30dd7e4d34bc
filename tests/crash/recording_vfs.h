/**
 * @file tests/crash/recording_vfs.h
 * SQLite's own VFS for this system, telling the recorder what it does.
 */
#ifndef STELE_TESTS_CRASH_RECORDING_VFS_H
#define STELE_TESTS_CRASH_RECORDING_VFS_H

/** Make it the default VFS of this process. More than once does nothing. */
void recording_vfs_register(void);

/** Let SQLite begin its random numbers anew, from the recorder's seed while it records. */
void recording_vfs_reseed(void);

#endif
