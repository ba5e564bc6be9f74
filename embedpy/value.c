// Values on their way into Python and out of it. All with the GIL held.
#include "embedpy.h"
#include <string.h>

enum { MEMO_BYTES = 256 };

// text makes a str of v. A short one that is what *memo is, the one before, is that: most
// calls come with the same names, and a str that is known is hashed, too.
static PyObject *text(const ep_value *v, PyObject **memo)
{
	Py_ssize_t size;
	const char *known;

	if (v->size > MEMO_BYTES)
		return PyUnicode_DecodeUTF8(v->data, (Py_ssize_t)v->size, NULL);
	if (*memo) {
		known = PyUnicode_AsUTF8AndSize(*memo, &size); // kept with it; of ASCII it is the str itself
		if (known && (size_t)size == v->size && (!size || !memcmp(known, v->data, v->size)))
			return Py_NewRef(*memo);
		PyErr_Clear();
	}
	Py_XDECREF(*memo);
	*memo = PyUnicode_DecodeUTF8(v->size ? v->data : "", (Py_ssize_t)v->size, NULL);
	return Py_XNewRef(*memo);
}

static PyObject *to_python(const ep_value *v, PyObject **memo)
{
	switch (v->kind) {
	case EP_STR:
		return text(v, memo);
	case EP_BYTES:
		return PyBytes_FromStringAndSize(v->size ? v->data : "", (Py_ssize_t)v->size);
	case EP_INT:
		return PyLong_FromLongLong(v->integer);
	case EP_FLOAT:
		return PyFloat_FromDouble(v->real);
	case EP_NONE:
		break;
	}
	return Py_NewRef(Py_None);
}

// ep_args makes a tuple of the first count values of t->args, one copy each.
PyObject *ep_args(ep_thread *t, int count)
{
	PyObject *list = PyTuple_New(count);

	for (int i = 0; list && i < count; i++) {
		PyObject *item = to_python(&t->args[i], &t->memos[i]);
		if (!item || PyTuple_SetItem(list, i, item) < 0)
			Py_CLEAR(list);
	}
	return list;
}

// ep_from_python makes v a view of item, which must outlive it. No copy is made of
// bytes and of ASCII text; other text keeps its UTF-8 form beside it.
int ep_from_python(ep_value *v, PyObject *item)
{
	Py_ssize_t size = 0;
	char *bytes = NULL;

	v->data = NULL;
	v->size = 0;
	if (PyUnicode_Check(item)) {
		v->kind = EP_STR;
		v->data = PyUnicode_AsUTF8AndSize(item, &size);
		v->size = (size_t)size;
		return v->data ? 0 : -1;
	}
	if (PyBytes_Check(item)) {
		v->kind = EP_BYTES;
		if (PyBytes_AsStringAndSize(item, &bytes, &size) < 0)
			return -1;
		v->data = bytes;
		v->size = (size_t)size;
		return 0;
	}
	if (PyLong_Check(item)) {
		v->kind = EP_INT;
		v->integer = PyLong_AsLongLong(item);
		return v->integer == -1 && PyErr_Occurred() ? -1 : 0;
	}
	v->kind = EP_NONE;
	if (item == Py_None)
		return 0;
	PyErr_SetString(PyExc_TypeError, "a result must be str, bytes, int or None");
	return -1;
}

// ep_results takes over value, a tuple, and lays out t->results as views of its
// items; they hold until t->held is dropped. It returns their number or -1.
int ep_results(ep_thread *t, PyObject *value)
{
	Py_ssize_t count;

	t->held = value;
	if (!PyTuple_Check(value)) {
		PyErr_SetString(PyExc_TypeError, "the call must return a tuple");
		return -1;
	}
	count = PyTuple_Size(value);
	if (count > EP_MAX_VALUES) {
		PyErr_SetString(PyExc_ValueError, "the call returned too many values");
		return -1;
	}
	for (Py_ssize_t i = 0; i < count; i++)
		if (ep_from_python(&t->results[i], PyTuple_GetItem(value, i)) < 0)
			return -1;
	return (int)count;
}

// ep_error_take clears the exception that is set and leaves it as text in
// t->error: "what: Type: message".
void ep_error_take(ep_thread *t, const char *what)
{
	PyObject *type, *value, *trace, *text = NULL, *bytes = NULL;

	PyErr_Fetch(&type, &value, &trace);
	PyErr_NormalizeException(&type, &value, &trace);
	if (value)
		text = PyUnicode_FromFormat("%s: %R", what, value);
	if (text)
		bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	PyErr_Clear();
	snprintf(t->error, sizeof t->error, "%s", bytes ? PyBytes_AsString(bytes) : "an exception that can't be shown");
	Py_XDECREF(bytes);
	Py_XDECREF(text);
	Py_XDECREF(trace);
	Py_XDECREF(value);
	Py_XDECREF(type);
}
