/* Values of the server as Python objects: which decoder a type has, and those of numbers, text and arrays. */
#include "native.h"

PyObject *JsonLoads, *DecimalType, *UuidType;
static PyObject *int_name, *safe_name, *safe_unknown;

int decode_ready(void)
{
    int_name = PyUnicode_InternFromString("int");
    safe_name = PyUnicode_InternFromString("is_safe");
    return int_name && safe_name ? 0 : -1;
}

static PyObject *malformed(const Column *column)
{
    return PyErr_Format(PyExc_ValueError, "the server sent a value of type %u that is malformed", column->oid);
}

#define SIZE(expected)               \
    if (length != (expected))        \
        return malformed(column)

static PyObject *bool_of(const Column *column, const char *value, Py_ssize_t length)
{
    SIZE(1);
    return PyBool_FromLong(*value);
}

static PyObject *int2_of(const Column *column, const char *value, Py_ssize_t length)
{
    SIZE(2);
    return PyLong_FromLong((int16_t)load16(value));
}

static PyObject *int4_of(const Column *column, const char *value, Py_ssize_t length)
{
    SIZE(4);
    return PyLong_FromLong((int32_t)load32(value));
}

static PyObject *int8_of(const Column *column, const char *value, Py_ssize_t length)
{
    SIZE(8);
    return PyLong_FromLongLong((int64_t)load64(value));
}

static PyObject *oid_of(const Column *column, const char *value, Py_ssize_t length)
{
    SIZE(4);
    return PyLong_FromUnsignedLong(load32(value));
}

static PyObject *float4_of(const Column *column, const char *value, Py_ssize_t length)
{
    SIZE(4);
    uint32_t bits = load32(value);
    float number;
    memcpy(&number, &bits, 4);
    return PyFloat_FromDouble(number);
}

static PyObject *float8_of(const Column *column, const char *value, Py_ssize_t length)
{
    SIZE(8);
    uint64_t bits = load64(value);
    double number;
    memcpy(&number, &bits, 8);
    return PyFloat_FromDouble(number);
}

static PyObject *text_of(const Column *column, const char *value, Py_ssize_t length)
{
    (void)column;
    return PyUnicode_DecodeUTF8(value, length, NULL);
}

/* "char" is a byte: none of text where it is 0, and as the server's text has it where it is no ASCII. */
static PyObject *char_of(const Column *column, const char *value, Py_ssize_t length)
{
    unsigned char byte = length == 1 ? (unsigned char)*value : 0;
    if (length != 1 || byte < 0x80)
        return text_of(column, value, byte ? 1 : 0);
    char octal[] = {'\\', (char)('0' + (byte >> 6)), (char)('0' + (byte >> 3 & 7)), (char)('0' + (byte & 7))};
    return text_of(column, octal, sizeof octal);
}

static PyObject *bytes_of(const Column *column, const char *value, Py_ssize_t length)
{
    (void)column;
    return PyBytes_FromStringAndSize(value, length);
}

static PyObject *void_of(const Column *column, const char *value, Py_ssize_t length)
{
    (void)column, (void)value, (void)length;
    Py_RETURN_NONE;
}

static PyObject *json_of(const Column *column, const char *value, Py_ssize_t length)
{
    if (column->oid == 3802) { /* jsonb: a version comes first */
        if (length < 1 || *value != 1)
            return malformed(column);
        value++, length--;
    }
    PyObject *text = PyUnicode_DecodeUTF8(value, length, NULL), *object = text ? PyObject_CallOneArg(JsonLoads, text) : NULL;
    Py_XDECREF(text);
    return object;
}

