#include "operand.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

#define READ_SIZE ((size_t)64 * 1024)

/* Read standard input to its end, or to just beyond `size_max`: the library then refuses it. */
static bool read_input(buffer *to, size_t size_max)
{
    buffer_add(to, "", 0);
    while (to->size <= size_max) {
        to->bytes = grow(to->bytes, &to->capacity, to->size + READ_SIZE + 1, 1);
        ssize_t size = read(STDIN_FILENO, to->bytes + to->size, READ_SIZE);
        if (size == 0)
            break;
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0) {
            report_error("can't read standard input: %s", strerror(errno));
            return false;
        }
        to->size += (size_t)size;
    }
    return true;
}

/* The newline that echo and editors put at the end belongs to the line, not to the JSON. */
static void drop_newline(buffer *of)
{
    if (of->size > 0 && of->bytes[of->size - 1] == '\n')
        of->size--;
    if (of->size > 0 && of->bytes[of->size - 1] == '\r')
        of->size--;
}

bool take_data(const char *data, size_t size_max, bool is_line, buffer *input,
               const void **bytes_out, size_t *size_out)
{
    *bytes_out = data == NULL ? "" : data;
    *size_out = data == NULL ? 0 : strlen(data);
    if (data == NULL || strcmp(data, "-") != 0)
        return true;
    if (!read_input(input, size_max))
        return false;
    if (is_line)
        drop_newline(input);
    *bytes_out = input->bytes;
    *size_out = input->size;
    return true;
}
