/* Copies rows to the server, as fast as it takes them; then one that it refuses. On the screen:
 *
 *   COPY 100000
 *   invalid input syntax for type integer: "three"
 *   100000 rows are there
 *
 * An error of the server comes as an item at once: nobody has to put all the rest first. 12_copy_out.c goes the other way.
 */
#include <stdio.h>
#include <string.h>
#include <pgpoll.h>

/* Prints what the operation gives, to its end. */
static void finish(Conn *conn)
{
    ConnItem item = { 0 };

    while (item.kind != CONN_ITEM_DONE) {
        conn_wait(conn, -1);
        while (conn_get_result(conn, &item)) {
            if (item.kind == CONN_ITEM_ROWS)
                printf("%s rows are there\n", conn_result_value(item.result, 0, 0));
            else if (item.kind == CONN_ITEM_COMPLETE && strncmp(item.tag, "COPY", 4) == 0)
                printf("%s\n", item.tag);
            else if (item.kind == CONN_ITEM_ERROR)
                printf("%s\n", conn_error_message(item.error));
            conn_result_free(item.result);
            conn_error_free(item.error);
        }
    }
}

/* 0 when the server takes no more: an item says why. */
static int put(Conn *conn, const char *data, size_t length)
{
    while (!conn_copy_put(conn, data, length)) {
        if (conn_error_kind(conn_error(conn)) != CONN_ERROR_WOULD_BLOCK)
            return 0;
        conn_wait(conn, -1); /* sends, up to CONN_ROOM; and hears what the server says */
    }
    return 1;
}

static void copy(Conn *conn, const char *format, int last)
{
    ConnItem begun;
    char row[64];

    conn_start_copy(conn, "copy pg_temp.numbers from stdin");
    do
        conn_wait(conn, -1);
    while (!conn_get_result(conn, &begun)); /* CONN_ITEM_COPY */
    for (int n = 1; n <= last; n++)
        if (!put(conn, row, (size_t)snprintf(row, sizeof row, format, n)))
            break;
    conn_copy_end(conn, NULL);
    finish(conn);
}

int main(int argc, char **argv)
{
    Conn *conn = conn_open(argc > 1 ? argv[1] : "");

    while (!(conn_wait(conn, -1) & (CONN_IDLE | CONN_FAILED)))
        ;
    if (conn_error(conn) != NULL) {
        fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
        conn_close(conn);
        return 1;
    }
    conn_start_query(conn, "create temp table numbers (n int)");
    finish(conn);
    copy(conn, "%d\n", 100000);
    copy(conn, "three\n", 1);
    conn_start_query(conn, "select count(*) from numbers");
    finish(conn);
    conn_close(conn);
    return 0;
}
