// The module _embedpy: what Python code may ask of its host.
#include "embedpy.h"
#include "_cgo_export.h"
#include <string.h>
#include <sys/stat.h>

static const char capsule_name[] = "_embedpy.thread";

uintptr_t ep_owner;

// thread() names the calling thread for flagged(), from whichever thread.
static PyObject *mod_thread(PyObject *self, PyObject *unused)
{
	if (!ep_current) {
		PyErr_SetString(PyExc_RuntimeError, "not a thread of the host");
		return NULL;
	}
	return PyCapsule_New(ep_current, capsule_name, NULL);
}

// flagged(thread, key) returns the reason the host has flagged key for, or 0.
static PyObject *mod_flagged(PyObject *self, PyObject *args)
{
	PyObject *capsule;
	unsigned long long key;
	uint64_t flag;
	ep_thread *t;

	if (!PyArg_ParseTuple(args, "OK", &capsule, &key))
		return NULL;
	t = PyCapsule_GetPointer(capsule, capsule_name);
	if (!t)
		return NULL;
	flag = atomic_load(&t->flag);
	if (flag >> 8 != key)
		return PyLong_FromLong(0);
	if (t->region == key)
		t->flag_seen = 1;
	return PyLong_FromLong((long)(flag & 0xff));
}

typedef PyObject *(*caller)(ep_thread *t, PyObject *callable, PyObject *args);

static PyObject *call_by(caller call, PyObject *args)
{
	PyObject *rest, *value;

	if (PyTuple_Size(args) < 1) {
		PyErr_SetString(PyExc_TypeError, "what is to be called?");
		return NULL;
	}
	rest = PyTuple_GetSlice(args, 1, PyTuple_Size(args));
	if (!rest)
		return NULL;
	value = call(ep_current, PyTuple_GetItem(args, 0), rest);
	Py_DECREF(rest);
	return value;
}

// shielded(callable, *args) calls callable with interrupts held back.
static PyObject *mod_shielded(PyObject *self, PyObject *args) { return call_by(ep_shielded, args); }

// unshielded(callable, *args) lets them through again, within shielded.
static PyObject *mod_unshielded(PyObject *self, PyObject *args) { return call_by(ep_unshielded, args); }

// set_interrupts(*classes) says what the interrupts raise, by index.
static PyObject *mod_set_interrupts(PyObject *self, PyObject *args)
{
	Py_ssize_t count = PyTuple_Size(args);

	if (count > EP_MAX_INTERRUPTS) {
		PyErr_Format(PyExc_ValueError, "at most %d interrupts", EP_MAX_INTERRUPTS);
		return NULL;
	}
	for (Py_ssize_t i = 0; i < count; i++) {
		Py_XDECREF(ep_interrupts[i]);
		ep_interrupts[i] = Py_NewRef(PyTuple_GetItem(args, i));
	}
	Py_RETURN_NONE;
}

// post(channel, key, kind, number, text) hands an event to the host. Go is never
// entered with the GIL held: it may wait as long as it likes.
static PyObject *mod_post(PyObject *self, PyObject *args)
{
	unsigned long long channel, key;
	long long kind;
	double number;
	const char *text;
	Py_ssize_t size;

	if (!PyArg_ParseTuple(args, "KKLds#", &channel, &key, &kind, &number, &text, &size))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	embedpyPosted(ep_owner, channel, key, kind, number, (char *)text, (size_t)size);
	Py_END_ALLOW_THREADS
	Py_RETURN_NONE;
}

// signature(path) returns bytes that change when the file does, or None when
// there is no such file: device, inode, size and time of modification.
static PyObject *mod_signature(PyObject *self, PyObject *path)
{
	PyObject *name;
	struct stat found;
	int failed;

	if (!PyUnicode_FSConverter(path, &name))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	failed = stat(PyBytes_AsString(name), &found);
	Py_END_ALLOW_THREADS
	Py_DECREF(name);
	if (failed)
		Py_RETURN_NONE;
	int64_t parts[] = {(int64_t)found.st_dev, (int64_t)found.st_ino, (int64_t)found.st_size,
	                   (int64_t)found.st_mtim.tv_sec, (int64_t)found.st_mtim.tv_nsec};
	return PyBytes_FromStringAndSize((const char *)parts, sizeof parts);
}

static PyMethodDef methods[] = {
	{"thread", mod_thread, METH_NOARGS, NULL},
	{"flagged", mod_flagged, METH_VARARGS, NULL},
	{"shielded", mod_shielded, METH_VARARGS, NULL},
	{"unshielded", mod_unshielded, METH_VARARGS, NULL},
	{"set_interrupts", mod_set_interrupts, METH_VARARGS, NULL},
	{"post", mod_post, METH_VARARGS, NULL},
	{"plain_keys", ep_plain_keys, METH_O, "Whether a value is of plain types, with strings for keys."},
	{"open_beneath", ep_open_beneath, METH_VARARGS, "A descriptor of a file beneath a folder, wherever links lead."},
	{"signature", mod_signature, METH_O, NULL},
	{NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT, .m_name = "_embedpy", .m_size = -1, .m_methods = methods,
};

PyObject *ep_module_init(void) { return PyModule_Create(&definition); }
