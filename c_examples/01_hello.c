/* Connects, asks one question and prints the answer. On the screen:
 *
 *   connected to PostgreSQL 15.13
 *   number  roman  square
 *   1  I  1
 *   2  II  4
 *   3  III  9
 *   SELECT 3
 *
 * Run it with a connection string ("host=localhost user=me"), a URI, or the PG* environment. conn_wait is for programs
 * without an event loop; 02_poll_loop.c has one.
 */
#include <stdio.h>
#include <pgpoll.h>

static void print_rows(const ConnResult *result)
{
    size_t columns = conn_result_columns(result);

    for (size_t column = 0; column < columns; column++)
        printf("%s%s", column > 0 ? "  " : "", conn_result_name(result, column));
    printf("\n");
    for (size_t row = 0; row < conn_result_rows(result); row++) {
        for (size_t column = 0; column < columns; column++) {
            const char *value = conn_result_value(result, row, column);

            printf("%s%s", column > 0 ? "  " : "", value != NULL ? value : "NULL");
        }
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    Conn *conn = conn_open(argc > 1 ? argv[1] : "");
    int running = 1, failed = 0;

    while (!(conn_wait(conn, -1) & (CONN_IDLE | CONN_FAILED)))
        ;
    if (conn_error(conn) != NULL) {
        fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
        conn_close(conn);
        return 1;
    }
    printf("connected to PostgreSQL %s\n", conn_parameter(conn, "server_version"));

    conn_start_query(conn, "select n as number, to_char(n, 'FMRN') as roman, n * n as square "
                           "from generate_series(1, 3) as n");
    while (running) {
        ConnItem item;

        conn_wait(conn, -1);
        while (conn_get_result(conn, &item)) {
            if (item.kind == CONN_ITEM_ROWS) {
                print_rows(item.result);
            } else if (item.kind == CONN_ITEM_COMPLETE) {
                printf("%s\n", item.tag);
            } else if (item.kind == CONN_ITEM_ERROR) {
                fprintf(stderr, "%s\n", conn_error_text(item.error));
                failed = 1;
            } else if (item.kind == CONN_ITEM_DONE) {
                running = 0;
            }
            conn_result_free(item.result);
            conn_error_free(item.error);
        }
    }
    conn_close(conn);
    return failed;
}
