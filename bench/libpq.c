/* The works with libpq, as its manual has them: blocking calls. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <libpq-fe.h>

#include "work.h"

static PGconn *connection;

static PGconn *open_connection(void)
{
    PGconn *opened = PQconnectdb(conninfo());

    if (PQstatus(opened) != CONNECTION_OK)
        fail(PQerrorMessage(opened));
    return opened;
}

static void start(void)
{
    connection = open_connection();
    begin();
}

/* The result if it has rows. */
static PGresult *checked(PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_SINGLE_TUPLE
#ifdef LIBPQ_HAS_CHUNK_MODE
        && status != PGRES_TUPLES_CHUNK
#endif
    )
        fail(PQerrorMessage(connection));
    return result;
}

static void see_cells(const PGresult *result)
{
    int rows = PQntuples(result), row, column;

    for (row = 0; row < rows; row++)
        for (column = 0; column < COLUMNS; column++)
            see(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
}

static void held(long n)
{
    PGresult *result;

    start();
    result = checked(PQexec(connection, row_query(n)));
    seen += (unsigned long)PQntuples(result);
    PQclear(result);
}

static void cells(long n)
{
    PGresult *result;

    start();
    result = checked(PQexec(connection, row_query(n)));
    see_cells(result);
    PQclear(result);
}

static void binary(long n)
{
    PGresult *result;

    start();
    result = checked(PQexecParams(connection, row_query(n), 0, NULL, NULL, NULL, NULL, 1));
    see_cells(result);
    PQclear(result);
}

/* What PQsetSingleRowMode and PQsetChunkedRowsMode deliver. */
static void see_pieces(void)
{
    PGresult *result;

    while ((result = PQgetResult(connection)) != NULL) {
        see_cells(checked(result));
        PQclear(result);
    }
}

static void single(long n)
{
    start();
    if (!PQsendQuery(connection, row_query(n)) || !PQsetSingleRowMode(connection))
        fail(PQerrorMessage(connection));
    see_pieces();
}

#ifdef LIBPQ_HAS_CHUNK_MODE
static void batches(long n)
{
    start();
    if (!PQsendQuery(connection, row_query(n)) || !PQsetChunkedRowsMode(connection, BATCH))
        fail(PQerrorMessage(connection));
    see_pieces();
}
#endif

static void point(long n)
{
    start();
    PQclear(checked(PQprepare(connection, "point", POINT_QUERY, 0, NULL)));
    begin();
    for (; n > 0; n--) {
        const char *value = next_value();
        PGresult *result = checked(PQexecPrepared(connection, "point", 1, &value, NULL, NULL, 0));

        see(PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0));
        PQclear(result);
    }
}

/* The result if it is the one that is expected next. */
static PGresult *next(ExecStatusType expected)
{
    PGresult *result = PQgetResult(connection);

    if (PQresultStatus(result) != expected)
        fail(PQerrorMessage(connection));
    return result;
}

/* The end of a COPY. */
static void copied(void)
{
    PGresult *result;

    while ((result = PQgetResult(connection)) != NULL)
        PQclear(checked(result));
}

static void copy_out(long n)
{
    char *row;
    int length;

    start();
    PQclear(PQexec(connection, copy_out_query(n)));
    while ((length = PQgetCopyData(connection, &row, 0)) > 0) {
        see(row, (size_t)length);
        PQfreemem(row);
    }
    copied();
}

static void copy_in(long n)
{
    start();
    PQclear(checked(PQexec(connection, COPY_IN_TABLE)));
    PQclear(PQexec(connection, COPY_IN_QUERY));
    for (; n > 0; n--)
        if (PQputCopyData(connection, COPY_ROW, sizeof COPY_ROW - 1) != 1)
            fail(PQerrorMessage(connection));
    if (PQputCopyEnd(connection, NULL) != 1)
        fail(PQerrorMessage(connection));
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

/* ROUND queries before one sync, all sent before the first result is taken. */
static void pipelined(long n)
{
    start();
    PQclear(checked(PQprepare(connection, "point", POINT_QUERY, 0, NULL)));
    if (!PQenterPipelineMode(connection))
        fail(PQerrorMessage(connection));
    begin();
    for (; n > 0; n -= ROUND) {
        int query;

        for (query = 0; query < ROUND; query++) {
            const char *value = next_value();

            if (!PQsendQueryPrepared(connection, "point", 1, &value, NULL, NULL, 0))
                fail(PQerrorMessage(connection));
        }
        if (!PQpipelineSync(connection))
            fail(PQerrorMessage(connection));
        for (query = 0; query < ROUND; query++) {
            PGresult *result = next(PGRES_TUPLES_OK);

            see(PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0));
            PQclear(result);
            if (PQgetResult(connection))
                fail("more than one result");
        }
        PQclear(next(PGRES_PIPELINE_SYNC));
    }
}

static void simple(long n)
{
    start();
    for (; n > 0; n--) {
        PGresult *result = checked(PQexec(connection, SIMPLE_QUERY));

        see(PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0));
        PQclear(result);
    }
}

static void connecting(long n)
{
    for (; n > 0; n--)
        PQfinish(open_connection());
}

static void resetting(long n)
{
    start();
    for (; n > 0; n--) {
        PQreset(connection);
        if (PQstatus(connection) != CONNECTION_OK)
            fail(PQerrorMessage(connection));
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
        PGresult *result;

        connection = open_connection();
        result = checked(PQexec(connection, SIMPLE_QUERY));
        seen += (unsigned long)PQntuples(result);
        PQclear(result);
    }
}

static void memory(long n)
{
    start();
    seen += (unsigned long)PQntuples(checked(PQexec(connection, row_query(n))));
}

static long long cpu_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* What is seen is the longest call, in microseconds of CPU. */
static void longest(long n)
{
    for (; n > 0; n--) {
        PostgresPollingStatusType status = PGRES_POLLING_WRITING;

        connection = PQconnectStart(conninfo());
        while (status != PGRES_POLLING_OK) {
            struct pollfd watched = { PQsocket(connection), status == PGRES_POLLING_READING ? POLLIN : POLLOUT, 0 };
            long long before;

            poll(&watched, 1, -1);
            before = cpu_now();
            status = PQconnectPoll(connection);
            if (cpu_now() - before > (long long)seen)
                seen = (unsigned long)(cpu_now() - before);
            if (status == PGRES_POLLING_FAILED)
                fail(PQerrorMessage(connection));
        }
        PQfinish(connection);
    }
}

/* Not measured: what the table says of itself. */
static void library(long n)
{
    (void)n;
    seen = (unsigned long)PQlibVersion();
}

static void server(long n)
{
    (void)n;
    start();
    seen = (unsigned long)PQserverVersion(connection);
}

const struct work works[] = {
    { "held", held },
    { "cells", cells },
    { "binary", binary },
    { "single", single },
#ifdef LIBPQ_HAS_CHUNK_MODE
    { "batches", batches },
#endif
    { "point", point },
    { "pipelined", pipelined },
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
    { "longest", longest },
    { "library", library },
    { "server", server },
    { NULL, NULL },
};
