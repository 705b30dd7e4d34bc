/**
 * @file stele/api.h
 * How the public symbols are marked. Included by every other header.
 */
#ifndef STELE_API_H
#define STELE_API_H

#if defined(__GNUC__) && __GNUC__ >= 4
#define STELE_API __attribute__((visibility("default")))
#else
#define STELE_API
#endif

#endif
