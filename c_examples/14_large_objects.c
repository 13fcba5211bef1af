/* Large objects: a file becomes one, a piece of it is changed in place, and it becomes a file again. On the screen:
 *
 *   imported 300000 bytes
 *   bytes 1000 to 1009: ABC_______
 *   exported 300000 bytes, of which 3 are not _
 *   removed; again: error 42704
 */
#include <stdio.h>
#include <pgpoll.h>

enum { SIZE = 300000 };

/* Takes everything up to the end of one operation; what its function returned is a number, or (a read) bytes. */
static int64_t finish(Conn *conn, uint64_t operation)
{
    ConnItem item = {0};
    int64_t returned = -1;

    if (operation == 0) /* it was refused */
        fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
    while (operation != 0 && !(item.operation == operation && item.kind == CONN_ITEM_DONE)) {
        if (!conn_get_result(conn, &item)) {
            conn_wait(conn, -1);
            continue;
        }
        if (item.kind == CONN_ITEM_CALLED) {
            returned = item.value;
            if (conn_result_length(item.result, 0, 0) > 8)
                printf("bytes 1000 to 1009: %s\n", conn_result_value(item.result, 0, 0));
        }
        if (item.kind == CONN_ITEM_ERROR)
            printf("error %s\n", conn_error_sqlstate(item.error));
        conn_result_free(item.result);
        conn_error_free(item.error);
    }
    return returned;
}

int main(int argc, char **argv)
{
    Conn *conn = conn_open(argc > 1 ? argv[1] : "");
    FILE *in = tmpfile(), *out = tmpfile();
    uint64_t commit;
    int64_t oid;
    int byte, other = 0, size = 0;

    while (!(conn_wait(conn, -1) & (CONN_IDLE | CONN_FAILED)))
        ;
    if (conn_error(conn) != NULL || in == NULL || out == NULL) {
        fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
        return 1;
    }
    for (int at = 0; at < SIZE; at++)
        putc('_', in);
    rewind(in);
    /* Outside of a transaction block, import and export have a transaction of their own. */
    oid = finish(conn, conn_start_lo_import(conn, fileno(in), 0));
    printf(oid > 0 ? "imported %d bytes\n" : "not imported\n", SIZE);
    /* A descriptor lives in a transaction block; the first is 0. All of this goes to the server at once. */
    conn_start_query(conn, "begin");
    conn_start_lo_open(conn, (uint32_t)oid, CONN_LO_READ | CONN_LO_WRITE);
    conn_start_lo_seek(conn, 0, 1000, SEEK_SET);
    conn_start_lo_write(conn, 0, "ABC", 3);
    conn_start_lo_seek(conn, 0, -3, SEEK_CUR);
    conn_start_lo_read(conn, 0, 10);
    commit = conn_start_query(conn, "commit");
    finish(conn, commit);
    if (finish(conn, conn_start_lo_export(conn, (uint32_t)oid, fileno(out))) == oid)
        for (rewind(out); (byte = getc(out)) != EOF; size++)
            other += byte != '_';
    printf("exported %d bytes, of which %d are not _\n", size, other);
    if (finish(conn, conn_start_lo_unlink(conn, (uint32_t)oid)) == 1)
        printf("removed; again: ");
    finish(conn, conn_start_lo_unlink(conn, (uint32_t)oid));
    conn_close(conn);
    fclose(in);
    fclose(out);
    return 0;
}
