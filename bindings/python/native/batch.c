/* Rows as they were received, for Arrow; and rows of Python objects as the data of a binary COPY. */
#include "native.h"

#include <structmember.h>

typedef struct Batch {
    PyObject_HEAD
    ConnResult *result;
    unsigned long long pointer;
} Batch;

static void batch_dealloc(Batch *self)
{
    conn_result_free(self->result);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static Py_ssize_t batch_length(Batch *self) { return (Py_ssize_t)conn_result_rows(self->result); }
static PySequenceMethods batch_sequence = {.sq_length = (lenfunc)batch_length};
static PyMemberDef batch_members[] = {
    {"pointer", T_ULONGLONG, offsetof(Batch, pointer), READONLY, "The ConnResult's address; it lives as long as the batch."},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject BatchType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "pgpoll._native.Batch",
    .tp_basicsize = sizeof(Batch),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = (destructor)batch_dealloc,
    .tp_as_sequence = &batch_sequence,
    .tp_members = batch_members,
};

PyObject *batch_new(ConnResult *result)
{
    Batch *batch = PyObject_New(Batch, &BatchType);
    if (!batch) {
        conn_result_free(result);
        return NULL;
    }
    batch->result = result;
    batch->pointer = (uintptr_t)result;
    return (PyObject *)batch;
}

/* Bytes that grow. */
typedef struct Buffer {
    char *data;
    size_t length, room;
} Buffer;

static char *more(Buffer *buffer, size_t length)
{
    if (buffer->room - buffer->length < length) {
        size_t room = buffer->room * 2 > buffer->length + length ? buffer->room * 2 : buffer->length + length;
        char *data = PyMem_Realloc(buffer->data, room);
        if (!data) {
            PyErr_NoMemory();
            return NULL;
        }
        buffer->data = data;
        buffer->room = room;
    }
    char *at = buffer->data + buffer->length;
    buffer->length += length;
    return at;
}

/* The values of a row of executemany's or of COPY's. What is a value itself, or has no order, is none: it would be taken apart. */
PyObject *fields_of(PyObject *row)
{
    int whole = PyUnicode_Check(row) || PyBytes_Check(row) || PyByteArray_Check(row) || PyDict_Check(row) || PyAnySet_Check(row);
    PyObject *fields = whole ? NULL : PySequence_Fast(row, "");
    if (whole || (!fields && PyErr_ExceptionMatches(PyExc_TypeError)))
        PyErr_Format(InterfaceError, "a row is a sequence of values, such as a tuple, not %.100s", Py_TYPE(row)->tp_name);
    return fields;
}

/* fields(row): the same, for rows that Python encodes. */
PyObject *native_fields(PyObject *module, PyObject *row)
{
    (void)module;
    return fields_of(row);
}

static int append_row(Buffer *buffer, Statement *statement, PyObject *row)
{
    int columns = statement->column_count;
    PyObject *fields = fields_of(row);
    if (!fields)
        return -1;
    int done = -1;
    if (PySequence_Fast_GET_SIZE(fields) != columns) {
        PyErr_Format(InterfaceError, "a record has %zd values, the table's columns are %d", PySequence_Fast_GET_SIZE(fields), columns);
        goto out;
    }
    char *to = more(buffer, 2);
    if (!to)
        goto out;
    store16(to, (uint16_t)columns);
    for (int column = 0; column < columns; column++) {
        Cell cell;
        PyObject *keep;
        if (encode_parameter(&cell, PySequence_Fast_GET_ITEM(fields, column), statement->decoders[column].oid, NULL, &keep, column) < 0)
            goto out;
        to = more(buffer, 4 + (size_t)cell.length);
        if (to) {
            store32(to, cell.data ? (uint32_t)cell.length : UINT32_MAX);
            if (cell.data)
                memcpy(to + 4, cell.data, (size_t)cell.length);
        }
        Py_XDECREF(keep);
        if (!to)
            goto out;
    }
    done = 0;
out:
    Py_DECREF(fields);
    return done;
}

/* copy_rows(statement, iterator, size): about size bytes of rows in the binary form of COPY; fewer at the end of the iterator. */
PyObject *native_copy_rows(PyObject *module, PyObject *args)
{
    (void)module;
    Statement *statement;
    PyObject *iterator, *row, *bytes = NULL;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "O!On:copy_rows", &StatementType, &statement, &iterator, &size))
        return NULL;
    Buffer buffer = {0};
    if (!more(&buffer, (size_t)size + 4096))
        return NULL;
    buffer.length = 0;
    while (buffer.length < (size_t)size && (row = PyIter_Next(iterator))) {
        int appended = append_row(&buffer, statement, row);
        Py_DECREF(row);
        if (appended < 0)
            goto out;
    }
    if (!PyErr_Occurred())
        bytes = PyBytes_FromStringAndSize(buffer.data, (Py_ssize_t)buffer.length);
out:
    PyMem_Free(buffer.data);
    return bytes;
}
