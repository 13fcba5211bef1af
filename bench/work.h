/* The works that are measured, the same for both libraries: their texts and what they answer. Knows neither library. */
#ifndef WORK_H
#define WORK_H

#include <stddef.h>

#define COLUMNS 5
#define BATCH 1000
#define ARROW_BATCH 10000
/* Queries of one pipeline. */
#define ROUND 100
#define ROW_QUERY                                                                                       \
    "select i, i::int8*1000003, md5(i::text), i*0.5::float8, timestamp '2026-01-01'+i*interval '1 second'" \
    " from generate_series(1,%ld) i"
#define POINT_QUERY "select $1::int4"
#define SIMPLE_QUERY "select 1"
/* COPY of rows like this one, 45 bytes with the newline. */
#define COPY_ROW "1234567\tabcdefghijklmnopqrstuvwxyz\t123456789\n"
#define COPY_OUT_QUERY                                                                    \
    "copy (select 1234567, 'abcdefghijklmnopqrstuvwxyz', 123456789 from generate_series(1,%ld)) to stdout"
#define COPY_IN_TABLE "create temp table copied (a int, b text, c int) on commit delete rows"
#define COPY_IN_QUERY "copy copied from stdin"
/* Rows in a megabyte. */
#define ROWS_IN_MB (1048576 / (sizeof COPY_ROW - 1))

/* One work: `n` rows, queries or connections of it. */
struct work {
    const char *name;
    void (*run)(long n);
};

/* Ends with a work without a name. Each program has its own. */
extern const struct work works[];

/* What was seen: both programs print it, and both must have seen the same. */
extern unsigned long seen;

/* The time and the heap are counted from here: a work calls it when it is connected. */
void begin(void);
/* ROW_QUERY of n rows. */
const char *row_query(long n);
/* COPY_OUT_QUERY of n rows. */
const char *copy_out_query(long n);
/* What to connect with: BENCH_CONNINFO, beside the usual variables. */
const char *conninfo(void);
/* The next value of the point query: a number as text. */
const char *next_value(void);
/* Its bytes with the NUL. */
#define VALUE_SIZE 8
/* Ends the program. */
void fail(const char *why);

/* A value is used: its length, its first and its last byte. */
static inline void see(const char *value, size_t length)
{
    seen += length;
    if (length > 0)
        seen += (unsigned char)value[0] + (unsigned char)value[length - 1];
}

#endif
