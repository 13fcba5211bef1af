/* What a task awaits: asyncio's idea of a future, in the least that a task needs; `park` makes others of it. A waiter whose loop is between two tasks runs the
 * task that awaits it at once, without a turn of the loop. Knows nothing of the items that complete it. */
#include "native.h"

#include <structmember.h>

static PyObject *context_name, *loop_name;

int waiter_ready(void)
{
    context_name = PyTuple_Pack(1, PyUnicode_InternFromString("context"));
    loop_name = PyUnicode_InternFromString("loop");
    return context_name && loop_name ? 0 : -1;
}

Waiter *waiter_new(Line *line, int mode)
{
    Waiter *self = PyObject_GC_New(Waiter, &WaiterType);
    if (!self)
        return NULL;
    memset((char *)self + sizeof(PyObject), 0, sizeof(Waiter) - sizeof(PyObject));
    self->line = (Line *)Py_NewRef((PyObject *)line);
    self->mode = (char)mode;
    PyObject_GC_Track((PyObject *)self);
    return self;
}

static int waiter_clear(Waiter *self)
{
    Py_CLEAR(self->line);
    Py_CLEAR(self->statement);
    Py_CLEAR(self->args);
    Py_CLEAR(self->sql);
    Py_CLEAR(self->name);
    Py_CLEAR(self->value);
    Py_CLEAR(self->error);
    Py_CLEAR(self->callback);
    Py_CLEAR(self->context);
    Py_CLEAR(self->others);
    return 0;
}

static int waiter_traverse(Waiter *self, visitproc visit, void *arg)
{
    Py_VISIT(self->line);
    Py_VISIT(self->args);
    Py_VISIT(self->value);
    Py_VISIT(self->error);
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    Py_VISIT(self->others);
    return 0;
}

static void waiter_dealloc(Waiter *self)
{
    PyObject_GC_UnTrack(self);
    waiter_clear(self);
    PyObject_GC_Del(self);
}

static int call_now(Waiter *self, PyObject *callback, PyObject *context);

static int call_soon(Waiter *self, PyObject *callback, PyObject *context)
{
    if (!self->line || !self->line->call_soon) /* there is no loop, and so no context */
        return context ? 0 : call_now(self, callback, NULL);
    PyObject *arguments[] = {callback, (PyObject *)self, context};
    PyObject *handle = PyObject_Vectorcall(self->line->call_soon, arguments, 2, context ? context_name : NULL);
    Py_XDECREF(handle);
    return handle ? 0 : -1;
}

/* What a task has given is run as the loop would run it. A context that is entered already means that it cannot be done now. */
static int call_now(Waiter *self, PyObject *callback, PyObject *context)
{
    if (context && PyContext_Enter(context) < 0) {
        PyErr_Clear();
        return call_soon(self, callback, context);
    }
    PyObject *done = PyObject_CallOneArg(callback, (PyObject *)self);
    if (!done && PyErr_ExceptionMatches(PyExc_Exception))
        PyErr_WriteUnraisable(callback);
    if (context && PyContext_Exit(context) < 0)
        PyErr_WriteUnraisable(callback);
    if (!done && PyErr_Occurred())
        return -1;
    Py_XDECREF(done);
    return 0;
}

int waiter_wake(Waiter *self, int directly)
{
    int (*call)(Waiter *, PyObject *, PyObject *) = directly ? call_now : call_soon;
    PyObject *callback = self->callback, *context = self->context, *others = self->others;
    self->callback = self->context = self->others = NULL;
    int called = callback ? call(self, callback, context) : 0;
    Py_XDECREF(callback);
    Py_XDECREF(context);
    for (Py_ssize_t at = 0; others && called == 0 && at < PyList_GET_SIZE(others); at++) {
        PyObject *pair = PyList_GET_ITEM(others, at), *with = PyTuple_GET_ITEM(pair, 1);
        called = call(self, PyTuple_GET_ITEM(pair, 0), with == Py_None ? NULL : with);
    }
    Py_XDECREF(others);
    return called;
}

