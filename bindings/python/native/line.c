/* A connection and its event loop: bytes are moved when the loop says so, what is there is taken, and who awaits it is woken. What is
 * rare goes to the owner, which is Python. Knows no SQL. */
#include "native.h"

#include <structmember.h>

PyObject *InterfaceError, *CancelledError, *CopyError, *HolderVariable;
unsigned long native_forks;

enum { ROUNDS = 8 }; /* of one turn: others have their turn too */
static const uint32_t RARE = CONN_NOTIFY | CONN_NOTICE | CONN_FAILED | CONN_ROOM | CONN_COPY | CONN_SOCKET_CHANGED;

int line_check(Line *self)
{
    if (!self->conn) {
        PyErr_SetString(InterfaceError, "the connection is closed");
        return -1;
    }
    if (self->fork != native_forks) {
        PyErr_SetString(InterfaceError, "the connection belongs to the process before the fork: connect again in this one");
        return -1;
    }
    /* While the loop's own turn runs, in its thread, it is the loop that runs; asking for that is dear in Python 3.11. */
    if (self->loop == Py_None || (self->delivering && self->thread == (unsigned long)PyThread_get_thread_ident()))
        return 0;
    PyObject *running = PyObject_CallNoArgs(self->running);
    if (!running)
        return -1;
    Py_DECREF(running);
    if (running == self->loop)
        return 0;
    PyErr_SetString(InterfaceError, "the connection belongs to another event loop: connect again in this one");
    return -1;
}

int line_is_next(Line *self)
{
    if (line_check(self) < 0)
        return -1;
    if (!self->put_off)
        return 0;
    line_start_put_off(self);
    return line_check(self); /* an encoder may have closed it */
}

/* Why a starter was refused: 0 where only the queue is full, else -1 with exception. */
int line_refused(Line *self)
{
    const ConnError *error = conn_error(self->conn);
    if (conn_error_kind(error) == CONN_ERROR_WOULD_BLOCK)
        return 0;
    PyObject *object = PyObject_CallMethod(self->owner, "_refused", NULL);
    if (object)
        PyErr_SetObject((PyObject *)Py_TYPE(object), object);
    Py_XDECREF(object);
    return -1;
}

void line_queue(Line *self, Waiter *waiter, uint64_t first, uint64_t last)
{
    waiter->first = first;
    waiter->last = last;
    waiter->queued = 1;
    self->under_way++;
    Py_INCREF(waiter);
    if (self->tail)
        self->tail->behind = waiter;
    else
        self->head = waiter;
    self->tail = waiter;
}

void line_wake(Line *self, Waiter *waiter)
{
    if (waiter->woken)
        return;
    waiter->woken = 1;
    Py_INCREF(waiter);
    if (self->woken_tail)
        self->woken_tail->next_woken = waiter;
    else
        self->woken = waiter;
    self->woken_tail = waiter;
}

/* Where callbacks of the program's wait for their turn, who awaits what came behind has his after them. */
static int wake_all(Line *self)
{
    int done = 0;
    for (Waiter *waiter; (waiter = self->woken);) {
        self->woken = waiter->next_woken;
        if (!self->woken)
            self->woken_tail = NULL;
        if (waiter_wake(waiter, done == 0 && !self->told) < 0)
            done = -1;
        Py_DECREF(waiter);
    }
    return done;
}

void line_forget(Line *self, Statement *statement)
{
    if (statement->dead)
        return;
    statement->dead = 1;
    if (PyDict_GetItem(self->statements, statement->sql) == (PyObject *)statement)
        PyDict_DelItem(self->statements, statement->sql);
    if (self->conn)
        conn_start_close_statement(self->conn, PyBytes_AS_STRING(statement->name), 0);
}

/* Moves bytes; tells the owner what is not everyday. */
uint32_t line_poll(Line *self)
{
    ConnState state;
    uint32_t bits = conn_poll_state(self->conn, &state);
    if (bits == CONN_MISUSE) {
        line_refused(self);
        return bits;
    }
    char writing = (bits & CONN_WANT_WRITE) != 0, reading = (bits & (CONN_WANT_READ | CONN_RESULT)) != 0;
    uint32_t rare = bits & (self->idle_wanted ? RARE | CONN_IDLE : RARE);
    if (rare || writing != self->writing || reading != self->reading || state.generation != self->generation ||
        state.deadline_ns < self->deadline || (self->stream && writing)) {
        self->writing = writing;
        self->reading = reading;
        self->generation = state.generation;
        if (state.deadline_ns < self->deadline)
            self->deadline = state.deadline_ns;
        PyObject *told = PyObject_CallMethod(self->owner, "_event", "IiKL", (unsigned)bits, state.socket, (unsigned long long)state.generation,
                                             (long long)self->deadline);
        if (!told)
            return CONN_MISUSE;
        Py_DECREF(told);
    }
    return bits;
}

