/* Starts operations: values of a statement's parameters, one execution or many, and who waits for them. */
#include "native.h"

enum { FEW = 16, MANY_CELLS = 4096, MANY_BYTES = 1 << 20 };

/* Milliseconds of a timeout in seconds; None is the connection's own. */
static int timeout_of(Line *line, PyObject *timeout, int64_t *ms)
{
    if (timeout == Py_None) {
        *ms = line->default_timeout_ms;
        return 0;
    }
    double seconds = PyFloat_AsDouble(timeout);
    if (PyBool_Check(timeout) || (seconds == -1.0 && PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_TypeError)))
        PyErr_Format(InterfaceError, "a timeout is a number of seconds, not %.100s", Py_TYPE(timeout)->tp_name);
    if (PyErr_Occurred())
        return -1;
    *ms = seconds <= 0 ? 1 : seconds > 1e12 ? -1 : (int64_t)(seconds * 1000) + 1;
    return 0;
}

static void set_timeout(Line *line, int64_t ms)
{
    if (ms != line->timeout_ms) {
        conn_set_timeout_ms(line->conn, ms);
        line->timeout_ms = ms;
    }
}

static PyObject *queue(Line *line, int mode, Statement *statement, uint64_t first, uint64_t last)
{
    Waiter *waiter = waiter_new(line, mode);
    if (!waiter)
        return NULL;
    waiter->statement = (Statement *)Py_XNewRef((PyObject *)statement);
    int idle = !line->head;
    line_queue(line, waiter, first, last);
    if (line_send_soon(line, idle) < 0)
        Py_CLEAR(waiter);
    return (PyObject *)waiter;
}

static int count_fits(const Statement *statement, Py_ssize_t count)
{
    if (count == statement->parameter_count)
        return 1;
    PyErr_Format(InterfaceError, "the statement has %d parameters ($1, ...), %zd were given", statement->parameter_count, count);
    return 0;
}

/* The operation; 0 with exception, or 0 without one where the send queue is full. */
static uint64_t execute(Line *line, Statement *statement, PyObject *args, int max_rows, int64_t timeout_ms)
{
    uint64_t operation = 0;
    int count = (int)PyTuple_GET_SIZE(args);
    Cell few[FEW], *cells = few;
    const char *few_values[FEW], **values = few_values;
    int few_lengths[FEW], few_formats[FEW], *lengths = few_lengths, *formats = few_formats, done = 0;
    PyObject *few_keep[FEW], **keep = few_keep;
    void *memory = NULL;
    if (!count_fits(statement, count))
        return 0;
    if (count > FEW) {
        size_t n = (size_t)count;
        memory = PyMem_Malloc(n * (sizeof(Cell) + sizeof(char *) + sizeof(PyObject *) + 2 * sizeof(int)));
        if (!memory) {
            PyErr_NoMemory();
            return 0;
        }
        cells = memory;
        values = (const char **)(cells + n);
        keep = (PyObject **)(values + n);
        lengths = (int *)(keep + n);
        formats = lengths + n;
    }
    for (; done < count; done++) {
        if (encode_parameter(&cells[done], PyTuple_GET_ITEM(args, done), statement->oids[done], statement->encoders[done], &keep[done], done) < 0)
            goto out;
        values[done] = cells[done].data;
        lengths[done] = cells[done].length;
        formats[done] = cells[done].format;
    }
    if (!line->conn) { /* an encoder has closed it */
        line_check(line);
        goto out;
    }
    set_timeout(line, timeout_ms);
    statement->used = ++line->clock;
    operation =
        conn_start_prepared(line->conn, PyBytes_AS_STRING(statement->name), count, values, lengths, formats, statement->binary, max_rows, 0);
    if (!operation)
        line_refused(line);
out:
    while (done-- > 0)
        Py_XDECREF(keep[done]);
    PyMem_Free(memory);
    return operation;
}

/* The waiter; NULL with exception, or NULL without one where the send queue is full. */
static PyObject *start(Line *line, Statement *statement, int mode, PyObject *args, int max_rows, int64_t timeout_ms)
{
    line_start_put_off(line);
    uint64_t operation = execute(line, statement, args, max_rows, timeout_ms);
    return operation ? queue(line, mode, statement, operation, operation) : NULL;
}

