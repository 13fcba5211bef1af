/* What the library gives, to the waiters that await it: rows, tags, errors, the end of operations. */
#include "native.h"

enum { AT_ONCE = 32 };

static Waiter *waiter_of(Line *line, uint64_t operation)
{
    for (Waiter *waiter = line->head; waiter; waiter = waiter->behind)
        if (waiter->first <= operation && operation <= waiter->last)
            return waiter;
    return NULL;
}

static void unqueue(Line *line, Waiter *waiter)
{
    Waiter **at = &line->head, *before = NULL;
    if (!waiter->queued) /* Python code that ran meanwhile has closed the connection */
        return;
    while (*at != waiter) {
        before = *at;
        at = &before->behind;
    }
    *at = waiter->behind;
    if (line->tail == waiter)
        line->tail = before;
    waiter->behind = NULL;
    waiter->queued = 0;
    line->under_way--;
    Py_DECREF(waiter);
}

/* An exception that Python code has raised, a decoder say, is the outcome of the operation. */
static int caught(Waiter *waiter)
{
    PyObject *type, *error, *trace;
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace)
        PyException_SetTraceback(error, trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    if (waiter->error)
        Py_XDECREF(error);
    else
        waiter->error = error;
    return 0;
}

static int finish(Line *line, Waiter *waiter)
{
    if (waiter->state == WAITER_PENDING) {
        waiter->state = WAITER_DONE;
        line_wake(line, waiter);
    }
    return 0;
}

/* What the columns of a result say, where nothing was prepared, or other columns. Owns the result. */
static Statement *read_statement(Line *line, Statement *before, ConnResult *result)
{
    int format = conn_result_columns(result) ? conn_result_format(result, 0) : CONN_BINARY;
    if (before) {
        line_forget(line, before);
        return statement_new(result, before->sql, before->name, before->codecs, format);
    }
    PyObject *sql = PyUnicode_FromString(""), *name = PyBytes_FromString("");
    Statement *statement = NULL;
    if (sql && name)
        statement = statement_new(result, sql, name, line->codecs, format);
    else
        conn_result_free(result);
    Py_XDECREF(sql);
    Py_XDECREF(name);
    return statement;
}

/* Makes Python objects of rows. Owns the result. */
static int rows(Line *line, Waiter *waiter, ConnResult *result)
{
    int done = -1;
    Statement *statement = waiter->statement;
    if (waiter->mode == MODE_BATCHES) {
        PyObject *batch = batch_new(result);
        if (batch && (waiter->value || (waiter->value = PyList_New(0))))
            done = PyList_Append(waiter->value, batch);
        Py_XDECREF(batch);
        return done;
    }
    int wants = waiter->mode == MODE_ROWS || waiter->mode == MODE_ROW || waiter->mode == MODE_VALUE || waiter->mode == MODE_PORTAL ||
                waiter->mode == MODE_RESULT;
    if (wants && (!statement || !statement_fits(statement, result))) {
        statement = read_statement(line, statement, result);
        if (!statement)
            return -1;
        Py_XSETREF(waiter->statement, statement);
        result = statement->described;
    }
    switch (statement ? waiter->mode : MODE_NOTHING) {
    case MODE_RESULT:
        if (waiter->value && !PyList_Check(waiter->value)) /* of the command before it */
            Py_CLEAR(waiter->value);
        /* fall through */
    case MODE_ROWS:
    case MODE_PORTAL:
        if (waiter->value || (waiter->value = PyList_New(0))) {
            /* A decoder of the program's may cancel the very task that awaits these rows. */
            PyObject *list = Py_NewRef(waiter->value);
            done = statement_append(statement, result, list);
            Py_DECREF(list);
        }
        break;
    case MODE_ROW:
    case MODE_VALUE:
        if (!waiter->value && conn_result_rows(result) > 0) {
            PyObject *first = statement_first(statement, result, waiter->mode == MODE_ROW);
            Py_XSETREF(waiter->value, first);
            done = first ? 0 : -1;
        } else
            done = 0;
        break;
    default:
        done = 0;
    }
    if (!statement || result != statement->described)
        conn_result_free(result);
    return done;
}

static int described(Line *line, Waiter *waiter, ConnResult *result)
{
    if (waiter->mode != MODE_DESCRIBE) {
        conn_result_free(result);
        return 0;
    }
    Py_XSETREF(waiter->value, (PyObject *)statement_new(result, waiter->sql, waiter->name, line->codecs, -1));
    return waiter->value ? 0 : -1;
}

