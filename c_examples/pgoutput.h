/* What goes through a stream of logical replication with pgoutput, protocol version 1 (manual, "Streaming Replication Protocol",
 * "Logical Replication Message Formats"): prints the changes. Nothing of a message is believed: one that is damaged is refused. */
#ifndef PGOUTPUT_H
#define PGOUTPUT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What is left of a message, and whether more was read than there was. */
typedef struct {
    const unsigned char *at;
    size_t left;
    int bad;
} Reader;

/* A table's Relation message, behind the table's ID. */
typedef struct {
    uint32_t id;
    size_t length;
    unsigned char *message;
} Table;

/* The tables that were told of so far. */
typedef struct {
    size_t count;
    Table *tables;
} Relations;

/* One stream. All zero at its beginning. */
typedef struct {
    Relations relations;
    uint64_t position; /* All before it has been printed. */
    int commits;       /* Transactions printed. */
    int asked;         /* The server wants a status update now. */
} Stream;

static const unsigned char *read_bytes(Reader *from, size_t count)
{
    const unsigned char *start = from->at;

    if (from->bad || from->left < count) {
        from->bad = 1;
        return NULL;
    }
    from->at += count;
    from->left -= count;
    return start;
}

static uint64_t read_number(Reader *from, size_t bytes)
{
    const unsigned char *byte = read_bytes(from, bytes);
    uint64_t number = 0;

    for (; byte != NULL && bytes > 0; bytes--)
        number = number << 8 | *byte++;
    return number;
}

static const char *read_string(Reader *from)
{
    const unsigned char *end = from->bad ? NULL : memchr(from->at, 0, from->left);

    if (end == NULL)
        from->bad = 1;
    return end == NULL ? "" : (const char *)read_bytes(from, (size_t)(end - from->at) + 1);
}

static Table *find_table(const Relations *relations, uint64_t id)
{
    size_t index;

    for (index = 0; index < relations->count; index++)
        if (relations->tables[index].id == id)
            return &relations->tables[index];
    return NULL;
}

static Reader read_table(Reader *from, const Relations *relations)
{
    const Table *table = find_table(relations, read_number(from, 4));
    Reader reader = {NULL, 0, 1};

    if (table == NULL) {
        from->bad = 1;
        return reader;
    }
    reader.at = table->message;
    reader.left = table->length;
    reader.bad = 0;
    return reader;
}

/* Returns 0 when the message is damaged, or without memory. */
static int remember_table(Relations *relations, Reader from)
{
    uint32_t id = (uint32_t)read_number(&from, 4);
    Table *table = find_table(relations, id), *tables;
    unsigned char *copy = from.bad ? NULL : malloc(from.left + 1);

    if (copy == NULL)
        return 0;
    if (table == NULL) {
        tables = realloc(relations->tables, (relations->count + 1) * sizeof *tables);
        if (tables == NULL) {
            free(copy);
            return 0;
        }
        relations->tables = tables;
        table = &tables[relations->count++];
        table->message = NULL;
    }
    free(table->message);
    table->id = id;
    table->length = from.left;
    table->message = memcpy(copy, from.at, from.left);
    return 1;
}

static void forget_relations(Relations *relations)
{
    while (relations->count > 0)
        free(relations->tables[--relations->count].message);
    free(relations->tables);
    relations->tables = NULL;
}

/* "schema.table"; then `table` is at its columns. */
static void print_table(Reader *table)
{
    const char *schema = read_string(table), *name = read_string(table);

    printf("%s.%s", schema, name);
    read_number(table, 1); /* The replica identity. */
}

/* " column='value'" for each column of a TupleData, or for those of the key. */
static void print_row(Reader *from, Reader columns, int key)
{
    uint64_t count = read_number(from, 2);

    from->bad |= read_number(&columns, 2) != count;
    for (; count > 0 && !from->bad; count--) {
        int shown = (read_number(&columns, 1) & 1) != 0 || !key;
        const char *name = read_string(&columns);
        uint64_t kind = read_number(from, 1), length = kind == 't' ? read_number(from, 4) : 0;
        const unsigned char *value = read_bytes(from, (size_t)length);

        read_number(&columns, 8); /* Type and modifier. */
        from->bad |= columns.bad || kind == 0 || strchr("tnu", (int)kind) == NULL;
        if (from->bad || !shown)
            continue;
        printf(" %s=", name);
        if (kind == 't')
            printf("'%.*s'", (int)length, (const char *)value);
        else /* What is large and stays as it was is not sent. */
            printf(kind == 'n' ? "NULL" : "(unchanged)");
    }
}

