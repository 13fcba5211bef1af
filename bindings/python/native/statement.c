/* A prepared statement: what its parameters and columns are, and rows made by that. Knows no connection. */
#include "native.h"

#include <structmember.h>

enum { CHUNK = 1024 }; /* cells that are asked for at once */

static void statement_dealloc(Statement *self)
{
    for (int at = 0; self->decoders && at < self->column_count; at++)
        column_close(&self->decoders[at]);
    for (int at = 0; self->encoders && at < self->parameter_count; at++)
        Py_XDECREF(self->encoders[at]);
    PyMem_Free(self->decoders);
    PyMem_Free(self->encoders);
    PyMem_Free(self->oids);
    conn_result_free(self->described);
    Py_XDECREF(self->sql);
    Py_XDECREF(self->name);
    Py_XDECREF(self->codecs);
    Py_XDECREF(self->parameters);
    Py_XDECREF(self->columns);
    Py_XDECREF((PyObject *)self->header);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Makes ready to read all columns in one form. 0: one has no decoder for binary, and at says which. */
static int open_columns(Statement *self, int binary, int *at)
{
    for (*at = 0; *at < self->column_count; ++*at) {
        uint32_t oid = conn_result_type(self->described, (size_t)*at);
        int opened = column_open(&self->decoders[*at], oid, binary, self->codecs);
        if (opened <= 0) {
            for (int before = *at; before >= 0; before--)
                column_close(&self->decoders[before]);
            return opened;
        }
    }
    self->binary = binary;
    return 1;
}

/* All columns in binary, or, where one has no decoder for that, all as text: the protocol's border has one form for a result. It is too
 * late for that where the result is there already (format is its own): the statement's columns have changed without a word. */
static int choose_form(Statement *self, int format)
{
    int at = 0, opened = open_columns(self, format != CONN_TEXT, &at);
    if (opened == 0 && format < 0)
        opened = open_columns(self, 0, &at);
    else if (opened == 0) {
        PyObject *columns = self->columns, *name = PyTuple_GET_ITEM(PyTuple_GET_ITEM(columns, at), 0);
        PyErr_Format(InterfaceError,
                     "column \"%U\" has another type than when the statement was prepared, which cannot be read in binary: what was "
                     "executed took effect; execute it again for its rows",
                     name);
    }
    return opened;
}

static int read_columns(Statement *self)
{
    int count = self->column_count = (int)conn_result_columns(self->described);
    PyObject *names = PyTuple_New(count);
    self->columns = PyTuple_New(count);
    self->decoders = PyMem_Calloc((size_t)count + 1, sizeof(Column));
    if (!names || !self->columns || !self->decoders)
        goto failed;
    for (int at = 0; at < count; at++) {
        const char *text = conn_result_name(self->described, (size_t)at);
        PyObject *name = PyUnicode_DecodeUTF8(text ? text : "", text ? (Py_ssize_t)strlen(text) : 0, "surrogateescape");
        if (!name)
            goto failed;
        PyUnicode_InternInPlace(&name);
        PyTuple_SET_ITEM(names, at, name);
        PyObject *column = Py_BuildValue("OIi", name, (unsigned)conn_result_type(self->described, (size_t)at),
                                         (int)conn_result_type_modifier(self->described, (size_t)at));
        if (!column)
            goto failed;
        PyTuple_SET_ITEM(self->columns, at, column);
    }
    self->key = count ? conn_result_name(self->described, 0) : NULL;
    self->header = header_new(names, 0);
    Py_DECREF(names);
    return self->header ? 0 : -1;
failed:
    Py_XDECREF(names);
    return -1;
}

static int read_parameters(Statement *self)
{
    size_t count = 0;
    const uint32_t *oids = conn_result_parameters(self->described, &count);
    self->parameter_count = (int)count;
    self->parameters = PyTuple_New((Py_ssize_t)count);
    self->oids = PyMem_Calloc(count + 1, sizeof(uint32_t));
    self->encoders = PyMem_Calloc(count + 1, sizeof(PyObject *));
    if (!self->parameters || !self->oids || !self->encoders)
        return -1;
    for (size_t at = 0; at < count; at++) {
        PyObject *oid = PyLong_FromUnsignedLong(oids[at]);
        if (!oid)
            return -1;
        PyTuple_SET_ITEM(self->parameters, (Py_ssize_t)at, oid);
        self->oids[at] = oids[at];
        if (encoder_of(oids[at], self->codecs, &self->encoders[at]) < 0)
            return -1;
    }
    return 0;
}

Statement *statement_new(ConnResult *described, PyObject *sql, PyObject *name, PyObject *codecs, int format)
{
    Statement *self = (Statement *)StatementType.tp_alloc(&StatementType, 0);
    if (!self) {
        conn_result_free(described);
        return NULL;
    }
    self->described = described;
    self->sql = Py_NewRef(sql);
    self->name = Py_NewRef(name);
    self->codecs = Py_NewRef(codecs);
    if (read_columns(self) < 0 || read_parameters(self) < 0)
        goto failed;
    if (choose_form(self, format) <= 0)
        goto failed;
    for (int at = 0; at < self->column_count; at++)
        self->header->containers |= column_is_container(&self->decoders[at]);
    return self;
failed:
    if (!PyErr_Occurred())
        PyErr_NoMemory();
    Py_DECREF(self);
    return NULL;
}

/* Whether a result has the columns that were described: behind a pooler its server may have prepared after a migration. */
int statement_fits(const Statement *self, const ConnResult *result)
{
    const ConnResult *described = self->described;
    if (conn_result_columns(result) != (size_t)self->column_count)
        return 0;
    if (self->column_count && conn_result_format(result, 0) != self->binary)
        return 0;
    if (!self->key || conn_result_name(result, 0) == self->key)
        return 1;
    for (size_t at = 0; at < (size_t)self->column_count; at++)
        if (conn_result_type(result, at) != conn_result_type(described, at) ||
            conn_result_type_modifier(result, at) != conn_result_type_modifier(described, at) ||
            strcmp(conn_result_name(result, at), conn_result_name(described, at)) != 0)
            return 0;
    return 1;
}

static inline PyObject *cell_of(Statement *self, int column, const char *value, size_t length)
{
    const Column *decoder = &self->decoders[column];
    return value ? decoder->decode(decoder, value, (Py_ssize_t)length) : Py_NewRef(Py_None);
}

static inline PyObject *row_of(Statement *self, const char **values, const size_t *lengths)
{
    Record *record = record_new(self->header);
    if (!record)
        return NULL;
    for (int column = 0; column < self->column_count; column++)
        if (!(record->cells[column] = cell_of(self, column, values[column], lengths[column]))) {
            Py_DECREF(record);
            return NULL;
        }
    record_track(record);
    return (PyObject *)record;
}

static int append_chunks(Statement *self, const ConnResult *result, PyObject *rows, const char **values, size_t *lengths, size_t at_once)
{
    size_t count, columns = (size_t)self->column_count;
    for (size_t from = 0; (count = conn_result_cells(result, from, at_once, values, lengths)) > 0; from += count)
        for (size_t row = 0; row < count; row++) {
            PyObject *record = row_of(self, values + row * columns, lengths + row * columns);
            if (!record || PyList_Append(rows, record) < 0) {
                Py_XDECREF(record);
                return -1;
            }
            Py_DECREF(record);
        }
    return 0;
}

/* Adds a result's rows to a list. */
int statement_append(Statement *self, const ConnResult *result, PyObject *rows)
{
    size_t columns = (size_t)self->column_count;
    if (columns == 0) { /* select without columns has rows, too */
        for (size_t row = 0; row < conn_result_rows(result); row++) {
            PyObject *record = row_of(self, NULL, NULL);
            if (!record || PyList_Append(rows, record) < 0) {
                Py_XDECREF(record);
                return -1;
            }
            Py_DECREF(record);
        }
        return 0;
    }
    if (columns <= CHUNK) {
        const char *values[CHUNK];
        size_t lengths[CHUNK];
        return append_chunks(self, result, rows, values, lengths, CHUNK / columns);
    }
    const char **values = PyMem_Malloc(columns * sizeof *values);
    size_t *lengths = PyMem_Malloc(columns * sizeof *lengths);
    int added = values && lengths ? append_chunks(self, result, rows, values, lengths, 1) : (PyErr_NoMemory(), -1);
    PyMem_Free(values);
    PyMem_Free(lengths);
    return added;
}

/* The first row, or its first value; None where there is none. */
PyObject *statement_first(Statement *self, const ConnResult *result, int whole_row)
{
    if (conn_result_rows(result) == 0 || (!whole_row && self->column_count == 0))
        Py_RETURN_NONE;
    if (!whole_row)
        return cell_of(self, 0, conn_result_value(result, 0, 0), conn_result_length(result, 0, 0));
    const char *values[64];
    size_t lengths[64];
    if (self->column_count <= 64) {
        conn_result_cells(result, 0, 1, values, lengths);
        return row_of(self, values, lengths);
    }
    Record *record = record_new(self->header);
    for (int column = 0; record && column < self->column_count; column++) {
        size_t at = (size_t)column;
        record->cells[column] = cell_of(self, column, conn_result_value(result, 0, at), conn_result_length(result, 0, at));
        if (!record->cells[column])
            Py_CLEAR(record);
    }
    if (record)
        record_track(record);
    return (PyObject *)record;
}

#define FIELD(name) offsetof(Statement, name)
static PyMemberDef statement_members[] = {
    {"sql", T_OBJECT, FIELD(sql), READONLY, "The statement's text."},
    {"name", T_OBJECT, FIELD(name), READONLY, "Its name in the server, as bytes."},
    {"parameters", T_OBJECT, FIELD(parameters), READONLY, "The OIDs of the parameters' types."},
    {"columns", T_OBJECT, FIELD(columns), READONLY, "(name, OID of the type, type modifier) of each column."},
    {"binary", T_INT, FIELD(binary), READONLY, "Whether results come in binary."},
    {"used", T_ULONGLONG, FIELD(used), READONLY, "When it was used last, by the count of its line."},
    {"dead", T_INT, FIELD(dead), 0, "Whether it is no longer to be used."},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject StatementType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "pgpoll._native.Statement",
    .tp_basicsize = sizeof(Statement),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = (destructor)statement_dealloc,
    .tp_members = statement_members,
};
