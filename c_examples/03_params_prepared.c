/* Parameters, NULL, a prepared statement, binary values. On the screen:
 *
 *   O'Reilly has 8 letters; its NULL is NULL
 *   5! = 120
 *   10! = 3628800
 *   20! = 2432902008176640000
 *   21! is error 22003: bigint out of range
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <pgpoll.h>

static void show_text(const ConnResult *result)
{
    printf("%s has %s letters; its NULL is %s\n", conn_result_value(result, 0, 0), conn_result_value(result, 0, 1),
           conn_result_is_null(result, 0, 2) ? "NULL" : conn_result_value(result, 0, 2));
}

/* Binary integers come in network byte order, and not aligned: they are copied out, never cast. */
static void show_binary(const ConnResult *result)
{
    uint32_t n, high, low;
    const char *factorial = conn_result_value(result, 0, 1);

    memcpy(&n, conn_result_value(result, 0, 0), sizeof n);
    memcpy(&high, factorial, sizeof high);
    memcpy(&low, factorial + sizeof high, sizeof low);
    printf("%" PRIu32 "! = %" PRIu64 "\n", ntohl(n), (uint64_t)ntohl(high) << 32 | ntohl(low));
}

/* Takes everything up to the end of one operation: every operation ends with exactly one CONN_ITEM_DONE. */
static void finish(Conn *conn, uint64_t operation, void (*show)(const ConnResult *))
{
    ConnItem item = {0};

    if (operation == 0) /* it was refused */
        fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
    while (operation != 0 && !(item.operation == operation && item.kind == CONN_ITEM_DONE)) {
        if (!conn_get_result(conn, &item)) {
            conn_wait(conn, -1);
            continue;
        }
        if (item.kind == CONN_ITEM_ROWS)
            show(item.result);
        if (item.kind == CONN_ITEM_ERROR)
            printf("21! is error %s: %s\n", conn_error_sqlstate(item.error), conn_error_message(item.error));
        conn_result_free(item.result);
        conn_error_free(item.error);
    }
}

int main(int argc, char **argv)
{
    Conn *conn = conn_open(argc > 1 ? argv[1] : "");
    const char *words[] = {"O'Reilly", NULL};
    const uint32_t ns[] = {htonl(5), htonl(10), htonl(20), htonl(21)};
    const int length = sizeof ns[0], format = CONN_BINARY;
    uint64_t operations[4];

    while (!(conn_wait(conn, -1) & (CONN_IDLE | CONN_FAILED)))
        ;
    finish(conn, conn_start_query_params(conn, "select $1::text, length($1), $2::text", 2, NULL, words, NULL, NULL,
                                         CONN_TEXT, 0, 0), show_text);
    conn_start_prepare(conn, "factorial", "select $1::int4, factorial($1)::int8", 0, NULL, 0);
    /* Nothing waits between these: they are on their way together, and are answered in order. */
    for (int i = 0; i < 4; i++) {
        const char *value = (const char *)&ns[i];

        operations[i] = conn_start_prepared(conn, "factorial", 1, &value, &length, &format, CONN_BINARY, 0, 0);
    }
    for (int i = 0; i < 4; i++)
        finish(conn, operations[i], show_binary);
    conn_close(conn);
    return operations[3] > 0 ? 0 : 1;
}
