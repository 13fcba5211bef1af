/* What the C files of the extension share: the objects between a Python program and a connection. Knows no file's inside. */
#ifndef PGPOLL_NATIVE_H
#define PGPOLL_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "pgpoll.h"
#include "pypy.h"

/* What a query's waiter makes of the items that come. The Python side has the same numbers, in _line.py. */
enum {
    MODE_ROWS,      /* a list of all rows */
    MODE_ROW,       /* the first row or None */
    MODE_VALUE,     /* the first value of the first row or None */
    MODE_TAG,       /* the command's tag */
    MODE_DESCRIBE,  /* a Statement */
    MODE_BATCHES,   /* a list of Batch: rows as they were received */
    MODE_COPY,      /* the tag, at the end of a COPY */
    MODE_NOTHING,   /* None: for what is only waited for */
    MODE_PORTAL,    /* (list of rows, whether there may be more) */
    MODE_RESULT,    /* (the columns, the list of all rows, the tag); without columns (None, None, the tag) */
    MODE_COUNT,     /* how many rows the commands touched, of one or many executions */
};

/* ---- record.c */

typedef struct Header {
    PyObject_HEAD
    PyObject *names;  /* tuple of str */
    PyObject *index;  /* dict: name to number */
    int containers;   /* a cell may hold objects that refer to others */
} Header;

typedef struct Record {
    PyObject_VAR_HEAD
    Header *header;
    PyObject *cells[1];
} Record;

extern PyTypeObject HeaderType, RecordType;
Header *header_new(PyObject *names, int containers);
Record *record_new(Header *header); /* its cells are empty: fill them before anybody sees it, then record_track */
void record_track(Record *record);

/* ---- decode.c, temporal.c */

typedef struct Column Column;
typedef PyObject *(*Decoder)(const Column *column, const char *value, Py_ssize_t length);

struct Column {
    Decoder decode;
    PyObject *callable; /* of a decoder written in Python */
    PyObject *codecs;   /* borrowed from the statement: dict of OID to codec */
    uint32_t oid;
};

int column_open(Column *column, uint32_t oid, int binary, PyObject *codecs); /* 0: there is no decoder for binary; -1: exception */
void column_close(Column *column);
int column_is_container(const Column *column);
PyObject *native_decode(PyObject *module, PyObject *args);
int decode_ready(void);

Decoder temporal_decoder(uint32_t oid);
int temporal_ready(void);
int encode_date(PyObject *value, char *slot);
int encode_time(PyObject *value, char *slot);
int encode_timestamp(PyObject *value, char *slot, int with_zone);

/* ---- encode.c */

typedef struct Cell {
    const char *data; /* NULL: SQL NULL */
    int length;
    int format;
    char slot[16]; /* where values of fixed size lie */
} Cell;

int encoder_of(uint32_t oid, PyObject *codecs, PyObject **encode);
int encode_cell(Cell *cell, PyObject *value, uint32_t oid, PyObject *encode, PyObject **keep);
int encode_parameter(Cell *cell, PyObject *value, uint32_t oid, PyObject *encode, PyObject **keep, Py_ssize_t number);
PyObject *codec_of(PyObject *codecs, uint32_t oid); /* borrowed; NULL without exception: there is none */
int codec_is_custom(PyObject *codec);
int encode_ready(void);

/* A codec is a tuple: encode, decode binary, decode text, whether it goes before what is built in. */
enum { CODEC_ENCODE, CODEC_BINARY, CODEC_TEXT, CODEC_CUSTOM };

/* ---- statement.c */

typedef struct Statement {
    PyObject_HEAD
    PyObject *sql, *name; /* str, bytes */
    PyObject *codecs;
    PyObject *parameters; /* tuple of OIDs */
    PyObject *columns;    /* tuple of (name, OID, modifier) */
    uint32_t *oids;
    PyObject **encoders; /* of the parameters; NULL for what is built in */
    int parameter_count, column_count;
    Column *decoders;
    Header *header;
    ConnResult *described; /* kept, so that what it lends stays where it is */
    const char *key;       /* where the columns' names lie: other columns lie elsewhere */
    int binary;
    int dead; /* no longer in the cache, or of another session */
    unsigned long long used;
} Statement;

extern PyTypeObject StatementType;
/* Owns described, also when it fails. format: of a result that is there; -1 for binary where that can be. */
Statement *statement_new(ConnResult *described, PyObject *sql, PyObject *name, PyObject *codecs, int format);
int statement_fits(const Statement *statement, const ConnResult *result);
int statement_append(Statement *statement, const ConnResult *result, PyObject *rows);
PyObject *statement_first(Statement *statement, const ConnResult *result, int whole_row);

/* ---- batch.c */

