#include "suggest.h"

#include <string.h>

#define WORD_SIZE_MAX 40

static size_t least_of(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* How many letters to add, drop, change or swap with a neighbour to make one word of the other. */
static size_t edit_distance(const char *from, size_t from_size, const char *to, size_t to_size)
{
    size_t rows[3][WORD_SIZE_MAX + 1];
    size_t *before = rows[0];
    size_t *above = rows[1];
    size_t *current = rows[2];
    for (size_t j = 0; j <= to_size; j++)
        before[j] = above[j] = j;
    for (size_t i = 1; i <= from_size; i++) {
        current[0] = i;
        for (size_t j = 1; j <= to_size; j++) {
            size_t change = from[i - 1] == to[j - 1] ? 0 : 1;
            size_t distance = least_of(above[j] + 1, current[j - 1] + 1);
            distance = least_of(distance, above[j - 1] + change);
            if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                distance = least_of(distance, before[j - 2] + 1);
            current[j] = distance;
        }
        size_t *oldest = before;
        before = above;
        above = current;
        current = oldest;
    }
    return above[to_size];
}

bool suggest_word(const char *typed, const char *words, char *meant_out, size_t capacity)
{
    size_t typed_size = strlen(typed);
    if (typed_size == 0 || typed_size > WORD_SIZE_MAX)
        return false;
    const char *nearest = NULL;
    size_t nearest_size = 0;
    size_t nearest_distance = typed_size < 4 ? 2 : 3; /* so far from it is not near */
    size_t size;
    for (const char *word = words; *word != '\0'; word += size + strspn(word + size, " ")) {
        size = strcspn(word, " ");
        if (size > WORD_SIZE_MAX || size + 1 > capacity)
            continue;
        size_t distance = edit_distance(typed, typed_size, word, size);
        if (typed_size >= 3 && typed_size < size && strncmp(typed, word, typed_size) == 0)
            distance = 1;
        if (distance < nearest_distance) {
            nearest = word;
            nearest_size = size;
            nearest_distance = distance;
        }
    }
    if (nearest == NULL)
        return false;
    memcpy(meant_out, nearest, nearest_size);
    meant_out[nearest_size] = '\0';
    return true;
}
