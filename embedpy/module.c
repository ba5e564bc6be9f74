// The module _embedpy: what Python code may ask of its host.
#define _GNU_SOURCE
#include "embedpy.h"
#include "_cgo_export.h"
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

// strike(thread, index) raises an interrupt in a thread that has no regions: see ep_strike.
static PyObject *mod_strike(PyObject *self, PyObject *args)
{
	PyObject *capsule;
	unsigned which;
	ep_thread *t;

	if (!PyArg_ParseTuple(args, "OI", &capsule, &which))
		return NULL;
	t = PyCapsule_GetPointer(capsule, capsule_name);
	return t ? PyBool_FromLong(ep_strike(t, which)) : NULL;
}

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
	if (ep_task_socket != EP_HOST)
		ep_post_up(kind, number, text, (size_t)size);
	else
		embedpyPosted(ep_owner, channel, key, kind, number, (char *)text, (size_t)size);
	Py_END_ALLOW_THREADS
	Py_RETURN_NONE;
}

// unshare_folder() gives the calling thread, and those that it starts from now on,
// a working directory and a umask that its other threads no longer share.
static PyObject *mod_unshare_folder(PyObject *self, PyObject *unused)
{
	return PyBool_FromLong(unshare(CLONE_FS) == 0);
}

// log_descriptor() is a descriptor of the host's log.
static PyObject *mod_log_descriptor(PyObject *self, PyObject *unused) { return PyLong_FromLong(ep_capture_log()); }

static PyObject *signature_of(const struct stat *found)
{
	int64_t parts[] = {(int64_t)found->st_dev, (int64_t)found->st_ino, (int64_t)found->st_size,
	                   (int64_t)found->st_mtim.tv_sec, (int64_t)found->st_mtim.tv_nsec,
	                   (int64_t)found->st_ctim.tv_sec, (int64_t)found->st_ctim.tv_nsec};
	return PyBytes_FromStringAndSize((const char *)parts, sizeof parts);
}

// signature(path) returns bytes that change when the file does, or None when
// there is no such file: device, inode, size, and times of modification and change.
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
	return signature_of(&found);
}

// real_path writes the path of an open file, without symbolic links.
static int real_path(const char *name, char *real, size_t size, struct stat *found)
{
	char link[40];
	ssize_t n = -1;
	int fd = open(name, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return -1;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	if (fstat(fd, found) == 0)
		n = readlink(link, real, size - 1);
	close(fd);
	real[n < 0 ? 0 : n] = '\0';
	return n < 0 ? -1 : 0;
}

// resolved(path) returns the path of the file that path leads to, without symbolic
// links, and its signature; None when there is no such file.
static PyObject *mod_resolved(PyObject *self, PyObject *path)
{
	char real[PATH_MAX];
	PyObject *name;
	struct stat found;
	int failed;

	if (!PyUnicode_FSConverter(path, &name))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	failed = real_path(PyBytes_AsString(name), real, sizeof real, &found);
	Py_END_ALLOW_THREADS
	Py_DECREF(name);
	if (failed)
		Py_RETURN_NONE;
	return Py_BuildValue("NN", PyUnicode_DecodeFSDefault(real), signature_of(&found));
}

static PyMethodDef methods[] = {
	{"thread", mod_thread, METH_NOARGS, NULL},
	{"flagged", mod_flagged, METH_VARARGS, NULL},
	{"strike", mod_strike, METH_VARARGS, NULL},
	{"shielded", mod_shielded, METH_VARARGS, NULL},
	{"unshielded", mod_unshielded, METH_VARARGS, NULL},
	{"set_interrupts", mod_set_interrupts, METH_VARARGS, NULL},
	{"post", mod_post, METH_VARARGS, NULL},
	{"plain_keys", ep_plain_keys, METH_VARARGS, "Whether a value is of plain types, with strings for keys, and nested no deeper than that."},
	{"quoted", ep_quoted, METH_O, "A string of ASCII as JSON, in bytes; None when something in it has to be escaped."},
	{"deeper", ep_deeper, METH_VARARGS, "Call something that nests deeper than the recursion limit."},
	{"open_beneath", ep_open_beneath, METH_VARARGS, "A descriptor of a file beneath a folder, wherever links lead."},
	{"signature", mod_signature, METH_O, NULL},
	{"resolved", mod_resolved, METH_O, NULL},
	{"variables", ep_variables, METH_NOARGS, "The process's environment, as C code sees it."},
	{"remember", ep_remember, METH_VARARGS, "Note what is so now, for drifted()."},
	{"drifted", ep_drifted, METH_NOARGS, "Whether anything is not as remembered."},
	{"return_signal", ep_return_signal, METH_O, "Give a signal back to the host."},
	{"refuse", ep_refuse, METH_VARARGS, "Have an audited event raise RuntimeError."},
	{"unshare_folder", mod_unshare_folder, METH_NOARGS, NULL},
	{"log_descriptor", mod_log_descriptor, METH_NOARGS, NULL},
	{"enclose", ep_enclose, METH_VARARGS, "Choose the walls around the processes of tasks."},
	{"wall_in", ep_wall_in, METH_O, "Build them around this process, a step at a time."},
	{"become", ep_become, METH_VARARGS, "Become another user, for good."},
	{"hang_up", ep_hang_up, METH_NOARGS, "What this process says is no task's any more."},
	{"had_children", ep_py_had_children, METH_NOARGS, "Whether the process has had children since the last call."},
	{"receive", ep_receive, METH_NOARGS, "The next task of a forked process."},
	{"run_region", ep_run_region, METH_VARARGS, "Call something as a region that can be interrupted."},
	{"ask", ep_ask, METH_VARARGS, "Flag a region."},
	{"raise_here", ep_raise_here, METH_VARARGS, "Raise an interrupt in the calling thread."},
	{"note_fit", ep_note_fit, METH_NOARGS, "Note what the next task of a forked process is to find."},
	{"unfit", ep_unfit, METH_NOARGS, "Why the process can't have another task, or None."},
	{"slots", ep_slots, METH_VARARGS, "Fork a process for each slot, which forks those of its tasks."},
	{NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT, .m_name = "_embedpy", .m_size = -1, .m_methods = methods,
};

PyObject *ep_module_init(void) { return PyModule_Create(&definition); }
