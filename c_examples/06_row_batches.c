/* Reads a result of half a gigabyte in batches: memory stays small, because what is not taken stops the reading. On the screen:
 *
 *   5000000 rows, 534 MB of values
 *   memory at most: 9 MB
 *
 * A second argument is the number of rows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <pgpoll.h>

enum { BATCH = 1000, COLUMNS = 2 };

int main(int argc, char **argv)
{
    Conn *conn = conn_open(argc > 1 ? argv[1] : "");
    const char *values[BATCH * COLUMNS];
    size_t lengths[BATCH * COLUMNS], rows = 0, bytes = 0;
    struct rusage used;
    char sql[100];
    int running;

    while (!(conn_wait(conn, -1) & (CONN_IDLE | CONN_FAILED)))
        ;
    conn_set_batch(conn, BATCH, 0);
    snprintf(sql, sizeof sql, "select generate_series(1, %ld), repeat('x', 100)", argc > 2 ? atol(argv[2]) : 5000000);
    running = conn_start_query(conn, sql) != 0;
    if (!running)
        fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
    while (running) {
        ConnItem item;

        conn_wait(conn, -1);
        while (conn_get_result(conn, &item)) {
            /* One call for all values and lengths of the batch: row after row. */
            size_t count = conn_result_cells(item.result, 0, BATCH, values, lengths);

            for (size_t cell = 0; cell < count * COLUMNS; cell++)
                bytes += lengths[cell];
            rows += count;
            if (item.kind == CONN_ITEM_ERROR)
                fprintf(stderr, "%s\n", conn_error_text(item.error));
            running = item.kind != CONN_ITEM_DONE;
            conn_result_free(item.result);
            conn_error_free(item.error);
        }
    }
    conn_close(conn);
    getrusage(RUSAGE_SELF, &used);
    printf("%zu rows, %zu MB of values\n", rows, bytes / 1000000);
    printf("memory at most: %ld MB\n", used.ru_maxrss / 1024); /* Linux counts in kilobytes */
    return rows > 0 ? 0 : 1;
}
