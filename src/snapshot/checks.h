/* What the snapshots can prove of their part of the file. */
#ifndef STELE_SNAPSHOT_CHECKS_H
#define STELE_SNAPSHOT_CHECKS_H

#include "store/check.h"

const stele__check *stele__snapshot_checks(size_t *count_out);

#endif