/* What it raises has a traceback, which may lead to frames that know the waiter. */
static void raise_error(PyObject *error)
{
    PyObject *raised = SEES_CYCLES ? Py_NewRef(error) : PyObject_CallOneArg(CopyError, error);
    if (raised)
        PyErr_SetObject((PyObject *)Py_TYPE(raised), raised);
    Py_XDECREF(raised);
}

/* The value or the exception, as a call would give it. */
static PyObject *outcome(Waiter *self)
{
    if (self->state == WAITER_CANCELLED) {
        PyErr_SetObject(CancelledError, self->error ? self->error : Py_None);
        return NULL;
    }
    if (self->error) {
        raise_error(self->error);
        return NULL;
    }
    return Py_NewRef(self->value ? self->value : Py_None);
}

static PySendResult waiter_send(Waiter *self, PyObject *unused, PyObject **result)
{
    (void)unused;
    if (self->state == WAITER_PENDING) {
        self->blocking = 1;
        *result = Py_NewRef((PyObject *)self);
        return PYGEN_NEXT;
    }
    *result = outcome(self);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

static PyObject *waiter_next(Waiter *self)
{
    PyObject *result;
    if (waiter_send(self, NULL, &result) != PYGEN_RETURN)
        return result;
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
    if (stop)
        PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    Py_DECREF(result);
    return NULL;
}

/* What a task goes through: the waiter itself, as a future of asyncio's, or what other loops make of it. */
static PyObject *waiter_await(PyObject *self)
{
    Line *line = ((Waiter *)self)->line;
    return line && line->park && line->park != Py_None ? PyObject_CallOneArg(line->park, self) : Py_NewRef(self);
}

static PyObject *add_done_callback(Waiter *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *context = names && PyTuple_GET_SIZE(names) == 1 ? args[count] : NULL;
    if (count != 1)
        return PyErr_Format(PyExc_TypeError, "add_done_callback takes a callback, and a context by keyword");
    if (context == Py_None)
        context = NULL;
    if (self->state != WAITER_PENDING) {
        if (call_soon(self, args[0], context) < 0)
            return NULL;
    } else if (!self->callback) {
        self->callback = Py_NewRef(args[0]);
        self->context = Py_XNewRef(context);
    } else {
        PyObject *pair = PyTuple_Pack(2, args[0], context ? context : Py_None);
        if (!pair || (!self->others && !(self->others = PyList_New(0))) || PyList_Append(self->others, pair) < 0) {
            Py_XDECREF(pair);
            return NULL;
        }
        Py_DECREF(pair);
    }
    Py_RETURN_NONE;
}

static PyObject *remove_done_callback(Waiter *self, PyObject *callback)
{
    long removed = 0;
    for (Py_ssize_t at = self->others ? PyList_GET_SIZE(self->others) : 0; at-- > 0;) {
        int same = PyObject_RichCompareBool(PyTuple_GET_ITEM(PyList_GET_ITEM(self->others, at), 0), callback, Py_EQ);
        if (same < 0 || (same && PyList_SetSlice(self->others, at, at + 1, NULL) < 0))
            return NULL;
        removed += same;
    }
    int same = self->callback ? PyObject_RichCompareBool(self->callback, callback, Py_EQ) : 0;
    if (same < 0)
        return NULL;
    if (same) {
        Py_CLEAR(self->callback);
        Py_CLEAR(self->context);
        removed++;
    }
    return PyLong_FromLong(removed);
}

/* Its operations are given up: the library stops them in the server, or drops what comes of them. */
static int abandon(Waiter *self)
{
    Line *line = self->line;
    if (!self->queued || !line || !line->conn)
        return 0;
    for (uint64_t operation = self->first; operation <= self->last; operation++)
        conn_abandon(line->conn, operation);
    if (line->stream) {
        PyObject *told = PyObject_CallMethod(line->owner, "_unwanted", NULL);
        Py_XDECREF(told);
        if (!told)
            return -1;
    }
    /* A loop that is not asyncio's may run the task before the line: what the task starts then is behind the request to cancel. */
    return line_send_soon(line, line->park && line->park != Py_None);
}

static PyObject *waiter_cancel(Waiter *self, PyObject *args, PyObject *names)
{
    static char *words[] = {"msg", NULL};
    PyObject *message = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, names, "|O:cancel", words, &message))
        return NULL;
    if (self->state != WAITER_PENDING)
        Py_RETURN_FALSE;
    self->state = WAITER_CANCELLED;
    Py_CLEAR(self->value);
    /* Whoever cancels may know its exception again by the message: anyio does. */
    Py_XSETREF(self->error, message == Py_None ? NULL : Py_NewRef(message));
    if (abandon(self) < 0 || waiter_wake(self, 0) < 0)
        return NULL;
    Py_RETURN_TRUE;
}

