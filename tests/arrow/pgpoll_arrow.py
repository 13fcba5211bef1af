"""The few calls of libpgpoll that an Arrow export needs, by ctypes, for the tests and the benchmark; batches as pyarrow has them."""

import ctypes
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

import pyarrow

IDLE, FAILED = 128, 256
ROWS, ERROR, DONE = 1, 5, 8
VIEWS, NUMERIC_TEXT = 1, 2


class Item(ctypes.Structure):
    _fields_ = [
        ("operation", c_uint64),
        ("kind", c_int32),
        ("outcome", c_int32),
        ("transaction", c_int32),
        ("verdict", c_int32),
        ("rows", c_uint64),
        ("copy", c_int32),
        ("format", c_int32),
        ("value", c_int64),
        ("result", c_void_p),
        ("error", c_void_p),
        ("tag", c_char * 64),
    ]


class Library:
    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        for name, returns, takes in [
            ("conn_open", c_void_p, [c_char_p]),
            ("conn_close", None, [c_void_p]),
            ("conn_wait", c_uint32, [c_void_p, c_int]),
            ("conn_get_result", c_int, [c_void_p, POINTER(Item)]),
            ("conn_set_batch", None, [c_void_p, c_size_t, c_size_t]),
            ("conn_error", c_void_p, [c_void_p]),
            ("conn_error_message", c_char_p, [c_void_p]),
            ("conn_error_free", None, [c_void_p]),
            ("conn_result_free", None, [c_void_p]),
            ("conn_result_export_arrow", c_int, [c_void_p, c_uint32, c_void_p, c_void_p]),
            (
                "conn_start_query_params",
                c_uint64,
                [c_void_p, c_char_p, c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_int, c_int, c_uint32],
            ),
        ]:
            function = getattr(self.c, name)
            function.restype, function.argtypes = returns, takes

    def error(self, conn):
        return self.c.conn_error_message(self.c.conn_error(conn)).decode()


class Refused(Exception):
    """What conn_result_export_arrow said."""


class Connection:
    def __init__(self, library, conninfo):
        self.library = library
        self.c = library.c
        self.conn = self.c.conn_open(conninfo.encode())
        while True:
            bits = self.c.conn_wait(self.conn, -1)
            if bits & FAILED:
                raise RuntimeError(library.error(self.conn))
            if bits & IDLE:
                break

    def close(self):
        self.c.conn_close(self.conn)

    def results(self, sql, binary):
        """The results of a statement, each to be freed by who takes it."""
        if not self.c.conn_start_query_params(self.conn, sql.encode(), 0, None, None, None, None, int(binary), 0, 0):
            raise RuntimeError(self.library.error(self.conn))
        problem, item = None, self.take()
        try:
            while item.kind != DONE:
                if item.kind == ROWS:
                    yield item.result
                elif item.kind == ERROR:
                    problem = self.c.conn_error_message(item.error).decode()
                    self.c.conn_error_free(item.error)
                item = self.take()
        except GeneratorExit:
            while item.kind != DONE:
                item = self.take()
                self.c.conn_result_free(item.result)
                self.c.conn_error_free(item.error)
            raise
        if problem:
            raise RuntimeError(problem)

    def take(self):
        item = Item()
        while not self.c.conn_get_result(self.conn, byref(item)):
            self.c.conn_wait(self.conn, -1)
        return item

    def export(self, result, flags=0):
        """A result as pyarrow's record batch."""
        schema, array = (ctypes.create_string_buffer(80) for _ in range(2))
        at = ctypes.addressof(schema), ctypes.addressof(array)
        if not self.c.conn_result_export_arrow(result, flags, *at):
            raise Refused(self.library.error(None))
        return pyarrow.RecordBatch._import_from_c(at[1], at[0])

    def batches(self, sql, binary=False, flags=0):
        for result in self.results(sql, binary):
            try:
                yield self.export(result, flags)
            finally:
                self.c.conn_result_free(result)
