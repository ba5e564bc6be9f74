// Threads that call Python: one thread state per OS thread for as long as the
// thread lives, saved between calls.
#define _GNU_SOURCE
#include "embedpy.h"
#include <sched.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

enum { SHORT_NS = 100 * 1000, REREAD_NS = 1000 * 1000, MAX_PENDING = 64 };

_Thread_local ep_thread *ep_current;

int64_t ep_clock_ns(int clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// attach makes the record of the calling thread, which holds the GIL, and
// releases the GIL.
static ep_thread *attach(void)
{
	ep_thread *t = calloc(1, sizeof *t);

	if (t) {
		t->ident = PyThread_get_thread_ident();
		t->cpu_mark = ep_clock_ns(CLOCK_THREAD_CPUTIME_ID);
		ep_current = t;
		t->state = PyEval_SaveThread();
	}
	return t;
}

// ep_thread_main makes the record of the thread that has just run ep_start.
ep_thread *ep_thread_main(void) { return attach(); }

// ep_thread_open makes the calling thread one that can call Python. NULL means
// no memory. With own_cwd the thread gets a working directory and a umask of its
// own, as far as the kernel allows; threads and processes it starts share them.
ep_thread *ep_thread_open(int own_cwd)
{
	ep_slack_return();
	if (own_cwd)
		(void)unshare(CLONE_FS);
	// By way of PyGILState, so that extension modules which use it on this
	// thread find this state instead of making a second one.
	(void)PyGILState_Ensure();
	return attach();
}

// ep_thread_close ends the thread's state. The record stays: see ep_thread.
void ep_thread_close(ep_thread *t)
{
	PyEval_RestoreThread(t->state);
	Py_CLEAR(t->held);
	for (int i = 0; i < EP_MAX_VALUES; i++)
		Py_CLEAR(t->memos[i]);
	t->ident = 0;
	t->state = NULL;
	PyGILState_Release(PyGILState_UNLOCKED);
}

// rescue_call hands the exception that is set to rescue and returns its answer.
static PyObject *rescue_call(PyObject *rescue)
{
	PyObject *type, *value, *trace, *answer;

	PyErr_Fetch(&type, &value, &trace);
	PyErr_NormalizeException(&type, &value, &trace);
	if (trace)
		PyException_SetTraceback(value, trace);
	answer = PyObject_CallFunctionObjArgs(rescue, value, NULL);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(trace);
	return answer;
}

// account sets what the region took. Reading the thread's CPU clock is a system
// call that costs a third of a small region, so it is left out for a short one
// soon after the last reading: that one counts as having been on the CPU for all
// of its wall time. Else CPU time is all the thread has used since it was last
// accounted, fetching the arguments included.
static void account(ep_thread *t, int64_t begin)
{
	int64_t end = ep_clock_ns(CLOCK_MONOTONIC), cpu;

	t->wall_ns = end - begin;
	if (t->wall_ns < SHORT_NS && end - t->cpu_read < REREAD_NS) {
		t->cpu_ns = t->wall_ns;
		t->cpu_mark += t->wall_ns;
		return;
	}
	cpu = ep_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	t->cpu_ns = cpu - t->cpu_mark;
	if (t->cpu_ns > t->wall_ns)
		t->cpu_ns = t->wall_ns;
	if (t->cpu_ns < 0)
		t->cpu_ns = 0;
	t->cpu_mark = cpu;
	t->cpu_read = end;
}

static PyObject *call_in_region(ep_thread *t, uint64_t region, PyObject *callable, PyObject *args)
{
	int64_t begin = ep_clock_ns(CLOCK_MONOTONIC);
	PyObject *value;

	ep_region_enter(t, region);
	value = PyObject_Call(callable, args, NULL);
	ep_region_leave(t);
	account(t, begin);
	return value;
}

// quiet stops the thread's timers and gives signal handlers that wait their turn, so
// that none of them raises in what follows.
static void quiet(void)
{
	static const struct itimerval stopped;

	setitimer(ITIMER_REAL, &stopped, NULL);
	setitimer(ITIMER_VIRTUAL, &stopped, NULL);
	setitimer(ITIMER_PROF, &stopped, NULL);
	for (int i = 0; i < MAX_PENDING && PyErr_CheckSignals() < 0; i++)
		PyErr_Clear();
}

// settle_if_changed calls settle, which is not to fail, if anything remembered has changed, beside an
// exception that may be set.
static void settle_if_changed(ep_thread *t, PyObject *settle)
{
	PyObject *type, *value, *trace;

	PyErr_Fetch(&type, &value, &trace);
	ep_standing_glance();
	if (ep_changed()) {
		ep_standing_check();
		quiet();
		ep_capture_repair(); // streams may have to be made anew
		PyObject *done = PyObject_CallNoArgs(settle);
		t->unsettled = !done;
		Py_XDECREF(done);
		PyErr_Clear();
	}
	PyErr_Restore(type, value, trace);
}

// ep_thread_call calls callable with the first args values of t->args and
// returns the number of t->results, or -1 with the reason in t->error. With
// region != 0 the call is an interruptible region of that key. An exception that
// leaves callable goes to rescue, if there is one, after the region has ended;
// settle, if there is one, is called last, if anything remembered has changed; the call is
// captured then.
int ep_thread_call(ep_thread *t, uint64_t region, PyObject *callable, PyObject *rescue, PyObject *settle, int args)
{
	PyObject *list, *value = NULL;
	int64_t asked = ep_clock_ns(CLOCK_MONOTONIC);
	int count;

	PyEval_RestoreThread(t->state);
	t->gil_ns = ep_clock_ns(CLOCK_MONOTONIC) - asked;
	Py_CLEAR(t->held);
	if (settle)
		ep_capture_begin();
	list = ep_args(t, args);
	if (list) {
		value = region ? call_in_region(t, region, callable, list) : PyObject_Call(callable, list, NULL);
		Py_DECREF(list);
		if (!value && rescue)
			value = rescue_call(rescue);
	}
	if (settle)
		settle_if_changed(t, settle);
	count = value ? ep_results(t, value) : -1;
	if (count < 0)
		ep_error_take(t, "call");
	t->state = PyEval_SaveThread();
	t->printed = settle && ep_capture_take();
	return count;
}

// ep_thread_make is ep_thread_call for a result that is kept as an object: it
// returns a new reference, or NULL with the reason in t->error.
PyObject *ep_thread_make(ep_thread *t, PyObject *callable, int args)
{
	PyObject *list, *value = NULL;

	PyEval_RestoreThread(t->state);
	list = ep_args(t, args);
	if (list) {
		value = PyObject_Call(callable, list, NULL);
		Py_DECREF(list);
	}
	if (!value)
		ep_error_take(t, "call");
	t->state = PyEval_SaveThread();
	return value;
}
