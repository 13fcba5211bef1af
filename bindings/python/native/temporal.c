/* Dates and times between PostgreSQL's binary form and Python's datetime. Infinity is the largest or smallest value of Python's type. */
#include "native.h"

#include <datetime.h>

#define DAY INT64_C(86400000000) /* microseconds */
#define EPOCH 10957              /* days from 1970-01-01 to 2000-01-01 */

static PyObject *date_max, *date_min, *stamp_max, *stamp_min, *zoned_max, *zoned_min;

int temporal_ready(void)
{
    PyDateTime_IMPORT;
    if (!PyDateTimeAPI)
        return -1;
    PyObject *utc = PyDateTime_TimeZone_UTC;
    date_max = PyDate_FromDate(9999, 12, 31);
    date_min = PyDate_FromDate(1, 1, 1);
    stamp_max = PyDateTime_FromDateAndTime(9999, 12, 31, 23, 59, 59, 999999);
    stamp_min = PyDateTime_FromDateAndTime(1, 1, 1, 0, 0, 0, 0);
    zoned_max = PyDateTimeAPI->DateTime_FromDateAndTime(9999, 12, 31, 23, 59, 59, 999999, utc, PyDateTimeAPI->DateTimeType);
    zoned_min = PyDateTimeAPI->DateTime_FromDateAndTime(1, 1, 1, 0, 0, 0, 0, utc, PyDateTimeAPI->DateTimeType);
    return date_max && date_min && stamp_max && stamp_min && zoned_max && zoned_min ? 0 : -1;
}

/* The civil date of a day counted from 1970-01-01, and the other way round: Howard Hinnant's days_from_civil, in the Gregorian calendar. */
static void civil(int64_t day, int64_t *year, int *month, int *of_month)
{
    day += 719468;
    int64_t era = (day >= 0 ? day : day - 146096) / 146097;
    unsigned of_era = (unsigned)(day - era * 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * of_year + 2) / 153;
    *of_month = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int64_t)year_of_era + era * 400 + (*month <= 2);
}

static int64_t day_of(int year, int month, int of_month)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned of_year = (153 * (unsigned)(month > 2 ? month - 3 : month + 9) + 2) / 5 + (unsigned)of_month - 1;
    unsigned of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    return era * 146097 + of_era - 719468;
}

static PyObject *malformed(const Column *column)
{
    return PyErr_Format(PyExc_ValueError, "the server sent a value of type %u that is malformed", column->oid);
}

static PyObject *out_of_range(const char *what, int64_t year)
{
    return PyErr_Format(PyExc_ValueError, "a %s of the year %lld is out of the range of Python's: fetch it as text", what, (long long)year);
}

static PyObject *date_of(const Column *column, const char *value, Py_ssize_t length)
{
    if (length != 4)
        return malformed(column);
    int32_t days = (int32_t)load32(value);
    if (days == INT32_MAX || days == INT32_MIN)
        return Py_NewRef(days > 0 ? date_max : date_min);
    int64_t year;
    int month, of_month;
    civil((int64_t)days + EPOCH, &year, &month, &of_month);
    if (year < 1 || year > 9999)
        return out_of_range("date", year);
    return PyDate_FromDate((int)year, month, of_month);
}

static PyObject *time_of(const Column *column, const char *value, Py_ssize_t length)
{
    if (length != 8)
        return malformed(column);
    int64_t left = (int64_t)load64(value);
    if (left < 0 || left > DAY)
        return malformed(column);
    if (left == DAY) /* 24:00:00, which Python does not have */
        left = DAY - 1;
    int micro = (int)(left % 1000000);
    int seconds = (int)(left / 1000000);
    return PyTime_FromTime(seconds / 3600, seconds / 60 % 60, seconds % 60, micro);
}

static inline PyObject *stamp(const Column *column, const char *value, Py_ssize_t length, PyObject *zone)
{
    if (length != 8)
        return malformed(column);
    int64_t at = (int64_t)load64(value);
    if (at == INT64_MAX)
        return Py_NewRef(zone == Py_None ? stamp_max : zoned_max);
    if (at == INT64_MIN)
        return Py_NewRef(zone == Py_None ? stamp_min : zoned_min);
    int64_t days = at / DAY, left = at % DAY, year;
    if (left < 0) {
        left += DAY;
        days--;
    }
    int month, of_month, micro = (int)(left % 1000000), seconds = (int)(left / 1000000);
    civil(days + EPOCH, &year, &month, &of_month);
    if (year < 1 || year > 9999)
        return out_of_range("timestamp", year);
    return PyDateTimeAPI->DateTime_FromDateAndTime((int)year, month, of_month, seconds / 3600, seconds / 60 % 60, seconds % 60, micro, zone,
                                                   PyDateTimeAPI->DateTimeType);
}