static int look_soon(Line *self)
{
    if (self->flush_due || !self->call_soon)
        return 0;
    if (!self->flush && !(self->flush = PyObject_GetAttrString((PyObject *)self, "ready")))
        return -1;
    PyObject *handle = PyObject_CallOneArg(self->call_soon, self->flush);
    Py_XDECREF(handle);
    if (!SEES_CYCLES)
        Py_CLEAR(self->flush);
    self->flush_due = handle != NULL;
    return handle ? 0 : -1;
}

int line_send_soon(Line *self, int idle)
{
    self->started = 1;
    if (self->delivering)
        return 0;
    if (!idle && self->call_soon)
        return look_soon(self);
    uint32_t bits = line_poll(self);
    if (bits == CONN_MISUSE)
        return -1;
    return bits & (CONN_RESULT | CONN_RUNNABLE) ? look_soon(self) : 0;
}

/* What was put off is sent in a millisecond at the latest. */
static int send_later(Line *self)
{
    if (self->late_due)
        return 0;
    if (!self->late && !(self->late = PyObject_GetAttrString((PyObject *)self, "send_put_off")))
        return -1;
    PyObject *handle = PyObject_CallFunction(self->call_later, "dO", 0.001, self->late);
    Py_XDECREF(handle);
    if (!SEES_CYCLES)
        Py_CLEAR(self->late);
    self->late_due = handle != NULL;
    return handle ? 0 : -1;
}

