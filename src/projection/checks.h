/* What the projections can prove of their part of the file. */
#ifndef STELE_PROJECTION_CHECKS_H
#define STELE_PROJECTION_CHECKS_H

#include "store/check.h"

const stele__check *stele__projection_checks(size_t *count_out);

#endif