static PyObject *timestamp_of(const Column *column, const char *value, Py_ssize_t length) { return stamp(column, value, length, Py_None); }

static PyObject *timestamptz_of(const Column *column, const char *value, Py_ssize_t length)
{
    return stamp(column, value, length, PyDateTime_TimeZone_UTC);
}

/* A year is 365 days and a month 30: Python knows neither. */
static PyObject *interval_of(const Column *column, const char *value, Py_ssize_t length)
{
    if (length != 16)
        return malformed(column);
    int64_t micro = (int64_t)load64(value);
    int64_t days = (int32_t)load32(value + 8), months = (int32_t)load32(value + 12);
    days += months / 12 * 365 + months % 12 * 30 + micro / DAY;
    micro %= DAY;
    if (days > 999999999 || days < -999999999)
        return PyErr_Format(PyExc_ValueError, "an interval of %lld days is out of the range of Python's timedelta: fetch it as text", (long long)days);
    return PyDelta_FromDSU((int)days, (int)(micro / 1000000), (int)(micro % 1000000));
}

Decoder temporal_decoder(uint32_t oid)
{
    switch (oid) {
    case 1082: return date_of;
    case 1083: return time_of;
    case 1114: return timestamp_of;
    case 1184: return timestamptz_of;
    case 1186: return interval_of;
    default: return NULL;
    }
}

static int expected(const char *what, PyObject *value)
{
    PyErr_Format(PyExc_TypeError, "expected %s, got %.100s", what, Py_TYPE(value)->tp_name);
    return -1;
}

int encode_date(PyObject *value, char *slot)
{
    if (!PyDate_Check(value))
        return expected("datetime.date", value);
    int year = PyDateTime_GET_YEAR(value), month = PyDateTime_GET_MONTH(value), day = PyDateTime_GET_DAY(value);
    int64_t days = day_of(year, month, day) - EPOCH;
    if (year == 9999 && month == 12 && day == 31)
        days = INT32_MAX;
    else if (year == 1 && month == 1 && day == 1)
        days = INT32_MIN;
    store32(slot, (uint32_t)(int32_t)days);
    return 4;
}

int encode_time(PyObject *value, char *slot)
{
    if (!PyTime_Check(value))
        return expected("datetime.time", value);
    int64_t seconds = PyDateTime_TIME_GET_HOUR(value) * 3600 + PyDateTime_TIME_GET_MINUTE(value) * 60 + PyDateTime_TIME_GET_SECOND(value);
    store64(slot, (uint64_t)(seconds * 1000000 + PyDateTime_TIME_GET_MICROSECOND(value)));
    return 8;
}

int encode_timestamp(PyObject *value, char *slot, int with_zone)
{
    if (!PyDateTime_Check(value))
        return expected("datetime.datetime", value);
    PyObject *zone = PyDateTime_DATE_GET_TZINFO(value), *moved = NULL;
    if (!with_zone && zone != Py_None) {
        PyErr_SetString(PyExc_TypeError, "expected a datetime.datetime without tzinfo, got one with it");
        return -1;
    }
    int64_t at;
    int zoned = with_zone && zone != Py_None;
    PyObject *lowest = zoned ? zoned_min : stamp_min, *highest = zoned ? zoned_max : stamp_max;
    int top = PyObject_RichCompareBool(value, highest, Py_EQ), bottom = PyObject_RichCompareBool(value, lowest, Py_EQ);
    if (top < 0 || bottom < 0)
        return -1;
    if (!top && !bottom && with_zone && zone != PyDateTime_TimeZone_UTC) {
        /* Without a zone: local time, as everywhere in Python. */
        moved = PyObject_CallMethod(value, "astimezone", "O", PyDateTime_TimeZone_UTC);
        if (!moved)
            return -1;
        if (!PyDateTime_Check(moved)) {
            Py_DECREF(moved);
            return expected("datetime.datetime", value);
        }
        value = moved;
    }
    if (top || bottom) {
        at = top ? INT64_MAX : INT64_MIN;
    } else {
        int64_t days = day_of(PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value), PyDateTime_GET_DAY(value)) - EPOCH;
        int64_t seconds = PyDateTime_DATE_GET_HOUR(value) * 3600 + PyDateTime_DATE_GET_MINUTE(value) * 60 + PyDateTime_DATE_GET_SECOND(value);
        at = days * DAY + seconds * 1000000 + PyDateTime_DATE_GET_MICROSECOND(value);
    }
    store64(slot, (uint64_t)at);
    Py_XDECREF(moved);
    return 8;
}