/* The descriptor is ready, or there is something to send: moves bytes, takes what came, and wakes who awaits it. */
static PyObject *line_ready(Line *self, PyObject *unused)
{
    (void)unused;
    self->flush_due = 0;
    if (self->delivering || !self->conn || self->fork != native_forks)
        Py_RETURN_NONE;
    Py_INCREF(self);
    self->delivering = 1;
    self->thread = PyThread_get_thread_ident();
    int done = 0;
    for (int round = 0; self->conn && done == 0; round++) {
        if (round == ROUNDS) {
            done = look_soon(self);
            break;
        }
        self->started = 0;
        uint32_t bits = line_poll(self);
        int taken = bits == CONN_MISUSE ? -1 : line_take(self);
        PyObject *type, *error, *trace;
        PyErr_Fetch(&type, &error, &trace);
        if (wake_all(self) < 0 || taken < 0)
            done = -1;
        if (type) {
            if (PyErr_Occurred())
                PyErr_WriteUnraisable((PyObject *)self);
            PyErr_Restore(type, error, trace);
        }
        if (self->put_off && self->under_way <= self->put_off_count / 2)
            line_start_put_off(self);
        if (taken <= 0 && !self->started && !(bits & CONN_RUNNABLE))
            break;
    }
    if (self->put_off && done == 0)
        done = send_later(self);
    self->delivering = self->told = 0;
    Py_DECREF(self);
    if (done < 0 && PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

/* For who is called by a task, which cannot enter another one: moves bytes. Who awaits what comes is woken by the loop, not now. */
static PyObject *line_send(Line *self, PyObject *unused)
{
    (void)unused;
    if (self->conn && self->fork == native_forks && line_send_soon(self, 1) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *line_send_put_off(Line *self, PyObject *unused)
{
    self->late_due = 0;
    if (self->put_off && self->fork == native_forks)
        line_start_put_off(self);
    return line_ready(self, unused);
}

/* wait(milliseconds): for programs without an event loop. Other threads run meanwhile. */
static PyObject *line_wait(Line *self, PyObject *milliseconds)
{
    long ms = PyLong_AsLong(milliseconds);
    if ((ms == -1 && PyErr_Occurred()) || line_check(self) < 0)
        return NULL;
    uint32_t bits;
    Py_BEGIN_ALLOW_THREADS
    bits = conn_wait(self->conn, (int)ms);
    Py_END_ALLOW_THREADS
    if (bits == CONN_MISUSE) {
        line_refused(self);
        return NULL;
    }
    if (PyErr_CheckSignals() < 0)
        return NULL;
    return line_ready(self, NULL);
}

/* set_timeout(milliseconds): of what is started next by other means. */
static PyObject *line_set_timeout(Line *self, PyObject *milliseconds)
{
    long long ms = PyLong_AsLongLong(milliseconds);
    if ((ms == -1 && PyErr_Occurred()) || line_is_next(self) < 0)
        return NULL;
    if (ms != self->timeout_ms) {
        conn_set_timeout_ms(self->conn, ms);
        self->timeout_ms = ms;
    }
    Py_RETURN_NONE;
}

/* copy_take(bytes): data of a COPY that was received, about so many bytes; b"" where there is none now. */
static PyObject *line_copy_take(Line *self, PyObject *most)
{
    enum { MESSAGES = 256 };
    ConnBytes messages[MESSAGES];
    Py_ssize_t limit = PyLong_AsSsize_t(most), length = 0, room = 0;
    size_t count;
    char *data = NULL;
    if ((limit == -1 && PyErr_Occurred()) || line_check(self) < 0)
        return NULL;
    while (length < limit && (count = conn_copy_get(self->conn, messages, MESSAGES)) > 0) {
        Py_ssize_t more = 0;
        for (size_t at = 0; at < count; at++)
            more += (Py_ssize_t)messages[at].length;
        if (length + more > room) {
            room = (length + more) * 2;
            char *grown = PyMem_Realloc(data, (size_t)room);
            if (!grown) {
                PyMem_Free(data);
                return PyErr_NoMemory();
            }
            data = grown;
        }
        for (size_t at = 0; at < count; at++) {
            memcpy(data + length, messages[at].data, messages[at].length);
            length += (Py_ssize_t)messages[at].length;
        }
    }
    PyObject *bytes = PyBytes_FromStringAndSize(data, length);
    PyMem_Free(data);
    return bytes;
}

static PyObject *line_future(Line *self, PyObject *unused) { return (void)unused, (PyObject *)waiter_new(self, MODE_NOTHING); }

static void fail_all(Line *self, Waiter *waiter, PyObject *error)
{
    for (Waiter *next; waiter; waiter = next) {
        next = waiter->behind;
        waiter->behind = NULL;
        waiter->queued = 0;
        if (waiter->state == WAITER_PENDING && error) {
            Py_CLEAR(waiter->value);
            if (!waiter->error)
                waiter->error = Py_NewRef(error);
            waiter->state = WAITER_DONE;
            if (waiter_wake(waiter, 0) < 0)
                PyErr_WriteUnraisable((PyObject *)self);
        }
        Py_DECREF(waiter);
    }
}

static void fail_queues(Line *self, PyObject *error)
{
    Waiter *queued = self->head, *put_off = self->put_off;
    self->head = self->tail = self->put_off = self->put_off_tail = NULL;
    self->under_way = self->put_off_count = 0;
    fail_all(self, queued, error);
    fail_all(self, put_off, error);
}

/* fail(exception): every operation under way ends with it. */
static PyObject *line_fail(Line *self, PyObject *error)
{
    fail_queues(self, error);
    Py_RETURN_NONE;
}

static PyObject *line_close(Line *self, PyObject *unused)
{
    (void)unused;
    Conn *conn = self->conn;
    self->conn = NULL;
    conn_close(conn);
    PyDict_Clear(self->statements);
    Py_RETURN_NONE;
}

static PyObject *line_usable(Line *self, PyObject *unused)
{
    (void)unused;
    if (line_is_next(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static int line_clear(Line *self)
{
    fail_queues(self, NULL);
    Py_CLEAR(self->owner);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->running);
    Py_CLEAR(self->park);
    Py_CLEAR(self->call_soon);
    Py_CLEAR(self->statements);
    Py_CLEAR(self->codecs);
    Py_CLEAR(self->flush);
    Py_CLEAR(self->late);
    Py_CLEAR(self->call_later);
    Py_CLEAR(self->holder);
    return 0;
}

static int line_traverse(Line *self, visitproc visit, void *arg)
{
    for (Waiter *waiter = self->head; waiter; waiter = waiter->behind)
        Py_VISIT(waiter);
    Py_VISIT(self->owner);
    Py_VISIT(self->loop);
    Py_VISIT(self->running);
    Py_VISIT(self->park);
    Py_VISIT(self->call_soon);
    Py_VISIT(self->statements);
    Py_VISIT(self->codecs);
    Py_VISIT(self->flush);
    Py_VISIT(self->late);
    Py_VISIT(self->call_later);
    for (Waiter *waiter = self->put_off; waiter; waiter = waiter->behind)
        Py_VISIT(waiter);
    Py_VISIT(self->holder);
    return 0;
}

static void line_dealloc(Line *self)
{
    PyObject_GC_UnTrack(self);
    conn_close(self->conn);
    line_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Line(address of the Conn, owner, module of the loop, loop, codecs, whether bytes are carried); both None without a loop */
static PyObject *line_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    unsigned long long conn;
    PyObject *owner, *on, *loop, *codecs;
    int stream;
    (void)names;
    if (!PyArg_ParseTuple(args, "KOOOO!p:Line", &conn, &owner, &on, &loop, &PyDict_Type, &codecs, &stream))
        return NULL;
    Line *self = (Line *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->conn = (Conn *)(uintptr_t)conn;
    self->owner = Py_NewRef(owner);
    self->loop = Py_NewRef(loop);
    self->codecs = Py_NewRef(codecs);
    self->stream = (char)stream;
    self->deadline = INT64_MAX;
    self->timeout_ms = self->default_timeout_ms = -1;
    self->fork = native_forks;
    self->statements = PyDict_New();
    if (loop != Py_None) {
        self->call_soon = PyObject_GetAttrString(loop, "call_soon");
        self->call_later = PyObject_GetAttrString(loop, "call_later");
        self->running = PyObject_GetAttrString(on, "running");
        self->park = PyObject_GetAttrString(on, "park");
    }
    if (!self->statements || (loop != Py_None && (!self->call_soon || !self->call_later || !self->running || !self->park)))
        Py_CLEAR(self);
    return (PyObject *)self;
}

static PyObject *pointer_of(Line *self, void *unused) { return (void)unused, PyLong_FromUnsignedLongLong((uintptr_t)self->conn); }
static PyObject *is_busy(Line *self, void *unused) { return (void)unused, PyBool_FromLong(self->head || self->put_off); }

static PyObject *is_wanted(Line *self, void *unused)
{
    (void)unused;
    for (Waiter *waiter = self->head; waiter; waiter = waiter->behind)
        if (waiter->state == WAITER_PENDING)
            Py_RETURN_TRUE;
    return PyBool_FromLong(self->put_off != NULL);
}

static PyMethodDef line_methods[] = {
    {"run", (PyCFunction)(void (*)(void))line_run, METH_FASTCALL, NULL},
    {"start", (PyCFunction)(void (*)(void))line_start, METH_FASTCALL, NULL},
    {"start_many", (PyCFunction)(void (*)(void))line_start_many, METH_FASTCALL, NULL},
    {"prepare", line_prepare, METH_VARARGS, NULL},
    {"expect", line_expect, METH_VARARGS, NULL},
    {"ready", (PyCFunction)line_ready, METH_NOARGS, "Moves bytes, takes what came and wakes who awaits it: for the loop to call."},
    {"send", (PyCFunction)line_send, METH_NOARGS, "Moves bytes, and wakes nobody now: for tasks to call."},
    {"send_put_off", (PyCFunction)line_send_put_off, METH_NOARGS, NULL},
    {"wait", (PyCFunction)line_wait, METH_O, NULL},
    {"is_mine", line_is_mine, METH_NOARGS, "Whether this task may use it now."},
    {"set_timeout", (PyCFunction)line_set_timeout, METH_O, NULL},
    {"copy_take", (PyCFunction)line_copy_take, METH_O, NULL},
    {"future", (PyCFunction)line_future, METH_NOARGS, "A waiter of nothing: its set_result ends it."},
    {"fail", (PyCFunction)line_fail, METH_O, NULL},
    {"check", (PyCFunction)line_usable, METH_NOARGS, "Raises InterfaceError where it cannot be used here."},
    {"close", (PyCFunction)line_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyMemberDef line_members[] = {
    {"statements", T_OBJECT, offsetof(Line, statements), READONLY, NULL},
    {"codecs", T_OBJECT, offsetof(Line, codecs), 0, "For what is prepared from now on."},
    {"holder", T_OBJECT, offsetof(Line, holder), 0, "Whose turn it is alone; deleted or None for everybody's."},
    {"deadline", T_LONGLONG, offsetof(Line, deadline), 0, "When the owner's timer is due, in nanoseconds of CLOCK_MONOTONIC."},
    {"default_timeout_ms", T_LONGLONG, offsetof(Line, default_timeout_ms), 0, NULL},
    {"idle_wanted", T_BOOL, offsetof(Line, idle_wanted), 0, NULL},
    {"told", T_BOOL, offsetof(Line, told), 0, "Callbacks of the program's were handed to the loop."},
    {"delivering", T_BOOL, offsetof(Line, delivering), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyGetSetDef line_properties[] = {
    {"pointer", (getter)pointer_of, NULL, "The Conn's address; 0 when closed.", NULL},
    {"wanted", (getter)is_wanted, NULL, "Whether somebody awaits one of them.", NULL},
    {"busy", (getter)is_busy, NULL, "Whether operations are under way.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject LineType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "pgpoll._native.Line",
    .tp_basicsize = sizeof(Line),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .tp_new = line_new,
    .tp_dealloc = (destructor)line_dealloc,
    .tp_traverse = (traverseproc)line_traverse,
    .tp_clear = (inquiry)line_clear,
    .tp_methods = line_methods,
    .tp_members = line_members,
    .tp_getset = line_properties,
};
