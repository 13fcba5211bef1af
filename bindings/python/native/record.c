/* Rows as Python objects: values by number and by column name. Knows nothing of where they come from. */
#include "native.h"

static void header_dealloc(Header *self)
{
    Py_XDECREF(self->names);
    Py_XDECREF(self->index);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Names are strings and the index is of strings and numbers: no cycle can lead through a header. */
PyTypeObject HeaderType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "pgpoll._native.Header",
    .tp_basicsize = sizeof(Header),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = (destructor)header_dealloc,
};

Header *header_new(PyObject *names, int containers)
{
    Header *header = PyObject_New(Header, &HeaderType);
    if (!header)
        return NULL;
    header->names = Py_NewRef(names);
    header->containers = containers;
    header->index = PyDict_New();
    if (!header->index)
        goto failed;
    /* From the end: of several columns with one name the first one is found. */
    for (Py_ssize_t at = PyTuple_GET_SIZE(names); at-- > 0;) {
        PyObject *number = PyLong_FromSsize_t(at);
        if (!number || PyDict_SetItem(header->index, PyTuple_GET_ITEM(names, at), number) < 0) {
            Py_XDECREF(number);
            goto failed;
        }
        Py_DECREF(number);
    }
    return header;
failed:
    Py_DECREF(header);
    return NULL;
}

Record *record_new(Header *header)
{
    Py_ssize_t count = PyTuple_GET_SIZE(header->names);
    Record *record = PyObject_GC_NewVar(Record, &RecordType, count);
    if (!record)
        return NULL;
    record->header = (Header *)Py_NewRef((PyObject *)header);
    memset(record->cells, 0, sizeof(PyObject *) * (size_t)count);
    return record;
}

/* A row of numbers and strings is part of no cycle: the collector need not look at it. */
void record_track(Record *record)
{
    if (record->header->containers)
        PyObject_GC_Track(record);
}

static void record_dealloc(Record *self)
{
    PyObject_GC_UnTrack(self);
    for (Py_ssize_t at = Py_SIZE(self); at-- > 0;)
        Py_XDECREF(self->cells[at]);
    Py_DECREF(self->header);
    PyObject_GC_Del(self);
}

static int record_traverse(Record *self, visitproc visit, void *arg)
{
    for (Py_ssize_t at = 0; at < Py_SIZE(self); at++)
        Py_VISIT(self->cells[at]);
    return 0;
}

static Py_ssize_t record_length(Record *self) { return Py_SIZE(self); }

static PyObject *record_item(Record *self, Py_ssize_t at)
{
    if (at < 0 || at >= Py_SIZE(self)) {
        PyErr_SetString(PyExc_IndexError, "record index out of range");
        return NULL;
    }
    return Py_NewRef(self->cells[at]);
}

static PyObject *as_tuple(Record *self)
{
    PyObject *tuple = PyTuple_New(Py_SIZE(self));
    for (Py_ssize_t at = 0; tuple && at < Py_SIZE(self); at++)
        PyTuple_SET_ITEM(tuple, at, Py_NewRef(self->cells[at]));
    return tuple;
}

/* Borrowed; NULL without exception where there is no such column. */
static PyObject *by_name(Record *self, PyObject *name)
{
    PyObject *number = PyDict_GetItemWithError(self->header->index, name);
    return number ? self->cells[PyLong_AsSsize_t(number)] : NULL;
}

static PyObject *record_subscript(Record *self, PyObject *key)
{
    if (PyUnicode_Check(key)) {
        PyObject *value = by_name(self, key);
        if (!value && !PyErr_Occurred())
            PyErr_SetObject(PyExc_KeyError, key);
        return Py_XNewRef(value);
    }
    if (PyIndex_Check(key)) {
        Py_ssize_t at = PyNumber_AsSsize_t(key, PyExc_IndexError);
        if (at == -1 && PyErr_Occurred())
            return NULL;
        return record_item(self, at < 0 ? at + Py_SIZE(self) : at);
    }
    if (PySlice_Check(key)) {
        PyObject *tuple = as_tuple(self), *part = tuple ? PyObject_GetItem(tuple, key) : NULL;
        Py_XDECREF(tuple);
        return part;
    }
    return PyErr_Format(PyExc_TypeError, "record indices must be integers, slices or column names, not %.100s", Py_TYPE(key)->tp_name);
}

static int record_contains(Record *self, PyObject *name) { return PyDict_Contains(self->header->index, name); }

static PyObject *record_iter(Record *self)
{
    PyObject *tuple = as_tuple(self), *iterator = tuple ? PyObject_GetIter(tuple) : NULL;
    Py_XDECREF(tuple);
    return iterator;
}

