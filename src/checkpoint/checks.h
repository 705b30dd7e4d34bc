/* What the checkpoints can prove of their part of the file. */
#ifndef STELE_CHECKPOINT_CHECKS_H
#define STELE_CHECKPOINT_CHECKS_H

#include "store/check.h"

const stele__check *stele__checkpoint_checks(size_t *count_out);

#endif
