/* Copies the rows of a query to the standard output, as fast as they come and without copying them in memory. On the screen:
 *
 *   1|I
 *   2|II
 *   3|III
 *   3 rows
 *
 * A slow reader of the output makes the server wait, and takes no memory. 11_copy_in.c goes the other way.
 */
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>
#include <pgpoll.h>

#define SQL "copy (select n, to_char(n, 'FMRN') from generate_series(1, 3) as n) to stdout (delimiter '|')"

/* writev takes the messages as they are: a ConnBytes is laid out as a struct iovec. */
static int write_all(struct iovec *rest, size_t count)
{
    while (count > 0) {
        ssize_t written = writev(STDOUT_FILENO, rest, (int)count);

        if (written < 0)
            return 0;
        for (; count > 0 && (size_t)written >= rest->iov_len; rest++, count--)
            written -= (ssize_t)rest->iov_len;
        if (count > 0) {
            rest->iov_base = (char *)rest->iov_base + written;
            rest->iov_len -= (size_t)written;
        }
    }
    return 1;
}

int main(int argc, char **argv)
{
    Conn *conn = conn_open(argc > 1 ? argv[1] : "");
    unsigned long rows = 0;
    int running = 1, failed = 0;

    while (!(conn_wait(conn, -1) & (CONN_IDLE | CONN_FAILED)))
        ;
    if (conn_error(conn) != NULL || conn_start_copy(conn, SQL) == 0) {
        fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
        conn_close(conn);
        return 1;
    }
    while (running) {
        union { ConnBytes messages[64]; struct iovec pieces[64]; } data;
        ConnItem item;
        size_t count;

        conn_wait(conn, -1);
        while ((count = conn_copy_get(conn, data.messages, 64)) > 0 && !failed) {
            rows += count; /* in text form each message is a row */
            if (!write_all(data.pieces, count)) {
                failed = 1;
                conn_abandon(conn, 0); /* nobody reads any more: the server is told so */
            }
        }
        while (conn_get_result(conn, &item)) {
            if (item.kind == CONN_ITEM_ERROR) {
                fprintf(stderr, "%s\n", conn_error_text(item.error));
                failed = 1;
            } else if (item.kind == CONN_ITEM_DONE) {
                running = 0;
            }
            conn_result_free(item.result);
            conn_error_free(item.error);
        }
    }
    printf("%lu rows\n", rows);
    conn_close(conn);
    return failed;
}