static PyObject *record_keys(Record *self, PyObject *unused)
{
    (void)unused;
    return PyObject_GetIter(self->header->names);
}

static PyObject *record_values(Record *self, PyObject *unused)
{
    (void)unused;
    return record_iter(self);
}

static PyObject *record_items(Record *self, PyObject *unused)
{
    (void)unused;
    PyObject *list = PyList_New(Py_SIZE(self)), *iterator = NULL;
    if (!list)
        return NULL;
    for (Py_ssize_t at = 0; at < Py_SIZE(self); at++) {
        PyObject *pair = PyTuple_Pack(2, PyTuple_GET_ITEM(self->header->names, at), self->cells[at]);
        if (!pair)
            goto out;
        PyList_SET_ITEM(list, at, pair);
    }
    iterator = PyObject_GetIter(list);
out:
    Py_DECREF(list);
    return iterator;
}

static PyObject *record_get(Record *self, PyObject *args)
{
    PyObject *name, *otherwise = Py_None;
    if (!PyArg_ParseTuple(args, "O|O:get", &name, &otherwise))
        return NULL;
    PyObject *value = by_name(self, name);
    if (!value && PyErr_Occurred())
        return NULL;
    return Py_NewRef(value ? value : otherwise);
}

static PyObject *record_repr(Record *self)
{
    PyObject *parts = PyList_New(0), *space = NULL, *joined = NULL, *text = NULL;
    for (Py_ssize_t at = 0; parts && at < Py_SIZE(self); at++) {
        PyObject *part = PyUnicode_FromFormat("%U=%R", PyTuple_GET_ITEM(self->header->names, at), self->cells[at]);
        if (!part || PyList_Append(parts, part) < 0) {
            Py_XDECREF(part);
            goto out;
        }
        Py_DECREF(part);
    }
    if (parts && (space = PyUnicode_FromString(" ")) && (joined = PyUnicode_Join(space, parts)))
        text = PyUnicode_FromFormat(Py_SIZE(self) ? "<Record %U>" : "<Record>", joined);
out:
    Py_XDECREF(parts);
    Py_XDECREF(space);
    Py_XDECREF(joined);
    return text;
}

static Py_hash_t record_hash(Record *self)
{
    PyObject *tuple = as_tuple(self);
    Py_hash_t hash = tuple ? PyObject_Hash(tuple) : -1;
    Py_XDECREF(tuple);
    return hash;
}

static PyObject *record_compare(PyObject *self, PyObject *other, int how)
{
    int record = Py_IS_TYPE(other, &RecordType);
    if (!record && !PyTuple_Check(other))
        Py_RETURN_NOTIMPLEMENTED;
    PyObject *left = as_tuple((Record *)self), *right = record ? as_tuple((Record *)other) : Py_NewRef(other);
    PyObject *answer = left && right ? PyObject_RichCompare(left, right, how) : NULL;
    Py_XDECREF(left);
    Py_XDECREF(right);
    return answer;
}

static PySequenceMethods record_sequence = {
    .sq_length = (lenfunc)record_length,
    .sq_item = (ssizeargfunc)record_item,
    .sq_contains = (objobjproc)record_contains,
};
static PyMappingMethods record_mapping = {
    .mp_length = (lenfunc)record_length,
    .mp_subscript = (binaryfunc)record_subscript,
};
static PyMethodDef record_methods[] = {
    {"keys", (PyCFunction)record_keys, METH_NOARGS, "The names of the columns, in order."},
    {"values", (PyCFunction)record_values, METH_NOARGS, "The values, in order."},
    {"items", (PyCFunction)record_items, METH_NOARGS, "Names with values, in order."},
    {"get", (PyCFunction)record_get, METH_VARARGS, "The value of a column; None, or the second argument, where there is no such column."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject RecordType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "pgpoll.Record",
    .tp_doc = "A row: values by number (also slices) and by column name. Never changes. `in` looks for a column's name.",
    .tp_basicsize = sizeof(Record) - sizeof(PyObject *),
    .tp_itemsize = sizeof(PyObject *),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_dealloc = (destructor)record_dealloc,
    .tp_traverse = (traverseproc)record_traverse,
    .tp_as_sequence = &record_sequence,
    .tp_as_mapping = &record_mapping,
    .tp_methods = record_methods,
    .tp_iter = (getiterfunc)record_iter,
    .tp_repr = (reprfunc)record_repr,
    .tp_hash = (hashfunc)record_hash,
    .tp_richcompare = record_compare,
};
