/*
 * The SQL of the file format, for those who run their migrations themselves.
 */
#include <stdio.h>

#include <stele.h>

int main(void)
{
    fputs(stele_schema_sql(), stdout);
    return 0;
}
