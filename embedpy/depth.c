// Calls that nest deeper than scripts' own may.
#include "embedpy.h"

// MORE_LEVELS is enough for what json reads of a value that is nested 1000 deep.
#define MORE_LEVELS 2000

// ep_deeper is _embedpy.deeper(callable, *args): it calls callable with the interpreter's
// recursion limit raised. callable must not run Python code, as json's scanner does not:
// then it never lets go of the GIL, and no other thread sees the limit of them all change.
PyObject *ep_deeper(PyObject *self, PyObject *args)
{
	int limit = Py_GetRecursionLimit();
	PyObject *rest, *value;

	if (PyTuple_Size(args) < 1) {
		PyErr_SetString(PyExc_TypeError, "what is to be called?");
		return NULL;
	}
	rest = PyTuple_GetSlice(args, 1, PyTuple_Size(args));
	if (!rest)
		return NULL;
	Py_SetRecursionLimit(limit + MORE_LEVELS);
	value = PyObject_Call(PyTuple_GetItem(args, 0), rest, NULL);
	Py_SetRecursionLimit(limit);
	Py_DECREF(rest);
	return value;
}
