/* Pipelines: groups that succeed or fail together, and a send queue that fills up. On the screen:
 *
 *   bob has 70
 *   alice has 80
 *   the transfer is committed
 *   error 23514: new row for relation "accounts" violates check constraint "solvent"
 *   (skipped)
 *   the transfer is undone
 *   5000 operations are done; the queue was full, and had room again
 */
#include <stdio.h>
#include <stdlib.h>
#include <pgpoll.h>

static int failed, done, room = 1;

/* Takes what comes until so many operations are done. */
static void until(Conn *conn, int count)
{
    ConnItem item;

    while (done < count) {
        unsigned bits = conn_wait(conn, -1);

        room |= (bits & CONN_ROOM) != 0; /* said once after a refusal */
        for (; conn_get_result(conn, &item); conn_result_free(item.result), conn_error_free(item.error)) {
            if (item.kind == CONN_ITEM_ROWS && conn_result_columns(item.result) == 2)
                printf("%s has %s\n", conn_result_value(item.result, 0, 0), conn_result_value(item.result, 0, 1));
            else if (item.kind == CONN_ITEM_ERROR)
                printf("error %s: %s\n", conn_error_sqlstate(item.error), conn_error_message(item.error));
            else if (item.kind == CONN_ITEM_SKIPPED)
                printf("(skipped)\n"); /* one before it in its group has failed */
            failed |= item.kind == CONN_ITEM_DONE && item.outcome != CONN_OUTCOME_OK;
            done += item.kind == CONN_ITEM_DONE;
        }
        if (bits & CONN_FAILED)
            exit(fprintf(stderr, "%s\n", conn_error_text(conn_error(conn))) != 0);
    }
}

/* What is started with CONN_MORE is one transaction, up to conn_sync, without BEGIN and COMMIT: one round trip. */
static void transfer(Conn *conn, const char *from, const char *to, const char *amount)
{
    const char *give[] = {amount, from}, *get[] = {amount, to};

    done = failed = 0;
    conn_start_prepared(conn, "give", 2, give, NULL, NULL, CONN_TEXT, 0, CONN_MORE);
    conn_start_prepared(conn, "get", 2, get, NULL, NULL, CONN_TEXT, 0, CONN_MORE);
    conn_sync(conn); /* its done carries the errors of the commit */
    until(conn, 3);
    printf("the transfer is %s\n", failed ? "undone" : "committed");
}

int main(int argc, char **argv)
{
    Conn *conn = conn_open(argc > 1 ? argv[1] : "");
    int started = 0, full = 0;

    while (!(conn_wait(conn, -1) & (CONN_IDLE | CONN_FAILED)))
        ;
    conn_start_query(conn, "create temp table accounts (name text, balance int constraint solvent check(balance>0));"
                           "insert into accounts values ('alice', 50), ('bob', 100)");
    conn_start_prepare(conn, "give", "update accounts set balance=balance-$1 where name=$2 returning *", 0, NULL, 0);
    conn_start_prepare(conn, "get", "update accounts set balance=balance+$1 where name=$2 returning *", 0, NULL, 0);
    until(conn, 3);
    transfer(conn, "bob", "alice", "30");
    transfer(conn, "bob", "alice", "300");
    conn_set_send_queue(conn, 20000); /* bytes that may be queued and not sent: 16 MiB without this call */
    for (done = 0; done < 5000; until(conn, done + 1))
        while (room && started < 5000) {
            room = conn_start_query_params(conn, "select 1", 0, NULL, NULL, NULL, NULL, CONN_TEXT, 0, 0) != 0;
            started += room;
            full += !room && conn_error_kind(conn_error(conn)) == CONN_ERROR_WOULD_BLOCK;
        }
    printf("%d operations are done; the queue was %s\n", done, full ? "full, and had room again" : "never full");
    conn_close(conn);
    return 0;
}
