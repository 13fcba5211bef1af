/* The works with pgpoll, as its README has them: conn_poll, poll(2), conn_get_result. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pgpoll.h>

#include "work.h"

static Conn *connection;

/* Polls and waits until there is something to take or to do, or nothing to wait for; what the last poll said. */
static uint32_t drive(Conn *conn)
{
    for (;;) {
        uint32_t bits = conn_poll(conn);
        struct pollfd fd;

        if (bits & (CONN_RESULT | CONN_IDLE | CONN_FAILED | CONN_MISUSE | CONN_COPY | CONN_ROOM))
            return bits;
        if (bits & CONN_RUNNABLE)
            continue;
        fd.fd = conn_socket(conn);
        fd.events = (short)((bits & CONN_WANT_READ ? POLLIN : 0) | (bits & CONN_WANT_WRITE ? POLLOUT : 0));
        poll(&fd, 1, (int)conn_deadline_ms(conn));
    }
}

/* Calls `take` with rows as they come, up to the end of an operation; frees them. */
static void finish(uint64_t operation, void (*take)(const ConnResult *))
{
    ConnItem item;

    if (operation == 0)
        fail(conn_error_message(conn_error(connection)));
    for (;;) {
        drive(connection);
        if (!conn_get_result(connection, &item))
            fail("the connection is over");
        do {
            switch (item.kind) {
            case CONN_ITEM_ROWS:
                take(item.result);
                conn_result_free(item.result);
                break;
            case CONN_ITEM_ERROR:
                fail(conn_error_message(item.error));
                break;
            case CONN_ITEM_DONE:
                if (item.operation == operation)
                    return;
                break;
            }
        } while (conn_get_result(connection, &item));
    }
}

static void bring_up(Conn *conn)
{
    drive(conn);
    if (conn_error(conn))
        fail(conn_error_message(conn_error(conn)));
}

static Conn *open_connection(void)
{
    Conn *opened = conn_open(conninfo());

    bring_up(opened);
    return opened;
}

static void start(void)
{
    connection = open_connection();
    begin();
}

static void count_rows(const ConnResult *result)
{
    seen += conn_result_rows(result);
}

static void see_cells(const ConnResult *result)
{
    size_t rows = conn_result_rows(result), row, column;

    for (row = 0; row < rows; row++)
        for (column = 0; column < COLUMNS; column++)
            see(conn_result_value(result, row, column), conn_result_length(result, row, column));
}

/* The same by one call for BATCH rows. */
static void see_at_once(const ConnResult *result)
{
    static const char *values[BATCH * COLUMNS];
    static size_t lengths[BATCH * COLUMNS];
    size_t row = 0, rows, cell;

    while ((rows = conn_result_cells(result, row, BATCH, values, lengths)) > 0) {
        for (cell = 0; cell < rows * COLUMNS; cell++)
            see(values[cell], lengths[cell]);
        row += rows;
    }
}

/* The same as Arrow arrays, which are made and released. */
static uint32_t arrow_flags;
static void see_arrow(const ConnResult *result)
{
    struct ArrowSchema schema;
    struct ArrowArray array;

    if (!conn_result_export_arrow(result, arrow_flags, &schema, &array))
        fail(conn_error_message(conn_error(NULL)));
    seen += (unsigned long)array.length;
    schema.release(&schema);
    array.release(&array);
}

static void see_value(const ConnResult *result)
{
    see(conn_result_value(result, 0, 0), conn_result_length(result, 0, 0));
}

static void held(long n)
{
    start();
    finish(conn_start_query(connection, row_query(n)), count_rows);
}

static void cells(long n)
{
    start();
    finish(conn_start_query(connection, row_query(n)), see_cells);
}

static void at_once(long n)
{
    start();
    finish(conn_start_query(connection, row_query(n)), see_at_once);
}

static void binary(long n)
{
    start();
    finish(conn_start_query_params(connection, row_query(n), 0, NULL, NULL, NULL, NULL, CONN_BINARY, 0, 0), see_cells);
}

