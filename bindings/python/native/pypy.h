/* Where PyPy differs. */
#ifndef PYPY_VERSION

enum { SEES_CYCLES = 1 }; /* whether the collector sees what C refers to */

#else

/* It does not call tp_traverse: what would lead back to an object of ours through C alone is never collected. */
enum { SEES_CYCLES = 0 };

/* Contexts are written in Python, and C cannot enter them: tasks are woken by their loop, as where a context is entered already. */
static inline int PyContext_Enter(PyObject *context) { return (void)context, -1; }
static inline int PyContext_Exit(PyObject *context) { return (void)context, 0; }

#endif