/* uuid.UUID, with its two slots filled: its own constructor takes ten times as long. */
static PyObject *uuid_of(const Column *column, const char *value, Py_ssize_t length)
{
    SIZE(16);
    PyTypeObject *type = (PyTypeObject *)UuidType;
    static PyObject *nothing;
    if (!nothing && !(nothing = PyTuple_New(0)))
        return NULL;
    if (!safe_unknown) {
        PyObject *sample = PyObject_CallFunction(UuidType, "s", "00000000-0000-0000-0000-000000000000");
        safe_unknown = sample ? PyObject_GetAttr(sample, safe_name) : NULL;
        Py_XDECREF(sample);
        if (!safe_unknown)
            return NULL;
    }
    PyObject *uuid = PyBaseObject_Type.tp_new(type, nothing, NULL), *number = _PyLong_FromByteArray((const unsigned char *)value, 16, 0, 0);
    if (!uuid || !number || PyObject_GenericSetAttr(uuid, int_name, number) < 0 || PyObject_GenericSetAttr(uuid, safe_name, safe_unknown) < 0)
        Py_CLEAR(uuid);
    Py_XDECREF(number);
    return uuid;
}

/* numeric: groups of four decimal digits, of which the first stands at the power `weight` of 10,000. */
static PyObject *numeric_of(const Column *column, const char *value, Py_ssize_t length)
{
    if (length < 8)
        return malformed(column);
    int groups = load16(value), weight = (int16_t)load16(value + 2), sign = load16(value + 4), scale = load16(value + 6);
    if (sign == 0xC000 || sign == 0xD000 || sign == 0xF000)
        return PyObject_CallFunction(DecimalType, "s", sign == 0xC000 ? "NaN" : sign == 0xD000 ? "Infinity" : "-Infinity");
    SIZE(8 + 2 * groups);
    size_t whole = weight < 0 ? 1 : ((size_t)weight + 1) * 4, size = 1 + whole + 1 + (size_t)scale + 4;
    char small[128], *digits = size < sizeof small ? small : PyMem_Malloc(size + 1), *to = digits;
    if (!digits)
        return PyErr_NoMemory();
    if (sign == 0x4000)
        *to++ = '-';
    if (weight < 0)
        *to++ = '0';
    for (int group = 0; group <= weight; group++) {
        int number = group < groups ? load16(value + 8 + 2 * group) % 10000 : 0;
        *to++ = (char)('0' + number / 1000), *to++ = (char)('0' + number / 100 % 10);
        *to++ = (char)('0' + number / 10 % 10), *to++ = (char)('0' + number % 10);
    }
    if (scale) {
        *to++ = '.';
        char *end = to + scale;
        for (int group = weight + 1; to < end; group++) {
            int number = group >= 0 && group < groups ? load16(value + 8 + 2 * group) % 10000 : 0;
            *to++ = (char)('0' + number / 1000), *to++ = (char)('0' + number / 100 % 10);
            *to++ = (char)('0' + number / 10 % 10), *to++ = (char)('0' + number % 10);
        }
        to = end;
    }
    *to = 0;
    PyObject *number = PyObject_CallFunction(DecimalType, "s#", digits, (Py_ssize_t)(to - digits));
    if (digits != small)
        PyMem_Free(digits);
    return number;
}

/* A decoder of Python's: it gets bytes of a binary value, a string of one that is text. */
static PyObject *called(const Column *column, const char *value, Py_ssize_t length)
{
    PyObject *bytes = PyBytes_FromStringAndSize(value, length), *object = bytes ? PyObject_CallOneArg(column->callable, bytes) : NULL;
    Py_XDECREF(bytes);
    return object;
}

static PyObject *called_with_text(const Column *column, const char *value, Py_ssize_t length)
{
    PyObject *text = PyUnicode_DecodeUTF8(value, length, NULL), *object = text ? PyObject_CallOneArg(column->callable, text) : NULL;
    Py_XDECREF(text);
    return object;
}

static PyObject *elements(const Column *element, const char **at, const char *end, const char *sizes, int dimensions)
{
    int32_t count = (int32_t)load32(sizes);
    /* Each element takes four bytes at least: no list is larger than what came. */
    if (count < 0 || (dimensions == 1 && count > (end - *at) / 4) || count > (1 << 27))
        return malformed(element);
    PyObject *list = PyList_New(0);
    for (int32_t number = 0; list && number < count; number++) {
        PyObject *object;
        if (dimensions > 1) {
            object = elements(element, at, end, sizes + 8, dimensions - 1);
        } else {
            int32_t length = end - *at >= 4 ? (int32_t)load32(*at) : -2;
            *at += 4;
            if (length == -1)
                object = Py_NewRef(Py_None);
            else if (length < 0 || length > end - *at)
                object = malformed(element);
            else {
                object = element->decode(element, *at, length);
                *at += length;
            }
        }
        if (!object || PyList_Append(list, object) < 0)
            Py_CLEAR(list);
        Py_XDECREF(object);
    }
    return list;
}