/* Answers of a busy line come one by one. To send one query for each would cost a system call here and one in the server: while the
 * server has enough to do, what tasks start on being woken is put off, and goes out together when half of that is answered, or after
 * a millisecond. It would not be executed earlier: the server takes what is before it first. */
static PyObject *put_off(Line *line, Statement *statement, int mode, PyObject *args, int64_t timeout_ms)
{
    Waiter *waiter = waiter_new(line, mode);
    if (!waiter)
        return NULL;
    waiter->statement = (Statement *)Py_NewRef((PyObject *)statement);
    waiter->args = Py_NewRef(args);
    waiter->timeout_ms = timeout_ms;
    if (line->put_off_tail)
        line->put_off_tail->behind = waiter;
    else
        line->put_off = waiter;
    line->put_off_tail = waiter;
    line->put_off_count++;
    return Py_NewRef((PyObject *)waiter);
}

static int is_to_put_off(const Line *line)
{
    enum { ENOUGH = 4 };
    return line->delivering && line->call_later && line->under_way >= ENOUGH && line->under_way > line->put_off_count;
}

/* Starts what was put off. Where that fails the exception is the waiter's. */
void line_start_put_off(Line *line)
{
    for (Waiter *waiter; line->conn && (waiter = line->put_off);) {
        PyObject *type, *error, *trace;
        if (!(line->put_off = waiter->behind))
            line->put_off_tail = NULL;
        line->put_off_count--;
        waiter->behind = NULL;
        if (waiter->state == WAITER_PENDING) {
            PyErr_Fetch(&type, &error, &trace);
            uint64_t operation = execute(line, waiter->statement, waiter->args, 0, waiter->timeout_ms);
            if (operation) {
                line_queue(line, waiter, operation, operation);
                line->started = 1;
            } else {
                PyObject *kind, *why, *where;
                if (!PyErr_Occurred())
                    PyErr_SetString(InterfaceError, "too much is queued to be sent");
                PyErr_Fetch(&kind, &why, &where);
                PyErr_NormalizeException(&kind, &why, &where);
                waiter->error = why;
                waiter->state = WAITER_DONE;
                line_wake(line, waiter);
                Py_XDECREF(kind);
                Py_XDECREF(where);
            }
            PyErr_Restore(type, error, trace);
        }
        Py_CLEAR(waiter->args);
        Py_DECREF(waiter);
    }
}

/* Whether this task may use the connection: nobody has it for itself, or the task is among those (a tuple, in its context) who do. */
static int is_mine(Line *line)
{
    PyObject *tokens = NULL;
    int mine = 0;
    if (!line->holder || line->holder == Py_None)
        return 1;
    if (PyContextVar_Get(HolderVariable, NULL, &tokens) < 0)
        return -1;
    for (Py_ssize_t at = 0; tokens && PyTuple_Check(tokens) && at < PyTuple_GET_SIZE(tokens); at++)
        mine |= PyTuple_GET_ITEM(tokens, at) == line->holder;
    Py_XDECREF(tokens);
    return mine;
}

PyObject *line_is_mine(PyObject *line, PyObject *unused)
{
    (void)unused;
    int mine = is_mine((Line *)line);
    return mine < 0 ? NULL : PyBool_FromLong(mine);
}

/* run(mode, sql, args, timeout): an awaitable. By the cache of statements where it is there, else by the owner. */
PyObject *line_run(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    Line *self = (Line *)object;
    if (count != 4 || !PyTuple_Check(args[2]))
        return PyErr_Format(PyExc_TypeError, "run(mode, sql, args, timeout)");
    PyObject *waiter = NULL;
    int64_t ms;
    if (line_check(self) < 0 || timeout_of(self, args[3], &ms) < 0)
        return NULL;
    PyObject *statement = PyDict_GetItemWithError(self->statements, args[1]);
    int mine = is_mine(self);
    if (mine < 0 || (!statement && PyErr_Occurred()))
        return NULL;
    if (statement && mine && is_to_put_off(self)) {
        if (!count_fits((Statement *)statement, PyTuple_GET_SIZE(args[2])))
            return NULL;
        return put_off(self, (Statement *)statement, (int)PyLong_AsLong(args[0]), args[2], ms);
    }
    if (statement && mine) {
        Py_INCREF(statement);
        waiter = start(self, (Statement *)statement, (int)PyLong_AsLong(args[0]), args[2], 0, ms);
        Py_DECREF(statement);
        if (waiter || PyErr_Occurred())
            return waiter;
    }
    return PyObject_CallMethod(self->owner, "_slowly", "OOOO", args[0], args[1], args[2], args[3]);
}

