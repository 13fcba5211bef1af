/* Python objects as values for the server: numbers, text and times here, the other types by their codec. */
#include "native.h"

#include <math.h>

PyObject *JsonDumps, *ParameterHook;
static PyObject *uuid_bytes;

int encode_ready(void) { return (uuid_bytes = PyUnicode_InternFromString("bytes")) ? 0 : -1; }

PyObject *codec_of(PyObject *codecs, uint32_t oid)
{
    PyObject *key = PyLong_FromUnsignedLong(oid), *codec = key ? PyDict_GetItemWithError(codecs, key) : NULL;
    Py_XDECREF(key);
    return codec;
}

int codec_is_custom(PyObject *codec) { return PyTuple_GET_ITEM(codec, CODEC_CUSTOM) == Py_True; }

static int expected(const char *what, PyObject *value)
{
    PyErr_Format(PyExc_TypeError, "expected %s, got %.100s", what, Py_TYPE(value)->tp_name);
    return -1;
}

static int whole(PyObject *value, int64_t lowest, int64_t highest, int64_t *number)
{
    PyObject *index = PyLong_CheckExact(value) ? Py_NewRef(value) : PyIndex_Check(value) ? PyNumber_Index(value) : NULL;
    if (!index)
        return PyErr_Occurred() ? -1 : expected("int", value);
    int overflow;
    *number = PyLong_AsLongLongAndOverflow(index, &overflow);
    Py_DECREF(index);
    if (overflow || *number < lowest || *number > highest) {
        PyErr_Format(PyExc_OverflowError, "expected an int from %lld to %lld", (long long)lowest, (long long)highest);
        return -1;
    }
    return 0;
}

static int floating(PyObject *value, double *number)
{
    if (PyFloat_CheckExact(value)) {
        *number = PyFloat_AS_DOUBLE(value);
        return 0;
    }
    if (PyUnicode_Check(value) || PyBytes_Check(value))
        return expected("float", value);
    *number = PyFloat_AsDouble(value);
    if (*number == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            return expected("float", value);
        return -1;
    }
    return 0;
}

static int as_text(Cell *cell, PyObject *value)
{
    if (!PyUnicode_Check(value))
        return expected("str", value);
    Py_ssize_t length;
    cell->data = PyUnicode_AsUTF8AndSize(value, &length);
    if (!cell->data)
        return -1;
    if (length > INT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a value may have 2 GB at most");
        return -1;
    }
    cell->length = (int)length;
    return 1;
}

static int as_bytes(Cell *cell, PyObject *value, PyObject **keep)
{
    if (!PyBytes_Check(value)) {
        if (!PyObject_CheckBuffer(value))
            return expected("bytes", value);
        value = *keep = PyBytes_FromObject(value);
        if (!value)
            return -1;
    }
    if (PyBytes_GET_SIZE(value) > INT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a value may have 2 GB at most");
        return -1;
    }
    cell->data = PyBytes_AS_STRING(value);
    cell->length = (int)PyBytes_GET_SIZE(value);
    return 1;
}

/* "char": an ASCII character, none, or another byte in octal, as in the server's text. */
static int as_char(Cell *cell, PyObject *value)
{
    if (as_text(cell, value) < 0)
        return -1;
    const char *text = cell->data;
    int length = cell->length, octal = 0;
    for (int at = 1; length == 4 && text[0] == '\\' && at < 4 && text[at] >= '0' && text[at] <= '7'; at++)
        octal = at == 3 ? (text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0') : 0;
    if (length > 1 && (octal == 0 || octal > 255)) {
        PyErr_SetString(PyExc_ValueError, "expected one ASCII character");
        return -1;
    }
    cell->slot[0] = (char)(length > 1 ? octal : length ? text[0] : 0);
    return 1;
}

/* json: a string is JSON already, all else is made JSON. jsonb has a version in front. */
static int as_json(Cell *cell, PyObject *value, uint32_t oid, PyObject **keep)
{
    PyObject *text = PyUnicode_Check(value) ? Py_NewRef(value) : PyObject_CallOneArg(JsonDumps, value);
    if (!text)
        return -1;
    Py_ssize_t length;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &length);
    if (utf8 && oid == 3802) {
        *keep = PyBytes_FromStringAndSize(NULL, length + 1);
        if (*keep) {
            char *to = PyBytes_AS_STRING(*keep);
            to[0] = 1;
            memcpy(to + 1, utf8, (size_t)length);
        }
        Py_DECREF(text);
        return *keep ? as_bytes(cell, *keep, keep) : -1;
    }
    *keep = text;
    return utf8 ? as_text(cell, text) : -1;
}