static void binary_at_once(long n)
{
    start();
    finish(conn_start_query_params(connection, row_query(n), 0, NULL, NULL, NULL, NULL, CONN_BINARY, 0, 0), see_at_once);
}

static void single(long n)
{
    start();
    conn_set_batch(connection, 1, 0);
    finish(conn_start_query(connection, row_query(n)), see_cells);
}

static void batches(long n)
{
    start();
    conn_set_batch(connection, BATCH, 0);
    finish(conn_start_query(connection, row_query(n)), see_cells);
}

static void batches_at_once(long n)
{
    start();
    conn_set_batch(connection, BATCH, 0);
    finish(conn_start_query(connection, row_query(n)), see_at_once);
}

static void arrow_in(long n, int format, uint32_t flags)
{
    start();
    arrow_flags = flags;
    conn_set_batch(connection, ARROW_BATCH, 0);
    finish(conn_start_query_params(connection, row_query(n), 0, NULL, NULL, NULL, NULL, format, 0, 0), see_arrow);
}

static void arrow(long n)
{
    arrow_in(n, CONN_TEXT, 0);
}

static void arrow_views(long n)
{
    arrow_in(n, CONN_TEXT, CONN_ARROW_VIEWS);
}

static void arrow_binary(long n)
{
    arrow_in(n, CONN_BINARY, 0);
}

static void arrow_binary_views(long n)
{
    arrow_in(n, CONN_BINARY, CONN_ARROW_VIEWS);
}

/* The same without exporting anything, for the difference. */
static void arrow_none(long n)
{
    start();
    conn_set_batch(connection, ARROW_BATCH, 0);
    finish(conn_start_query_params(connection, row_query(n), 0, NULL, NULL, NULL, NULL, CONN_BINARY, 0, 0), count_rows);
}

static void point(long n)
{
    start();
    finish(conn_start_prepare(connection, "point", POINT_QUERY, 0, NULL, 0), NULL);
    begin();
    for (; n > 0; n--) {
        const char *value = next_value();

        finish(conn_start_prepared(connection, "point", 1, &value, NULL, NULL, CONN_TEXT, 0, 0), see_value);
    }
}

/* ROUND queries in one group, all started before the first result is taken. */
static void start_copy(const char *sql)
{
    ConnItem item;

    if (!conn_start_copy(connection, sql))
        fail(conn_error_message(conn_error(connection)));
    drive(connection);
    if (!conn_get_result(connection, &item) || item.kind != CONN_ITEM_COPY)
        fail("no COPY");
}

/* The end of a COPY. */
static void copied(void)
{
    ConnItem item;

    do {
        drive(connection);
        while (conn_get_result(connection, &item)) {
            if (item.kind == CONN_ITEM_ERROR)
                fail(conn_error_message(item.error));
            if (item.kind == CONN_ITEM_DONE)
                return;
        }
    } while (1);
}

static void copy_out(long n)
{
    ConnBytes rows[256];
    size_t count, row;

    start();
    start_copy(copy_out_query(n));
    while (drive(connection) & CONN_COPY)
        while ((count = conn_copy_get(connection, rows, 256)) > 0)
            for (row = 0; row < count; row++)
                see(rows[row].data, rows[row].length);
    copied();
}

static void copy_in(long n)
{
    start();
    finish(conn_start_query(connection, COPY_IN_TABLE), NULL);
    start_copy(COPY_IN_QUERY);
    while (n > 0) {
        if (conn_copy_put(connection, COPY_ROW, sizeof COPY_ROW - 1))
            n--;
        else if (conn_error_kind(conn_error(connection)) == CONN_ERROR_WOULD_BLOCK)
            drive(connection);
        else
            fail(conn_error_message(conn_error(connection)));
    }
    if (!conn_copy_end(connection, NULL))
        fail(conn_error_message(conn_error(connection)));
    copied();
}

static void copy_out_mb(long n)
{
    copy_out(n * (long)ROWS_IN_MB);
}

static void copy_in_mb(long n)
{
    copy_in(n * (long)ROWS_IN_MB);
}

