/* Hands a result over as Arrow arrays, and walks two columns of it. On the screen:
 *
 *   day: tdD, 5 rows, 0 NULLs
 *   price: d:6,2, 5 rows, 1 NULLs
 *   note: u, 5 rows, 2 NULLs
 *   prices in cents: 150 300 NULL 600 750
 *   notes: NULL "2 is even" NULL "4 is even" ""
 */
#include <inttypes.h>
#include <stdio.h>
#include <pgpoll.h>

/* The result of a query; NULL when there is none. */
static ConnResult *query(Conn *conn, const char *sql)
{
    ConnResult *result = NULL;
    ConnItem item;
    int running = conn_start_query(conn, sql) != 0;

    while (running) {
        conn_wait(conn, -1);
        while (running && conn_get_result(conn, &item)) {
            if (item.kind == CONN_ITEM_ROWS)
                result = item.result;
            conn_error_free(item.error);
            running = item.kind != CONN_ITEM_DONE;
        }
    }
    return result;
}

/* A bitmap says which values are there; without one all are. */
static int is_null(const struct ArrowArray *column, int64_t row)
{
    const uint8_t *validity = column->buffers[0];

    return validity && !(validity[row / 8] >> (row % 8) & 1);
}

int main(int argc, char **argv)
{
    Conn *conn = conn_open(argc > 1 ? argv[1] : "");
    struct ArrowSchema schema;
    struct ArrowArray array, *prices, *notes;
    ConnResult *result;

    while (!(conn_wait(conn, -1) & (CONN_IDLE | CONN_FAILED)))
        ;
    result = query(conn, "select date '2026-01-01' + n as day, nullif(n * 1.5, 4.5)::numeric(6,2) as price,"
                         " case when n = 5 then '' when n % 2 = 0 then n || ' is even' end as note"
                         " from generate_series(1, 5) as n");
    if (!conn_result_export_arrow(result, 0, &schema, &array)) {
        fprintf(stderr, "%s\n", conn_error_text(conn_error(result ? NULL : conn)));
        conn_result_free(result);
        conn_close(conn);
        return 1;
    }
    conn_result_free(result); /* the arrays need neither the result nor the connection */
    conn_close(conn);
    for (int64_t at = 0; at < schema.n_children; at++)
        printf("%s: %s, %" PRId64 " rows, %" PRId64 " NULLs\n", schema.children[at]->name, schema.children[at]->format,
               array.length, array.children[at]->null_count);
    printf("prices in cents:");
    prices = array.children[1]; /* decimals of 128 bits; these fit into the lower half */
    for (int64_t row = 0; row < prices->length; row++)
        printf(is_null(prices, row) ? " NULL" : " %" PRId64, ((const int64_t *)prices->buffers[1])[2 * row]);
    printf("\nnotes:");
    notes = array.children[2]; /* text: where each value begins, and all of them one behind the other */
    for (int64_t row = 0; row < notes->length; row++) {
        const int32_t *at = (const int32_t *)notes->buffers[1] + row;

        printf(is_null(notes, row) ? " NULL" : " \"%.*s\"", at[1] - at[0], (const char *)notes->buffers[2] + at[0]);
    }
    printf("\n");
    schema.release(&schema);
    array.release(&array);
    return 0;
}
