// What a walk over a Python value can tell in C, where in Python it would cost as
// much as encoding it.
#include "embedpy.h"

static int plain_dict(PyObject *dict, int deepest);
static int plain_items(PyObject *list, int deepest);

// plain says whether value is made of dicts, lists, tuples, strings, numbers and
// None alone, all keys of its dicts are strings, and it is nested deepest deep at most.
static int plain(PyObject *value, int deepest)
{
	if (!PyDict_Check(value) && !PyList_Check(value) && !PyTuple_Check(value))
		return value == Py_None || PyUnicode_Check(value) || PyLong_Check(value) || PyFloat_Check(value);
	if (deepest == 0)
		return 0;
	return PyDict_Check(value) ? plain_dict(value, deepest - 1) : plain_items(value, deepest - 1);
}

static int plain_dict(PyObject *dict, int deepest)
{
	PyObject *key, *value;
	Py_ssize_t at = 0;

	while (PyDict_Next(dict, &at, &key, &value))
		if (!PyUnicode_Check(key) || !plain(value, deepest))
			return 0;
	return 1;
}

static int plain_items(PyObject *items, int deepest)
{
	int list = PyList_Check(items);

	// The size is asked for each time: another thread may change a list.
	for (Py_ssize_t i = 0; i < (list ? PyList_Size(items) : PyTuple_Size(items)); i++)
		if (!plain(list ? PyList_GetItem(items, i) : PyTuple_GetItem(items, i), deepest))
			return 0;
	return 1;
}

// ep_plain_keys is _embedpy.plain_keys(value, deepest).
PyObject *ep_plain_keys(PyObject *self, PyObject *args)
{
	PyObject *value;
	int deepest;

	if (!PyArg_ParseTuple(args, "Oi", &value, &deepest))
		return NULL;
	return PyBool_FromLong(plain(value, deepest));
}