static int as_uuid(Cell *cell, PyObject *value)
{
    PyObject *made = NULL, *bytes = NULL;
    int type = PyObject_IsInstance(value, UuidType);
    if (type == 0 && PyUnicode_Check(value))
        value = made = PyObject_CallOneArg(UuidType, value);
    else if (type == 0)
        return expected("uuid.UUID", value);
    bytes = type >= 0 && value ? PyObject_GetAttr(value, uuid_bytes) : NULL;
    if (bytes && PyBytes_Check(bytes) && PyBytes_GET_SIZE(bytes) == 16)
        memcpy(cell->slot, PyBytes_AS_STRING(bytes), 16);
    else if (bytes)
        expected("uuid.UUID", value);
    Py_XDECREF(bytes);
    Py_XDECREF(made);
    return PyErr_Occurred() ? -1 : 16;
}

/* How many bytes of the slot are used, or 0 where the cell has its data elsewhere; -2: there is no encoder here. */
static int built_in(Cell *cell, PyObject *value, uint32_t oid, PyObject **keep)
{
    int64_t number;
    double real;
    switch (oid) {
    case 16:
        if (!PyBool_Check(value))
            return expected("bool", value);
        cell->slot[0] = value == Py_True;
        return 1;
    case 20:
        if (whole(value, INT64_MIN, INT64_MAX, &number) < 0)
            return -1;
        store64(cell->slot, (uint64_t)number);
        return 8;
    case 21:
        if (whole(value, INT16_MIN, INT16_MAX, &number) < 0)
            return -1;
        store16(cell->slot, (uint16_t)number);
        return 2;
    case 23:
        if (whole(value, INT32_MIN, INT32_MAX, &number) < 0)
            return -1;
        store32(cell->slot, (uint32_t)number);
        return 4;
    case 26: case 28: case 29:
        if (whole(value, 0, UINT32_MAX, &number) < 0)
            return -1;
        store32(cell->slot, (uint32_t)number);
        return 4;
    case 700: {
        if (floating(value, &real) < 0)
            return -1;
        float narrow = (float)real;
        if (isinf(narrow) && !isinf(real)) {
            PyErr_SetString(PyExc_OverflowError, "expected a float of four bytes");
            return -1;
        }
        uint32_t bits;
        memcpy(&bits, &narrow, 4);
        store32(cell->slot, bits);
        return 4;
    }
    case 701: {
        if (floating(value, &real) < 0)
            return -1;
        uint64_t bits;
        memcpy(&bits, &real, 8);
        store64(cell->slot, bits);
        return 8;
    }
    case 17: return as_bytes(cell, value, keep) < 0 ? -1 : 0;
    case 18: return as_char(cell, value);
    case 19: case 25: case 142: case 705: case 1042: case 1043: return as_text(cell, value) < 0 ? -1 : 0;
    case 114: case 3802: return as_json(cell, value, oid, keep) < 0 ? -1 : 0;
    case 1082: return encode_date(value, cell->slot);
    case 1083: return encode_time(value, cell->slot);
    case 1114: return encode_timestamp(value, cell->slot, 0);
    case 1184: return encode_timestamp(value, cell->slot, 1);
    case 2950: return as_uuid(cell, value);
    default: return -2;
    }
}