static PyObject *set_result(Waiter *self, PyObject *value)
{
    if (self->state == WAITER_PENDING) {
        Py_XSETREF(self->value, Py_NewRef(value));
        self->state = WAITER_DONE;
        if (waiter_wake(self, 0) < 0)
            return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *set_exception(Waiter *self, PyObject *error)
{
    if (self->state == WAITER_PENDING)
        Py_XSETREF(self->error, Py_NewRef(error));
    return set_result(self, Py_None);
}

static PyObject *waiter_done(Waiter *self, PyObject *unused) { return (void)unused, PyBool_FromLong(self->state != WAITER_PENDING); }
static PyObject *waiter_cancelled(Waiter *self, PyObject *unused) { return (void)unused, PyBool_FromLong(self->state == WAITER_CANCELLED); }

static PyObject *waiter_result(Waiter *self, PyObject *unused)
{
    (void)unused;
    if (self->state == WAITER_PENDING)
        return PyErr_Format(InterfaceError, "the result is not there yet");
    return outcome(self);
}

static PyObject *waiter_exception(Waiter *self, PyObject *unused)
{
    (void)unused;
    if (self->state != WAITER_DONE)
        return waiter_result(self, NULL);
    return Py_NewRef(self->error ? self->error : Py_None);
}

static PyObject *get_loop(Waiter *self, PyObject *unused) { return (void)unused, Py_NewRef(self->line ? self->line->loop : Py_None); }

static PyMethodDef waiter_methods[] = {
    {"add_done_callback", (PyCFunction)(void (*)(void))add_done_callback, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"remove_done_callback", (PyCFunction)remove_done_callback, METH_O, NULL},
    {"cancel", (PyCFunction)(void (*)(void))waiter_cancel, METH_VARARGS | METH_KEYWORDS, "Gives up what is awaited, in the server too."},
    {"cancelled", (PyCFunction)waiter_cancelled, METH_NOARGS, NULL},
    {"done", (PyCFunction)waiter_done, METH_NOARGS, NULL},
    {"result", (PyCFunction)waiter_result, METH_NOARGS, NULL},
    {"exception", (PyCFunction)waiter_exception, METH_NOARGS, NULL},
    {"get_loop", (PyCFunction)get_loop, METH_NOARGS, NULL},
    {"set_result", (PyCFunction)set_result, METH_O, NULL},
    {"set_exception", (PyCFunction)set_exception, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
static PyMemberDef waiter_members[] = {
    {"_asyncio_future_blocking", T_BOOL, offsetof(Waiter, blocking), 0, NULL},
    {"operation", T_ULONGLONG, offsetof(Waiter, first), READONLY, "The operation's id."},
    {NULL, 0, 0, 0, NULL},
};
static PyAsyncMethods waiter_async = {.am_await = waiter_await, .am_send = (sendfunc)waiter_send};

PyTypeObject WaiterType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "pgpoll._native.Waiter",
    .tp_basicsize = sizeof(Waiter),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_dealloc = (destructor)waiter_dealloc,
    .tp_traverse = (traverseproc)waiter_traverse,
    .tp_clear = (inquiry)waiter_clear,
    .tp_methods = waiter_methods,
    .tp_members = waiter_members,
    .tp_as_async = &waiter_async,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)waiter_next,
};
