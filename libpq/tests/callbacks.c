/* A notice processor that calls in again, and one that never returns: longjmp out of PQexec. The connection lives.
 *
 *   callbacks CONNINFO
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;
extern PGconn *PQconnectdb(const char *);
extern void PQfinish(PGconn *);
extern PGresult *PQexec(PGconn *, const char *);
extern PGresult *PQgetResult(PGconn *);
extern void PQclear(PGresult *);
extern int PQstatus(const PGconn *), PQtransactionStatus(const PGconn *), PQresultStatus(const PGresult *);
extern char *PQgetvalue(const PGresult *, int, int), *PQerrorMessage(const PGconn *);
extern void (*PQsetNoticeProcessor(PGconn *, void (*)(void *, const char *), void *))(void *, const char *);

static PGconn *conn;
static jmp_buf back;
static int calls;

static void jump(void *argument, const char *message)
{
    (void)argument;
    printf("jump: %s", message);
    calls++;
    longjmp(back, 1);
}

static void call_in(void *argument, const char *message)
{
    (void)argument;
    printf("call: %s", message);
    if (PQstatus(conn) != 0 || PQtransactionStatus(conn) < 0 || !PQerrorMessage(conn))
        exit(3);
    if (calls++ < 3)
        PQclear(PQexec(conn, "do $$ begin raise notice 'nested'; end $$"));
}

static int one_is_one(void)
{
    PGresult *result;
    int good;

    while ((result = PQgetResult(conn)))
        PQclear(result);
    result = PQexec(conn, "select 1");
    good = PQresultStatus(result) == 2 && strcmp(PQgetvalue(result, 0, 0), "1") == 0;
    PQclear(result);
    return good;
}

int main(int argc, char **argv)
{
    static const char *const sql = "do $$ begin raise notice 'one'; raise notice 'two'; end $$";

    conn = PQconnectdb(argc > 1 ? argv[1] : "");
    if (PQstatus(conn) != 0)
        return 2;
    PQsetNoticeProcessor(conn, jump, NULL);
    if (setjmp(back) == 0)
        PQclear(PQexec(conn, sql));
    if (calls == 0 || (setjmp(back) == 0 && !one_is_one()))
        return 4;
    while (setjmp(back))
        ;
    if (!one_is_one())
        return 5;
    calls = 0;
    PQsetNoticeProcessor(conn, call_in, NULL);
    PQclear(PQexec(conn, sql));
    if (calls < 4 || !one_is_one())
        return 6;
    PQfinish(conn);
    printf("alive\n");
    return 0;
}