extern PyTypeObject BatchType;
PyObject *batch_new(ConnResult *result); /* owns it */
PyObject *fields_of(PyObject *row); /* a list or a tuple; NULL with exception */
PyObject *native_fields(PyObject *module, PyObject *row);
PyObject *native_copy_rows(PyObject *module, PyObject *args);

/* ---- waiter.c */

typedef struct Line Line;
typedef struct Waiter {
    PyObject_HEAD
    Line *line;
    uint64_t first, last; /* operations; 0: of none */
    Statement *statement;
    PyObject *sql, *name; /* of MODE_DESCRIBE */
    PyObject *args;     /* of one that is put off: not started yet */
    int64_t timeout_ms; /* the same */
    uint64_t count;     /* of MODE_COUNT */
    PyObject *value, *error; /* of one that is cancelled, error is the message */
    PyObject *callback, *context, *others; /* others: list of (callback, context) */
    struct Waiter *behind;                 /* in the line's queue */
    struct Waiter *next_woken;
    char mode, state, blocking, queued, woken;
} Waiter;

enum { WAITER_PENDING, WAITER_DONE, WAITER_CANCELLED };

extern PyTypeObject WaiterType;
Waiter *waiter_new(Line *line, int mode);
int waiter_wake(Waiter *waiter, int directly); /* calls its callbacks; -1 with exception */
int waiter_ready(void);

/* ---- line.c, take.c, start.c */

struct Line {
    PyObject_HEAD
    Conn *conn;
    PyObject *owner;      /* the Python side: _event, _error, _lost, _slowly, _full */
    PyObject *loop;       /* None without one */
    PyObject *running;    /* gives the loop that runs; NULL without one */
    PyObject *park;       /* awaits a waiter, where that is no future of asyncio's; None */
    PyObject *call_soon;  /* of the loop; NULL without one */
    PyObject *statements; /* dict: sql to Statement */
    PyObject *codecs;
    PyObject *flush;      /* bound method */
    Waiter *head, *tail;  /* operations under way, in order */
    Waiter *put_off, *put_off_tail;
    Waiter *woken, *woken_tail;
    unsigned under_way, put_off_count; /* of these */
    PyObject *late;       /* the timer's method */
    PyObject *call_later; /* of the loop; NULL without one */
    uint64_t generation, clock;
    int64_t deadline, timeout_ms, default_timeout_ms;
    unsigned long fork, thread; /* thread: of the turn that is being delivered */
    PyObject *holder;     /* whose turn it is alone (a transaction, a COPY); NULL: everybody's */
    char reading, writing, delivering, started, flush_due, late_due, stream, idle_wanted, told;
};

extern PyTypeObject LineType;
extern unsigned long native_forks;
uint32_t line_poll(Line *line);           /* CONN_MISUSE with exception */
int line_take(Line *line);                /* how many items; -1 with exception */
int line_check(Line *line);               /* 0: usable; -1 with exception */
int line_is_next(Line *line);             /* the same, and what was put off is started: what comes next is behind it */
int line_send_soon(Line *line, int idle); /* what was started goes out: now, or with others of this turn */
void line_queue(Line *line, Waiter *waiter, uint64_t first, uint64_t last);
void line_wake(Line *line, Waiter *waiter);
int line_refused(Line *line); /* 1: the queue is full; -1 with exception */
void line_forget(Line *line, Statement *statement);
PyObject *line_run(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *line_start(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *line_start_many(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *line_prepare(PyObject *self, PyObject *args);
void line_start_put_off(Line *line);
PyObject *line_is_mine(PyObject *line, PyObject *unused);
PyObject *line_expect(PyObject *self, PyObject *args);
PyObject *native_is_built_in(PyObject *module, PyObject *args);

/* What the Python side hands over once: exceptions and what builds values. */
extern PyObject *InterfaceError, *CancelledError, *CopyError, *ParameterHook, *HolderVariable;
extern PyObject *JsonLoads, *JsonDumps, *DecimalType, *UuidType;

static inline uint16_t load16(const char *p) { uint16_t v; memcpy(&v, p, 2); return __builtin_bswap16(v); }
static inline uint32_t load32(const char *p) { uint32_t v; memcpy(&v, p, 4); return __builtin_bswap32(v); }
static inline uint64_t load64(const char *p) { uint64_t v; memcpy(&v, p, 8); return __builtin_bswap64(v); }
static inline void store16(char *p, uint16_t v) { v = __builtin_bswap16(v); memcpy(p, &v, 2); }
static inline void store32(char *p, uint32_t v) { v = __builtin_bswap32(v); memcpy(p, &v, 4); }
static inline void store64(char *p, uint64_t v) { v = __builtin_bswap64(v); memcpy(p, &v, 8); }

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "written for little-endian machines"
#endif

#endif