static PyObject *array_of(const Column *column, const char *value, Py_ssize_t length)
{
    if (length < 12)
        return malformed(column);
    int32_t dimensions = (int32_t)load32(value);
    if (dimensions == 0)
        return PyList_New(0);
    if (dimensions < 0 || dimensions > 6 || length < 12 + 8 * dimensions)
        return malformed(column);
    Column element;
    int opened = column_open(&element, load32(value + 8), 1, column->codecs);
    if (opened < 0)
        return NULL;
    if (!opened)
        return PyErr_Format(PyExc_ValueError, "arrays of type %u cannot be read in binary: register a codec for it", load32(value + 8));
    const char *at = value + 12 + 8 * dimensions;
    PyObject *list = elements(&element, &at, value + length, value + 12, dimensions);
    column_close(&element);
    return list;
}

/* Arrays whose elements have a decoder here. */
static int is_array(uint32_t oid)
{
    switch (oid) {
    case 199: case 651: case 1000: case 1001: case 1002: case 1003: case 1005: case 1007: case 1009: case 1014: case 1015: case 1016:
    case 1021: case 1022: case 1028: case 1041: case 1115: case 1182: case 1183: case 1185: case 1187: case 1231: case 1270: case 2951:
    case 3807: case 3905: case 3907: case 3909: case 3911: case 3913: case 3927:
        return 1;
    default:
        return 0;
    }
}

static Decoder built_in(uint32_t oid)
{
    switch (oid) {
    case 16: return bool_of;
    case 17: return bytes_of;
    case 20: return int8_of;
    case 21: return int2_of;
    case 23: return int4_of;
    case 26: case 28: case 29: return oid_of;
    case 18: return char_of;
    case 19: case 25: case 142: case 705: case 1042: case 1043: return text_of;
    case 114: case 3802: return json_of;
    case 700: return float4_of;
    case 701: return float8_of;
    case 1700: return numeric_of;
    case 2278: return void_of;
    case 2950: return uuid_of;
    default: return is_array(oid) ? array_of : temporal_decoder(oid);
    }
}

int column_open(Column *column, uint32_t oid, int binary, PyObject *codecs)
{
    PyObject *codec = codec_of(codecs, oid), *callable = Py_None;
    *column = (Column){.oid = oid, .codecs = codecs};
    if (!codec && PyErr_Occurred())
        return -1;
    int custom = codec && codec_is_custom(codec);
    if (codec)
        callable = PyTuple_GET_ITEM(codec, binary ? CODEC_BINARY : CODEC_TEXT);
    if (binary && !custom && (column->decode = built_in(oid)))
        return 1;
    if (callable != Py_None) {
        column->callable = Py_NewRef(callable);
        column->decode = binary ? called : called_with_text;
        return 1;
    }
    column->decode = binary ? bytes_of : text_of;
    return !binary;
}

void column_close(Column *column) { Py_CLEAR(column->callable); }

/* Whether values of it may refer to other objects, so that the collector has to know of their rows. */
int column_is_container(const Column *column)
{
    return column->callable || column->decode == array_of || column->decode == json_of;
}

/* decode(oid, bytes, codecs): a value inside of another one, for decoders written in Python. */
PyObject *native_decode(PyObject *module, PyObject *args)
{
    (void)module;
    unsigned oid;
    Py_buffer value;
    PyObject *codecs, *object = NULL;
    if (!PyArg_ParseTuple(args, "Iy*O!:decode", &oid, &value, &PyDict_Type, &codecs))
        return NULL;
    Column column;
    if (column_open(&column, oid, 1, codecs) >= 0)
        object = column.decode(&column, value.buf, value.len);
    column_close(&column);
    PyBuffer_Release(&value);
    return object;
}