/* start(mode, statement, args, max_rows, timeout): a waiter, or None where the send queue is full. */
PyObject *line_start(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    Line *self = (Line *)object;
    int64_t ms;
    if (count != 5 || !Py_IS_TYPE(args[1], &StatementType) || !PyTuple_Check(args[2]))
        return PyErr_Format(PyExc_TypeError, "start(mode, statement, args, max_rows, timeout)");
    if (line_check(self) < 0 || timeout_of(self, args[4], &ms) < 0)
        return NULL;
    long mode = PyLong_AsLong(args[0]), max_rows = PyLong_AsLong(args[3]);
    if (PyErr_Occurred())
        return NULL;
    PyObject *waiter = start(self, (Statement *)args[1], (int)mode, args[2], (int)max_rows, ms);
    return waiter || PyErr_Occurred() ? waiter : Py_NewRef(Py_None);
}

/* What one call of conn_start_prepared_many takes. */
typedef struct Many {
    Cell *cells;
    const char **values;
    int *lengths, *formats;
    PyObject **keep;
    size_t rows, kept, bytes;
} Many;

static int add_row(Many *many, const Statement *statement, PyObject *row)
{
    int columns = statement->parameter_count;
    PyObject *fields = fields_of(row);
    if (!fields)
        return -1;
    int fits = count_fits(statement, PySequence_Fast_GET_SIZE(fields)) ? 1 : -1;
    for (int column = 0; fits > 0 && column < columns; column++) {
        size_t at = many->rows * (size_t)columns + (size_t)column;
        Cell *cell = &many->cells[at];
        /* The row itself may go before it is sent: each value is held. */
        PyObject *value = PySequence_Fast_GET_ITEM(fields, column);
        if (encode_parameter(cell, value, statement->oids[column], statement->encoders[column], &many->keep[many->kept + 1], column) < 0) {
            fits = -1;
            break;
        }
        many->keep[many->kept] = Py_NewRef(value);
        many->kept += 2;
        many->values[at] = cell->data;
        many->lengths[at] = cell->length;
        many->bytes += cell->data ? (size_t)cell->length : 0;
        if (many->rows == 0 || (cell->data && many->formats[column] < 0))
            many->formats[column] = cell->data ? cell->format : -1;
        else if (cell->data && cell->format != many->formats[column]) {
            PyErr_Format(InterfaceError, "the encoder of parameter $%d gives text for some values and bytes for others", column + 1);
            fits = -1;
        }
    }
    many->rows += fits > 0;
    Py_DECREF(fields);
    return fits;
}

/* start_many(statement, iterator, timeout, whole): starts a part of the executions as one group, which takes effect as a whole. A tuple:
 * a waiter for them, or None where none was started; whether the iterator has ended; its rows that were not started, as a list. whole:
 * nothing is started unless the iterator ends with this part, and all of it is. */