/* A codec's encoder gives a string, the value as text, or bytes, its binary form. */
static int by_codec(Cell *cell, PyObject *value, PyObject *encode, PyObject **keep)
{
    *keep = PyObject_CallOneArg(encode, value);
    if (*keep && !PyBytes_Check(*keep) && PyObject_CheckBuffer(*keep))
        Py_SETREF(*keep, PyBytes_FromObject(*keep));
    if (!*keep)
        return -1;
    if (PyBytes_Check(*keep)) {
        cell->format = CONN_BINARY;
        return as_bytes(cell, *keep, keep);
    }
    if (!PyUnicode_Check(*keep))
        return expected("an encoder that returns str or bytes", *keep);
    cell->format = CONN_TEXT;
    if (as_text(cell, *keep) < 0)
        return -1;
    if (memchr(cell->data, 0, (size_t)cell->length)) {
        PyErr_SetString(PyExc_ValueError, "text of PostgreSQL cannot have a character 0");
        return -1;
    }
    return 1;
}

/* Who encodes values of a type: NULL for what is built in here, else a callable, which is yours. -1 with exception. */
int encoder_of(uint32_t oid, PyObject *codecs, PyObject **encode)
{
    Cell cell;
    PyObject *keep = NULL, *codec = codec_of(codecs, oid);
    *encode = NULL;
    if (!codec && PyErr_Occurred())
        return -1;
    if (!codec || !codec_is_custom(codec)) {
        int known = built_in(&cell, Py_None, oid, &keep) != -2;
        PyErr_Clear();
        Py_XDECREF(keep);
        if (known)
            return 0;
    }
    if (!codec || PyTuple_GET_ITEM(codec, CODEC_ENCODE) == Py_None)
        codec = codec_of(codecs, 0); /* of a type that nobody knows: by what the value is */
    if (!codec)
        return PyErr_Occurred() ? -1 : (PyErr_Format(PyExc_LookupError, "there is no codec for type %u", oid), -1);
    *encode = Py_NewRef(PyTuple_GET_ITEM(codec, CODEC_ENCODE));
    return 0;
}

/* is_built_in(oid, codecs): whether values of a type are encoded here, in binary. */
PyObject *native_is_built_in(PyObject *module, PyObject *args)
{
    (void)module;
    unsigned oid;
    PyObject *codecs, *encode;
    if (!PyArg_ParseTuple(args, "IO!:is_built_in", &oid, &PyDict_Type, &codecs) || encoder_of(oid, codecs, &encode) < 0)
        return NULL;
    PyObject *answer = PyBool_FromLong(!encode);
    Py_XDECREF(encode);
    return answer;
}

/* 1, or -1 with the encoder's exception. What the cell leads to lives as long as value and keep. */
int encode_cell(Cell *cell, PyObject *value, uint32_t oid, PyObject *encode, PyObject **keep)
{
    *keep = NULL;
    cell->format = encode ? CONN_TEXT : CONN_BINARY;
    cell->data = NULL;
    cell->length = 0;
    if (value == Py_None)
        return 1;
    if (encode)
        return by_codec(cell, value, encode, keep);
    int size = built_in(cell, value, oid, keep);
    if (size > 0) {
        cell->data = cell->slot;
        cell->length = size;
    }
    return size < 0 ? -1 : 1;
}

/* The same, with an exception that says which parameter it is and what was expected. */
int encode_parameter(Cell *cell, PyObject *value, uint32_t oid, PyObject *encode, PyObject **keep, Py_ssize_t number)
{
    if (encode_cell(cell, value, oid, encode, keep) > 0)
        return 1;
    Py_CLEAR(*keep);
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError))
        return -1;
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    PyObject *better = PyObject_CallFunction(ParameterHook, "nIO", number + 1, (unsigned)oid, error ? error : Py_None);
    if (better)
        PyErr_SetObject((PyObject *)Py_TYPE(better), better);
    Py_XDECREF(better);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return -1;
}
