/* Exports results and releases what it got in every order that the Arrow C data interface allows: `arrow CONNINFO`. */
#include <pgpoll.h>
/* Whoever has the structs from elsewhere has them once. */
#ifndef ARROW_C_DATA_INTERFACE
#error "the header does not say that it has the Arrow C data interface"
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(what)                                                     \
    do {                                                                  \
        if (!(what)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);    \
            exit(1);                                                      \
        }                                                                 \
    } while (0)

enum { TEXT_COLUMN = 1, COLUMNS = 8, ROWS = 300 };

static const char *const SQL =
    "select i::int4, md5(i::text), i % 3 = 0, nullif(i, 7)::int8, (i / 8.0)::numeric(12,4), timestamp '2026-01-01', "
    "decode(md5(i::text), 'hex'), case i % 2 when 0 then repeat('z', i % 100) end from generate_series(1, 300) as i";
static const char *const FORMATS[COLUMNS] = { "i", "u", "b", "l", "d:12,4", "tsu:", "z", "u" };
static const char *const VIEWS[COLUMNS] = { "i", "vu", "b", "l", "d:12,4", "tsu:", "vz", "vu" };

static Conn *conn;

static ConnResult *query(const char *sql, int format)
{
    ConnResult *result = NULL;
    ConnItem item;

    REQUIRE(conn_start_query_params(conn, sql, 0, NULL, NULL, NULL, NULL, format, 0, 0));
    for (item.kind = 0; item.kind != CONN_ITEM_DONE;) {
        conn_wait(conn, -1);
        while (item.kind != CONN_ITEM_DONE && conn_get_result(conn, &item)) {
            REQUIRE(item.kind != CONN_ITEM_ERROR);
            if (item.kind == CONN_ITEM_ROWS)
                result = item.result;
        }
    }
    REQUIRE(result);
    return result;
}

/* Reads every byte that the array has of row 1: a 32-character hash. */
static void check_text(const struct ArrowArray *column, int views)
{
    const char *hash = "c4ca4238a0b923820dcc509a6f75849b";

    REQUIRE(column->length == ROWS && column->null_count == 0 && column->offset == 0 && !column->buffers[0]);
    if (views) {
        const int32_t *view = column->buffers[1];
        const int64_t *sizes = column->buffers[column->n_buffers - 1];
        const char *data = column->buffers[2 + view[2]];

        REQUIRE(column->n_buffers > 3 && view[0] == 32 && memcmp(&view[1], hash, 4) == 0);
        REQUIRE(view[3] + 32 <= sizes[view[2]] && memcmp(data + view[3], hash, 32) == 0);
    } else {
        const int32_t *offsets = column->buffers[1];
        const char *data = column->buffers[2];

        REQUIRE(column->n_buffers == 3 && offsets[0] == 0 && offsets[1] == 32 && offsets[ROWS] == 32 * ROWS);
        REQUIRE(memcmp(data, hash, 32) == 0);
    }
}

/* As a consumer moves a struct: copies it, and marks where it came from as released. */
static void move_array(struct ArrowArray *to, struct ArrowArray *from)
{
    *to = *from;
    from->release = NULL;
}

static void move_schema(struct ArrowSchema *to, struct ArrowSchema *from)
{
    *to = *from;
    from->release = NULL;
}

static void check_order(int format, uint32_t flags, int order)
{
    ConnResult *result = query(SQL, format);
    struct ArrowSchema schema, field;
    struct ArrowArray array, text, last;
    int at;

    REQUIRE(conn_result_export_arrow(result, flags, &schema, &array) == 1);
    REQUIRE(strcmp(schema.format, "+s") == 0 && schema.n_children == COLUMNS && array.n_children == COLUMNS);
    REQUIRE(array.length == ROWS && array.null_count == 0 && array.n_buffers == 1 && !array.buffers[0]);
    for (at = 0; at < COLUMNS; at++) {
        REQUIRE(strcmp(schema.children[at]->format, (flags ? VIEWS : FORMATS)[at]) == 0);
        REQUIRE(schema.children[at]->flags == ARROW_FLAG_NULLABLE && schema.children[at]->metadata);
    }
    REQUIRE(array.children[3]->null_count == 1 && array.children[7]->null_count == ROWS / 2);
    move_schema(&field, schema.children[0]);
    move_array(&text, array.children[TEXT_COLUMN]);
    if (order & 1)
        conn_result_free(result);
    if (order & 2) {
        array.release(&array);
        REQUIRE(!array.release);
    }
    if (order & 4)
        schema.release(&schema);
    check_text(&text, flags != 0);
    REQUIRE(strcmp(field.format, "i") == 0 && strcmp(field.name, "i") == 0);
    if (order & 8) {
        move_array(&last, &text);
        check_text(&last, flags != 0);
        last.release(&last);
        REQUIRE(!last.release);
    } else {
        text.release(&text);
        REQUIRE(!text.release);
    }
    field.release(&field);
    if (!(order & 4))
        schema.release(&schema);
    if (!(order & 2))
        array.release(&array);
    if (!(order & 1))
        conn_result_free(result);
}

static void require_refused(const ConnResult *result, uint32_t flags, const char *why)
{
    struct ArrowSchema schema;
    struct ArrowArray array;

    memset(&schema, 0xff, sizeof schema);
    memset(&array, 0xff, sizeof array);
    REQUIRE(conn_result_export_arrow(result, flags, &schema, &array) == 0);
    REQUIRE(!schema.release && !array.release);
    REQUIRE(conn_error_kind(conn_error(NULL)) == CONN_ERROR_MISUSE);
    if (strcmp(conn_error_message(conn_error(NULL)), why) != 0) {
        fprintf(stderr, "said: %s\n", conn_error_message(conn_error(NULL)));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    struct ArrowArray array;
    ConnResult *result;
    uint32_t flags;
    int format, order;

    conn = conn_open(argc > 1 ? argv[1] : "");
    while (!(conn_wait(conn, -1) & CONN_IDLE))
        REQUIRE(!(conn_wait(conn, 0) & CONN_FAILED));
    for (format = CONN_TEXT; format <= CONN_BINARY; format++)
        for (flags = 0; flags <= CONN_ARROW_VIEWS; flags++)
            for (order = 0; order < 16; order++)
                check_order(format, flags, order);

    result = query(SQL, CONN_TEXT);
    REQUIRE(conn_result_export_arrow(result, 0, NULL, &array) == 1); /* the types are known */
    array.release(&array);
    REQUIRE(conn_result_export_arrow(result, 0, NULL, NULL) == 0);
    require_refused(result, 64, "flags has bits that are none of CONN_ARROW_VIEWS and CONN_ARROW_NUMERIC_TEXT");
    require_refused(NULL, 0, "the result has no rows to export: pass that of a CONN_ITEM_ROWS");
    conn_result_free(result);

    /* The first column is decoded already when the second one cannot be. */
    result = query("select repeat('x', 10000) as x, time '24:00' as t, i from generate_series(1, 10) as i", CONN_BINARY);
    require_refused(result, CONN_ARROW_VIEWS,
                    "row 0, column \"t\": \\x000000141dd76000 (8 bytes) is the end of a day, which Arrow's time does not have: "
                    "cast the column to text");
    conn_result_free(result);
    conn_close(conn);
    printf("released in every order\n");
    return 0;
}
