/* Connections across fork and exit: one that a parent opens for its child, one that a child only closes, one that is closed when all is over. */
#define _POSIX_C_SOURCE 200809L
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static PGconn *conn;

static void ask(const char *who, const char *sql)
{
    PGresult *res = PQexec(conn, sql);

    printf("%s: %s %s", who, PQresStatus(PQresultStatus(res)), PQresultErrorMessage(res));
    printf("%s\n", PQntuples(res) ? PQgetvalue(res, 0, 0) : "");
    PQclear(res);
}

/* Waits for a child, which runs `work` and ends without handlers of atexit. */
static void child(void (*work)(void))
{
    pid_t pid;
    int status;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        work();
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    printf("child ended with %d\n", status);
}

static void uses_and_closes(void)
{
    ask("child", "select 'asked by the child'");
    ask("child", "select 1 / 0");
    PQfinish(conn);
}

static void receives(void)
{
    PGresult *res;

    while ((res = PQgetResult(conn)) != NULL) {
        printf("child received %s\n", PQgetvalue(res, 0, 0));
        PQclear(res);
    }
}

static void only_closes(void)
{
    PQfinish(conn);
}

static void at_exit(void)
{
    ask("at exit", "select 'the last one'");
    PQfinish(conn);
    conn = PQconnectdb(getenv("CONNINFO"));
    ask("at exit", "select 'the very last one'");
    PQfinish(conn);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    PGresult *res;

    if (argc < 2)
        return 2;
    setvbuf(stdout, NULL, _IOFBF, 65536);
    setenv("CONNINFO", argv[1], 1);

    conn = PQconnectdb(argv[1]);
    ask("parent", "select 'before'");
    child(uses_and_closes);
    PQfinish(conn);

    conn = PQconnectdb(argv[1]);
    printf("%d\n", PQsendQuery(conn, "select 'sent by the parent'"));
    child(receives);
    PQfinish(conn);

    conn = PQconnectdb(argv[1]);
    child(only_closes);
    res = PQexec(conn, "select");
    printf("the session that a child closed goes on for its parent: %d\n", PQresultStatus(res) == PGRES_TUPLES_OK);
    PQclear(res);
    PQreset(conn);
    ask("parent", "select 'reset'");

    atexit(at_exit);
    return 0;
}