static void pipelined(long n)
{
    start();
    finish(conn_start_prepare(connection, "point", POINT_QUERY, 0, NULL, 0), NULL);
    begin();
    for (; n > 0; n -= ROUND) {
        int query;

        for (query = 0; query < ROUND; query++) {
            const char *value = next_value();

            if (!conn_start_prepared(connection, "point", 1, &value, NULL, NULL, CONN_TEXT, 0, CONN_MORE))
                fail(conn_error_message(conn_error(connection)));
        }
        finish(conn_sync(connection), see_value);
    }
}

/* The same with all executions in one call, and their items in a few. */
static void pipelined_at_once(long n)
{
    static char values[ROUND][VALUE_SIZE];
    static const char *pointers[ROUND];
    static ConnItem items[3 * ROUND]; /* rows, completion and end of each query */
    int ended;

    start();
    finish(conn_start_prepare(connection, "point", POINT_QUERY, 0, NULL, 0), NULL);
    begin();
    for (; n > 0; n -= ROUND) {
        uint64_t first;
        size_t started, count, i;

        for (i = 0; i < ROUND; i++)
            pointers[i] = memcpy(values[i], next_value(), VALUE_SIZE);
        first = conn_start_prepared_many(connection, "point", 1, ROUND, pointers, NULL, NULL, CONN_TEXT, 0, &started);
        if (!first || started != ROUND)
            fail(conn_error_message(conn_error(connection)));
        for (ended = 0; ended < ROUND;) {
            drive(connection);
            while ((count = conn_get_results(connection, items, 3 * ROUND)) > 0)
                for (i = 0; i < count; i++)
                    switch (items[i].kind) {
                    case CONN_ITEM_ROWS:
                        see_value(items[i].result);
                        conn_result_free(items[i].result);
                        break;
                    case CONN_ITEM_ERROR:
                        fail(conn_error_message(items[i].error));
                        break;
                    case CONN_ITEM_DONE:
                        ended++;
                        break;
                    }
        }
    }
}

static void simple(long n)
{
    start();
    for (; n > 0; n--)
        finish(conn_start_query(connection, SIMPLE_QUERY), see_value);
}

static void connecting(long n)
{
    for (; n > 0; n--)
        conn_close(open_connection());
}

static void resetting(long n)
{
    start();
    for (; n > 0; n--) {
        conn_reset(connection);
        bring_up(connection);
    }
}

/* Kept open until the program ends. */
static void idle(long n)
{
    for (; n > 0; n--)
        connection = open_connection();
}

static void used(long n)
{
    for (; n > 0; n--) {
        connection = open_connection();
        finish(conn_start_query(connection, SIMPLE_QUERY), count_rows);
    }
}

/* The rows are held when the program ends, and the peak is read. */
static void memory(long n)
{
    ConnItem item;

    start();
    if (!conn_start_query(connection, row_query(n)))
        fail(conn_error_message(conn_error(connection)));
    drive(connection);
    if (!conn_get_result(connection, &item) || item.kind != CONN_ITEM_ROWS)
        fail("no rows");
    seen += conn_result_rows(item.result);
}

const struct work works[] = {
    { "held", held },
    { "cells", cells },
    { "at-once", at_once },
    { "binary", binary },
    { "binary-at-once", binary_at_once },
    { "single", single },
    { "batches", batches },
    { "batches-at-once", batches_at_once },
    { "arrow", arrow },
    { "arrow-views", arrow_views },
    { "arrow-binary", arrow_binary },
    { "arrow-binary-views", arrow_binary_views },
    { "arrow-none", arrow_none },
    { "point", point },
    { "pipelined", pipelined },
    { "pipelined-at-once", pipelined_at_once },
    { "copy-out", copy_out },
    { "copy-in", copy_in },
    { "copy-out-mb", copy_out_mb },
    { "copy-in-mb", copy_in_mb },
    { "simple", simple },
    { "connect", connecting },
    { "reset", resetting },
    { "idle", idle },
    { "used", used },
    { "memory", memory },
    { NULL, NULL },
};
