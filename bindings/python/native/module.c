/* The module pgpoll._native: its types and functions, and what the Python side hands over once. */
#include "native.h"

/* configure(**names): exceptions and constructors that the C side calls. */
static PyObject *configure(PyObject *module, PyObject *args, PyObject *names)
{
    static char *words[] = {"interface_error", "cancelled_error", "copy_error", "parameter_error", "holder", "loads", "dumps", "decimal", "uuid", NULL};
    PyObject **to[] = {&InterfaceError, &CancelledError, &CopyError,   &ParameterHook, &HolderVariable,
                       &JsonLoads,      &JsonDumps,      &DecimalType, &UuidType};
    PyObject *from[9];
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, names, "OOOOOOOOO:configure", words, &from[0], &from[1], &from[2], &from[3], &from[4], &from[5],
                                     &from[6], &from[7], &from[8]))
        return NULL;
    for (size_t at = 0; at < 9; at++)
        Py_XSETREF(*to[at], Py_NewRef(from[at]));
    Py_RETURN_NONE;
}

/* A child of fork has none of its parent's connections. */
static PyObject *forked(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    native_forks++;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"configure", (PyCFunction)(void (*)(void))configure, METH_VARARGS | METH_KEYWORDS, NULL},
    {"decode", native_decode, METH_VARARGS, "decode(oid, data, codecs): the object of a binary value."},
    {"copy_rows", native_copy_rows, METH_VARARGS, NULL},
    {"fields", native_fields, METH_O, "fields(row): the values of a row."},
    {"is_built_in", native_is_built_in, METH_VARARGS, NULL},
    {"forked", forked, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "pgpoll._native", "Between the event loop and libpgpoll.", -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *module = PyModule_Create(&definition);
    struct {
        const char *name;
        PyTypeObject *type;
    } types[] = {{"Header", &HeaderType}, {"Record", &RecordType}, {"Statement", &StatementType},
                 {"Batch", &BatchType},   {"Waiter", &WaiterType}, {"Line", &LineType}};
    if (!module || decode_ready() < 0 || encode_ready() < 0 || temporal_ready() < 0 || waiter_ready() < 0)
        return NULL;
    for (size_t at = 0; at < sizeof types / sizeof *types; at++)
        if (PyType_Ready(types[at].type) < 0 || PyModule_AddObjectRef(module, types[at].name, (PyObject *)types[at].type) < 0)
            return NULL;
    return module;
}
