// What a forked process speaks with the host: one task comes down its socket, and its events and
// its result go up.
#define _GNU_SOURCE
#include "embedpy.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int ep_task_socket = EP_HOST;

static pthread_mutex_t sending = PTHREAD_MUTEX_INITIALIZER;

int ep_read_all(int fd, void *to, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, (char *)to + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

int ep_write_all(int fd, const void *from, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = send(fd, (const char *)from + done, size - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

// ep_post_up sends an event whole, whichever thread it is of and whatever is raised in it.
void ep_post_up(int64_t kind, double number, const char *data, size_t size)
{
	struct {
		int64_t kind;
		double number;
		uint64_t size;
	} header = {kind, number, size};

	if (ep_task_socket < 0)
		return;
	pthread_mutex_lock(&sending);
	if (ep_write_all(ep_task_socket, &header, sizeof header) == 0)
		(void)ep_write_all(ep_task_socket, data, size);
	pthread_mutex_unlock(&sending);
}

// ep_hang_up is _embedpy.hang_up(), for what a task forks: its events and results would be taken for the task's.
PyObject *ep_hang_up(PyObject *self, PyObject *unused)
{
	if (ep_task_socket >= 0)
		close(ep_task_socket);
	ep_task_socket = EP_NOBODY;
	Py_RETURN_NONE;
}

// ep_receive is _embedpy.receive(): the header and the params of the next task; None when there is none.
PyObject *ep_receive(PyObject *self, PyObject *unused)
{
	uint32_t sizes[2];
	PyObject *parts[2] = {NULL};
	int failed;

	Py_BEGIN_ALLOW_THREADS
	failed = ep_read_all(ep_task_socket, sizes, sizeof sizes);
	Py_END_ALLOW_THREADS
	for (int i = 0; i < 2 && !failed; i++) {
		parts[i] = PyBytes_FromStringAndSize(NULL, sizes[i]);
		failed = !parts[i] || ep_read_all(ep_task_socket, PyBytes_AsString(parts[i]), sizes[i]) < 0;
	}
	if (!failed)
		return Py_BuildValue("NN", parts[0], parts[1]);
	Py_XDECREF(parts[0]);
	Py_XDECREF(parts[1]);
	if (PyErr_Occurred())
		return NULL;
	Py_RETURN_NONE;
}

// ep_py_had_children is _embedpy.had_children(): see ep_had_children.
PyObject *ep_py_had_children(PyObject *self, PyObject *unused)
{
	return PyBool_FromLong(ep_had_children());
}

// ep_run_region is _embedpy.run_region(key, callable, rescue, settle, *args): ep_thread_call for who has
// the GIL. It returns what callable has, how long it took, and whether it was interrupted or saw its flag.
PyObject *ep_run_region(PyObject *self, PyObject *args)
{
	ep_thread *t = ep_current;
	Py_ssize_t count = PyTuple_Size(args) - 4;
	PyObject *settle, *value;
	uint64_t key;
	int failed;

	if (!t || count < 0 || count > EP_MAX_VALUES) {
		PyErr_SetString(PyExc_TypeError, "run_region(key, callable, rescue, settle, *args)");
		return NULL;
	}
	key = PyLong_AsUnsignedLongLong(PyTuple_GetItem(args, 0));
	settle = PyTuple_GetItem(args, 3);
	for (int i = 0; i < count; i++)
		if (ep_from_python(&t->args[i], PyTuple_GetItem(args, 4 + i)) < 0)
			return NULL;
	t->state = PyEval_SaveThread();
	failed = ep_thread_call(t, key, PyTuple_GetItem(args, 1), PyTuple_GetItem(args, 2), settle == Py_None ? NULL : settle, (int)count) < 0;
	PyEval_RestoreThread(t->state);
	if (failed) {
		PyErr_SetString(PyExc_RuntimeError, t->error);
		return NULL;
	}
	value = Py_BuildValue("OLLii", t->held, (long long)t->wall_ns, (long long)t->cpu_ns, t->was_interrupted, t->flag_seen);
	Py_CLEAR(t->held);
	return value;
}

// ep_ask is _embedpy.ask(key, reason): the flag that the script can see.
PyObject *ep_ask(PyObject *self, PyObject *args)
{
	unsigned long long key;
	unsigned reason;

	if (!PyArg_ParseTuple(args, "KI", &key, &reason))
		return NULL;
	atomic_store(&ep_current->flag, (uint64_t)key << 8 | reason);
	Py_RETURN_NONE;
}

// ep_raise_here is _embedpy.raise_here(key, index), for a signal handler: it raises the interrupt of that index
// in the calling thread, if the region of that key is open and unshielded; else as ep_interrupt has it.
PyObject *ep_raise_here(PyObject *self, PyObject *args)
{
	unsigned long long key;
	unsigned which;
	ep_thread *t = ep_current;

	if (!PyArg_ParseTuple(args, "KI", &key, &which))
		return NULL;
	if (t->region != key || t->shields > 0 || which >= EP_MAX_INTERRUPTS || (t->sent_mask & 1u << which)) {
		(void)ep_interrupt(t, key, which);
		Py_RETURN_FALSE;
	}
	t->sent_mask |= 1u << which;
	t->was_interrupted = 1;
	PyErr_SetNone(ep_interrupts[which]);
	return NULL;
}

// ep_leave ends the process, which a task has forked, as Py_RunMain does. ending is a tuple that it takes over, of
// what nothing has handled, or None, and whether that is an interrupt. No Python code runs that would be seen in it.
void ep_leave(PyObject *ending)
{
	PyObject *error;
	int interrupted, status = 0;

	if (!PyArg_ParseTuple(ending, "Op", &error, &interrupted))
		return;
	if (error != Py_None) {
		PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), Py_NewRef(error), PyException_GetTraceback(error));
		Py_DECREF(ending);
		PyErr_Print(); // of SystemExit it does not return
		status = 1;
	}
	if (Py_FinalizeEx() < 0)
		status = 120;
	if (interrupted) { // so that a parent sees it that waits, as a shell does
		signal(SIGINT, SIG_DFL);
		kill(getpid(), SIGINT);
	}
	exit(status);
}
