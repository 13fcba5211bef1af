/* Physical replication: receives a segment of the server's write-ahead log into a file, byte for byte what the server has under
 * that name in pg_wal. For a superuser; from a server with segments of 1 MB. On the screen:
 *
 *   000000010000000000000007: 1048576 bytes
 */
#include <stdio.h>
#include <pgpoll.h>

static unsigned timeline, high, low, size, received; /* Where the segment begins, how long it is, how much of it is here. */

/* Returns 1 when the operation is done, -1 when it has failed. */
static int take_results(Conn *conn)
{
    ConnItem item;
    int done = 0;

    while (conn_get_result(conn, &item)) {
        if (item.kind == CONN_ITEM_ROWS && item.rows == 1 && timeline == 0) { /* IDENTIFY_SYSTEM */
            sscanf(conn_result_value(item.result, 0, 1), "%u", &timeline);
            sscanf(conn_result_value(item.result, 0, 2), "%X/%X", &high, &low);
        } else if (item.kind == CONN_ITEM_ROWS && item.rows == 1 && size == 0) {
            sscanf(conn_result_value(item.result, 0, 0), "%u", &size);
            low -= size > 0 ? low % size : 0;
        }
        if (item.kind == CONN_ITEM_ERROR)
            fprintf(stderr, "%s\n", conn_error_text(item.error));
        if (item.kind == CONN_ITEM_DONE)
            done = item.outcome == CONN_OUTCOME_OK ? 1 : -1;
        conn_result_free(item.result);
        conn_error_free(item.error);
    }
    return done;
}

/* In a message of type w the log stands behind 25 bytes. Returns 0 when it cannot be written. */
static int take_data(Conn *conn, FILE *file)
{
    ConnBytes message;

    while (received < size && conn_copy_get(conn, &message, 1) > 0) {
        const char *bytes = message.data;
        size_t more = message.length > 25 && *bytes == 'w' ? message.length - 25 : 0;

        more = more < size - received ? more : size - received;
        received += (unsigned)more;
        if (more > 0 && fwrite(bytes + 25, 1, more, file) != more)
            return 0;
        if (received == size)
            conn_copy_end(conn, NULL);
    }
    return 1;
}

int main(int argc, char **argv)
{
    const char *names[] = {"dbname", "replication", NULL}, *values[] = {argc > 1 ? argv[1] : "", "database", NULL};
    char start[80];
    const char *const steps[] = {"IDENTIFY_SYSTEM", "select setting from pg_settings where name = 'wal_segment_size'",
                                 "select pg_logical_emit_message(true, '', ''), pg_switch_wal()", start};
    Conn *conn = conn_open_params(names, values, 1);
    FILE *file = fopen(argc > 2 ? argv[2] : "segment", "wb");
    int step = 0, done = 0;

    while (file != NULL && done >= 0 && !(done && step == 4)) {
        unsigned bits = conn_wait(conn, -1);

        done = take_data(conn, file) ? take_results(conn) : -1;
        if (bits & CONN_FAILED)
            done = -1 - fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
        snprintf(start, sizeof start, "START_REPLICATION PHYSICAL %X/%X TIMELINE %u", high, low, timeline);
        if ((bits & CONN_IDLE) && step < 4)
            conn_start_copy(conn, steps[step++]); /* What is no COPY is run all the same. */
    }
    if (file != NULL && fclose(file) == 0 && done > 0)
        printf("%08X%08X%08X: %u bytes\n", timeline, high, low / size, size);
    conn_close(conn);
    return done > 0 ? 0 : 1;
}
