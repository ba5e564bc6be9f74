// What a walk over a Python value can tell in C, where in Python it would cost as
// much as encoding it.
#include "embedpy.h"

static int plain_dict(PyObject *dict);
static int plain_items(PyObject *list);

// plain says whether value is made of dicts, lists, tuples, strings, numbers and
// None alone, and all keys of its dicts are strings. 1: yes; 0: no; -1: an
// exception, as for a value that contains itself.
static int plain(PyObject *value)
{
	int answer;

	if (!PyDict_Check(value) && !PyList_Check(value) && !PyTuple_Check(value))
		return value == Py_None || PyUnicode_Check(value) || PyLong_Check(value) || PyFloat_Check(value);
	if (Py_EnterRecursiveCall(" while looking at keys"))
		return -1;
	answer = PyDict_Check(value) ? plain_dict(value) : plain_items(value);
	Py_LeaveRecursiveCall();
	return answer;
}

static int plain_dict(PyObject *dict)
{
	PyObject *key, *value;
	Py_ssize_t at = 0;
	int answer;

	while (PyDict_Next(dict, &at, &key, &value)) {
		if (!PyUnicode_Check(key))
			return 0;
		answer = plain(value);
		if (answer != 1)
			return answer;
	}
	return 1;
}

static int plain_items(PyObject *items)
{
	int list = PyList_Check(items);
	int answer;

	// The size is asked for each time: another thread may change a list.
	for (Py_ssize_t i = 0; i < (list ? PyList_Size(items) : PyTuple_Size(items)); i++) {
		answer = plain(list ? PyList_GetItem(items, i) : PyTuple_GetItem(items, i));
		if (answer != 1)
			return answer;
	}
	return 1;
}

// ep_plain_keys is _embedpy.plain_keys(value).
PyObject *ep_plain_keys(PyObject *self, PyObject *value)
{
	int answer = plain(value);

	return answer < 0 ? NULL : PyBool_FromLong(answer);
}