/* "insert into schema.table: column='value' ...", with the old key in parentheses where the server sends it. */
static void print_change(Reader *from, const Relations *relations, const char *verb)
{
    Reader table = read_table(from, relations);

    printf("%s ", verb);
    print_table(&table);
    printf(":");
    do {
        int is_new = read_number(from, 1) == 'N';

        printf(is_new ? "" : " (");
        print_row(from, table, !is_new);
        printf(is_new ? "" : " )");
    } while (from->left > 0 && !from->bad);
    printf("\n");
}

static void print_truncate(Reader *from, const Relations *relations)
{
    uint64_t count = read_number(from, 4);

    read_number(from, 1); /* CASCADE, RESTART IDENTITY. */
    printf("truncate");
    for (; count > 0 && !from->bad; count--) {
        Reader table = read_table(from, relations);

        printf(" ");
        print_table(&table);
    }
    printf("\n");
}

/* Prints a message, if it is about a change. Returns 1; 0 if it is damaged, or without memory. */
static int pgoutput_print(Relations *relations, const unsigned char *message, size_t length)
{
    Reader from = {NULL, 0, 0};
    uint64_t kind;

    from.at = message;
    from.left = length;
    kind = read_number(&from, 1);
    switch (kind) {
    case 'B':
    case 'C':
        read_bytes(&from, kind == 'B' ? 20 : 25); /* Positions, times, the transaction's number. */
        printf(kind == 'B' ? "begin\n" : "commit\n");
        break;
    case 'R':
        return remember_table(relations, from);
    case 'I':
        print_change(&from, relations, "insert into");
        break;
    case 'U':
        print_change(&from, relations, "update of");
        break;
    case 'D':
        print_change(&from, relations, "delete from");
        break;
    case 'T':
        print_truncate(&from, relations);
        break;
    default: /* Types, origins, messages: no changes. */
        break;
    }
    return !from.bad;
}

/* Takes a message of the server: XLogData, or a keepalive. Returns 1; 0 if it is damaged, or without memory. */
static inline int stream_take(Stream *stream, const void *bytes, size_t length)
{
    Reader message = {NULL, 0, 0};
    uint64_t kind, start;
    int commit;

    message.at = (const unsigned char *)bytes;
    message.left = length;
    kind = read_number(&message, 1);
    start = read_number(&message, 8);
    read_bytes(&message, kind == 'w' ? 16 : 8); /* How far the server's log goes, and its time. */
    commit = kind == 'w' && !message.bad && message.left > 0 && *message.at == 'C';
    if (kind == 'k')
        stream->asked |= read_number(&message, 1) == 1;
    else if (kind != 'w' || !pgoutput_print(&stream->relations, message.at, message.left))
        return 0;
    if (!message.bad && (commit || kind == 'k') && start > stream->position)
        stream->position = start;
    stream->commits += commit;
    return !message.bad;
}

enum { STATUS_UPDATE = 34 };

/* Writes a standby status update: all before the position is written, flushed and applied here, at this time. */
static inline void stream_status(const Stream *stream, unsigned char update[STATUS_UPDATE])
{
    uint64_t clock = ((uint64_t)time(NULL) - 946684800) * 1000000; /* Microseconds since 2000. */
    int at;

    update[0] = 'r';
    for (at = 0; at < 32; at++)
        update[1 + at] = (unsigned char)((at < 24 ? stream->position : clock) >> (56 - at % 8 * 8));
    update[33] = 0; /* No answer is wanted. */
}

static inline void stream_free(Stream *stream)
{
    forget_relations(&stream->relations);
}

#endif
