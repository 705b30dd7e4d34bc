/**
 * @file tests/backup_probes.h
 * The probes of tests/test_modes_matrix.c for backups.
 */
#ifndef STELE_TESTS_BACKUP_PROBES_H
#define STELE_TESTS_BACKUP_PROBES_H

#include <stele/backup.h>

static stele_status probe_backup(void)
{
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = test_path("probe.backup");
    backup.unverified = true;
    stele_status status = stele_store_backup(store, &backup, NULL);
    unlink(backup.path);
    return status;
}

INSIDE(probe_backup_around, probe_backup())

#endif
