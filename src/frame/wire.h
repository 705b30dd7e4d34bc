/* Between the files of this area: the bytes of a frame. */
#ifndef STELE_FRAME_WIRE_H
#define STELE_FRAME_WIRE_H

#include "frame/frame.h"

#define STELE__FRAME_MAGIC       "STLF"
#define STELE__FRAME_CHECKSUM_AT 80

/* A string that isn't there. */
#define STELE__FRAME_NO_STRING UINT32_MAX

/* In a change. */
#define STELE__CHANGE_OWN            1
#define STELE__CHANGE_LEAVE_ARCHIVED 2

/* The fewest bytes of each, so that a count says little about the memory it asks for. */
#define STELE__FRAME_CHANGE_SIZE    2
#define STELE__FRAME_APPEND_SIZE    24
#define STELE__FRAME_EVENT_SIZE     33
#define STELE__FRAME_CONDITION_SIZE 13
#define STELE__FRAME_ATTRIBUTE_SIZE 8

/* Room that grows in blocks: what was given stays where it is. Zeroed; NULL when there is no
 * memory. All of it goes with stele__frame_free_blocks(). */
typedef struct stele__frame_block stele__frame_block;
void *stele__frame_room(stele__frame_block **blocks, size_t count, size_t size);
void stele__frame_free_blocks(stele__frame_block *blocks);

static inline void stele__put_number(unsigned char *out, uint64_t number, int size)
{
    for (int i = 0; i < size; i++)
        out[i] = (unsigned char)(number >> (8 * i));
}

static inline uint64_t stele__get_number(const unsigned char *from, int size)
{
    uint64_t number = 0;
    for (int i = 0; i < size; i++)
        number |= (uint64_t)from[i] << (8 * i);
    return number;
}

#endif