static int failed(Line *line, Waiter *waiter, ConnError *error)
{
    const char *state = conn_error_sqlstate(error);
    if (waiter->statement && state && (strcmp(state, "26000") == 0 || strcmp(state, "0A000") == 0))
        line_forget(line, waiter->statement);
    const char *message = conn_error_message(error);
    int is_timeout = state && message && strcmp(state, "57014") == 0 && strncmp(message, "timeout expired", 15) == 0;
    if (waiter->error || waiter->state != WAITER_PENDING) {
        conn_error_free(error);
        return 0;
    }
    waiter->error = PyObject_CallMethod(line->owner, "_error", "K", (unsigned long long)(uintptr_t)error);
    if (!waiter->error)
        return -1;
    /* One whose time is over is told at once; its operation ends later. Others end with it. */
    if (waiter == line->head && !is_timeout)
        return 0;
    finish(line, waiter);
    PyObject *told = line->stream ? PyObject_CallMethod(line->owner, "_unwanted", NULL) : Py_NewRef(Py_None);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

static int portal(Line *line, Waiter *waiter, int more)
{
    PyObject *list = waiter->value ? waiter->value : PyList_New(0);
    waiter->value = list ? Py_BuildValue("NO", list, more ? Py_True : Py_False) : NULL;
    if (!waiter->value)
        return -1;
    finish(line, waiter);
    unqueue(line, waiter);
    return 0;
}

static int whole(Waiter *waiter, const char *tag)
{
    PyObject *rows = waiter->value && PyList_Check(waiter->value) ? waiter->value : Py_None;
    PyObject *columns = rows != Py_None && waiter->statement ? waiter->statement->columns : Py_None;
    Py_XSETREF(waiter->value, Py_BuildValue("OOs", columns, rows, tag));
    return waiter->value ? 0 : -1;
}

static int ended(Line *line, Waiter *waiter, const ConnItem *item)
{
    if (item->operation != waiter->last)
        return 0;
    int done = 0;
    if (waiter->state == WAITER_PENDING) {
        if (item->outcome != CONN_OUTCOME_OK && !waiter->error) {
            waiter->error = PyObject_CallMethod(line->owner, "_unfinished", "ii", (int)item->outcome, (int)item->verdict);
            done = waiter->error ? 0 : caught(waiter);
        }
        if (waiter->mode == MODE_ROWS || waiter->mode == MODE_BATCHES)
            if (!waiter->value && !waiter->error && !(waiter->value = PyList_New(0)))
                done = -1;
        if (waiter->mode == MODE_DESCRIBE && !waiter->value && !waiter->error) {
            PyErr_SetString(InterfaceError, "the statement was prepared and not described");
            done = caught(waiter);
        }
        if (waiter->mode == MODE_COUNT && !waiter->error && !(waiter->value = PyLong_FromUnsignedLongLong(waiter->count)))
            done = -1;
        if (waiter->error)
            Py_CLEAR(waiter->value);
        finish(line, waiter);
    }
    unqueue(line, waiter);
    if (waiter->mode == MODE_COPY) { /* its waiter may have been told, or given up, long before */
        PyObject *told = PyObject_CallMethod(line->owner, "_copy_over", NULL);
        Py_XDECREF(told);
        done = told ? done : -1;
    }
    return done;
}

/* The server has none of them any more. A pooler in between is not as patient with who asks for them as the server is. */
static void forget_all(Line *line)
{
    PyObject *statement;
    for (Py_ssize_t at = 0; PyDict_Next(line->statements, &at, NULL, &statement);)
        ((Statement *)statement)->dead = 1;
    PyDict_Clear(line->statements);
}

static int take_one(Line *line, const ConnItem *item)
{
    Waiter *waiter = waiter_of(line, item->operation);
    int wanted = waiter && waiter->state == WAITER_PENDING, done = 0;
    if (waiter)
        Py_INCREF(waiter);
    switch (item->kind) {
    case CONN_ITEM_ROWS:
        if (wanted && !waiter->error)
            done = rows(line, waiter, item->result);
        else
            conn_result_free(item->result);
        break;
    case CONN_ITEM_DESCRIBED:
        if (wanted && !waiter->error)
            done = described(line, waiter, item->result);
        else
            conn_result_free(item->result);
        break;
    case CONN_ITEM_ERROR:
        if (waiter)
            done = failed(line, waiter, item->error);
        else
            conn_error_free(item->error);
        break;
    case CONN_ITEM_COMPLETE:
        if (item->tag[0] == 'D' && (strcmp(item->tag, "DEALLOCATE ALL") == 0 || strcmp(item->tag, "DISCARD ALL") == 0))
            forget_all(line);
        if (wanted && (waiter->mode == MODE_TAG || waiter->mode == MODE_COPY)) {
            Py_XSETREF(waiter->value, PyUnicode_DecodeUTF8(item->tag, (Py_ssize_t)strlen(item->tag), "replace"));
            done = waiter->value ? 0 : -1;
        } else if (wanted && waiter->mode == MODE_PORTAL && !waiter->error)
            done = portal(line, waiter, 0);
        else if (wanted && waiter->mode == MODE_RESULT && !waiter->error)
            done = whole(waiter, item->tag);
        else if (wanted && waiter->mode == MODE_COUNT)
            waiter->count += item->rows;
        break;
    case CONN_ITEM_SUSPENDED:
        if (wanted && waiter->mode == MODE_PORTAL && !waiter->error)
            done = portal(line, waiter, 1);
        break;
    case CONN_ITEM_COPY: {
        PyObject *told = PyObject_CallMethod(line->owner, "_copying", "Kii", (unsigned long long)item->operation, (int)item->copy, (int)item->format);
        done = told ? 0 : -1;
        Py_XDECREF(told);
        break;
    }
    case CONN_ITEM_CALLED:
        conn_result_free(item->result);
        break;
    case CONN_ITEM_DONE:
        if (waiter)
            done = ended(line, waiter, item);
        break;
    }
    if (done < 0 && waiter)
        done = caught(waiter);
    Py_XDECREF(waiter);
    return done;
}

int line_take(Line *line)
{
    ConnItem items[AT_ONCE];
    size_t count;
    int taken = 0;
    do {
        count = line->conn ? conn_get_results(line->conn, items, AT_ONCE) : 0;
        for (size_t at = 0; at < count; at++)
            if (take_one(line, &items[at]) < 0) {
                /* Only what ends the program comes here: the rest of it is not leaked, but it is lost. */
                while (++at < count) {
                    conn_result_free(items[at].result);
                    conn_error_free(items[at].error);
                }
                return -1;
            }
        taken += (int)count;
    } while (count == AT_ONCE);
    return taken;
}