PyObject *line_start_many(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    Line *self = (Line *)object;
    Statement *statement = count == 4 ? (Statement *)args[0] : NULL;
    if (!statement || !Py_IS_TYPE(statement, &StatementType) || !PyIter_Check(args[1]))
        return PyErr_Format(PyExc_TypeError, "start_many(statement, iterator, timeout, whole)");
    int64_t ms;
    if (line_check(self) < 0 || timeout_of(self, args[2], &ms) < 0)
        return NULL;
    size_t columns = (size_t)statement->parameter_count, most = columns ? MANY_CELLS / columns + 1 : MANY_CELLS, cells = most * columns;
    Many many = {0};
    char *memory = PyMem_Malloc(cells * (sizeof(Cell) + sizeof(char *) + 2 * sizeof(PyObject *) + sizeof(int)) + (columns + 2) * sizeof(void *));
    if (!memory)
        return PyErr_NoMemory();
    many.cells = (Cell *)memory;
    many.values = (const char **)(many.cells + cells);
    many.keep = (PyObject **)(many.values + cells);
    many.lengths = (int *)(many.keep + 2 * cells);
    many.formats = many.lengths + cells;
    PyObject *row = NULL, *answer = NULL, *waiter = NULL, *left = NULL, *all = PyList_New(0);
    int ended = 0;
    while (all && many.rows < most && many.bytes < MANY_BYTES) {
        row = PyIter_Next(args[1]);
        ended = !row;
        if (!row)
            break;
        int added = PyList_Append(all, row) < 0 ? -1 : add_row(&many, statement, row);
        Py_DECREF(row);
        if (added < 0)
            break;
    }
    if (!all || PyErr_Occurred())
        goto out;
    size_t started = 0;
    int whole = args[3] == Py_True;
    if (many.rows > 0 && (ended || !whole) && line_is_next(self) == 0) {
        for (size_t column = 0; column < columns; column++)
            if (many.formats[column] < 0)
                many.formats[column] = CONN_BINARY;
        set_timeout(self, ms);
        statement->used = ++self->clock;
        uint64_t first = conn_start_prepared_many(self->conn, PyBytes_AS_STRING(statement->name), (int)columns, many.rows, many.values,
                                                  many.lengths, many.formats, statement->binary, whole ? CONN_WHOLE : 0, &started);
        if (first) {
            waiter = queue(self, MODE_COUNT, NULL, first, first + started - 1);
            if (!waiter)
                goto out;
        } else if (line_refused(self) < 0)
            goto out;
    }
    if (PyErr_Occurred())
        goto out;
    left = PyList_GetSlice(all, (Py_ssize_t)started, PyList_GET_SIZE(all));
    if (left)
        answer = Py_BuildValue("OOO", waiter ? waiter : Py_None, ended ? Py_True : Py_False, left);
out:
    while (many.kept-- > 0)
        Py_XDECREF(many.keep[many.kept]);
    PyMem_Free(memory);
    Py_XDECREF(all);
    Py_XDECREF(left);
    Py_XDECREF(waiter);
    return answer;
}

/* prepare(sql, name, timeout, text): text, which is sql but for spaces, is sent. A waiter that gives a Statement, or None where the send queue is full. */
PyObject *line_prepare(PyObject *object, PyObject *args)
{
    Line *self = (Line *)object;
    PyObject *sql, *name, *timeout, *sent;
    int64_t ms;
    if (!PyArg_ParseTuple(args, "USOU:prepare", &sql, &name, &timeout, &sent) || line_is_next(self) < 0 || timeout_of(self, timeout, &ms) < 0)
        return NULL;
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(sent, &length);
    if (!text)
        return NULL;
    if (strlen(text) != (size_t)length)
        return PyErr_Format(InterfaceError, "a statement cannot have a character 0");
    set_timeout(self, ms);
    uint64_t operation = conn_start_prepare(self->conn, PyBytes_AS_STRING(name), text, 0, NULL, 0);
    if (!operation)
        return line_refused(self) < 0 ? NULL : Py_NewRef(Py_None);
    Waiter *waiter = (Waiter *)queue(self, MODE_DESCRIBE, NULL, operation, operation);
    if (waiter) {
        waiter->sql = Py_NewRef(sql);
        waiter->name = Py_NewRef(name);
    }
    return (PyObject *)waiter;
}

/* expect(mode, operation, statement): a waiter for what was started by other means; sends it. */
PyObject *line_expect(PyObject *object, PyObject *args)
{
    int mode;
    unsigned long long operation;
    PyObject *statement = Py_None;
    if (!PyArg_ParseTuple(args, "iK|O:expect", &mode, &operation, &statement))
        return NULL;
    if (statement != Py_None && !Py_IS_TYPE(statement, &StatementType))
        return PyErr_Format(PyExc_TypeError, "expect(mode, operation, statement)");
    return queue((Line *)object, mode, statement == Py_None ? NULL : (Statement *)statement, operation, operation);
}
