// Interrupts: asynchronous exceptions that reach exactly the region they were
// meant for.
//
// Entering and leaving a region and sending an interrupt all happen with the GIL
// held, and none of them runs others' code in between. So an interrupt is sent
// only while its region is open, and leaving takes back one that has been sent
// but not yet raised: it can't reach whatever the thread runs next.
#include "embedpy.h"

PyObject *ep_interrupts[EP_MAX_INTERRUPTS];

// send raises interrupt which in t, unless it has been raised in this region or
// must wait behind a shield.
static void send(ep_thread *t, unsigned which)
{
	if (which >= EP_MAX_INTERRUPTS || !ep_interrupts[which] || t->shields > 0 || (t->sent_mask & 1u << which))
		return;
	t->sent_mask |= 1u << which;
	t->last_sent = ep_interrupts[which];
	PyThreadState_SetAsyncExc(t->ident, t->last_sent);
}

static void send_wanted(ep_thread *t)
{
	for (unsigned which = 0; t->region && t->wanted == t->region && which < EP_MAX_INTERRUPTS; which++)
		if (t->wanted_mask & 1u << which)
			send(t, which);
}

// absorb clears the mark, left by taking back, that an exception is to be raised
// in the calling thread: CPython 3.11 clears it only by raising one. With the mark
// and a trace function it would look for the exception for ever.
static void absorb(ep_thread *t)
{
	static PyObject *nothing; // a function that does nothing
	PyObject *type, *value, *trace, *answer;

	PyErr_Fetch(&type, &value, &trace);
	if (!nothing) {
		PyObject *globals = PyDict_New();
		PyObject *code = Py_CompileString("lambda: None", "<embedpy>", Py_eval_input);
		if (globals && code)
			nothing = PyEval_EvalCode(code, globals, globals);
		Py_XDECREF(code);
		Py_XDECREF(globals);
	}
	if (nothing && t->last_sent) {
		PyThreadState_SetAsyncExc(t->ident, t->last_sent);
		answer = PyObject_CallObject(nothing, NULL); // raises it
		Py_XDECREF(answer);
	}
	PyErr_Clear();
	PyErr_Restore(type, value, trace);
}

// take_back takes back an interrupt that has been sent but not yet raised, or
// notes that it has been raised.
static void take_back(ep_thread *t)
{
	Py_ssize_t before;

	if (!t->last_sent)
		return;
	// CPython does not say whether it has raised what it was sent. While it has
	// not, it holds a reference to the class, and lets go of it here; nothing
	// else can change the count while the GIL is held.
	before = Py_REFCNT(t->last_sent);
	PyThreadState_SetAsyncExc(t->ident, NULL);
	if (Py_REFCNT(t->last_sent) == before)
		t->was_interrupted = 1;
	else
		for (unsigned which = 0; which < EP_MAX_INTERRUPTS; which++)
			if (ep_interrupts[which] == t->last_sent)
				t->sent_mask &= ~(1u << which);
	absorb(t);
	t->last_sent = NULL;
}

// ep_interrupt raises interrupt which in t's region of that key, once; if the
// region has not begun, at its beginning. It returns 1 if the region is open. It
// waits for the GIL as long as that takes.
int ep_interrupt(ep_thread *t, uint64_t region, unsigned which)
{
	PyGILState_STATE gil = PyGILState_Ensure();
	int open = t->region == region;

	if (t->wanted != region) {
		t->wanted = region;
		t->wanted_mask = 0;
	}
	t->wanted_mask |= 1u << which;
	if (open)
		send(t, which);
	PyGILState_Release(gil);
	return open;
}

// ep_strike raises interrupt which in t, which has no regions, unless it is behind a
// shield; it returns whether it has. The caller holds the GIL and knows what t is in the
// middle of: the interrupt is raised at the next line of Python that t comes to.
int ep_strike(ep_thread *t, unsigned which)
{
	if (which >= EP_MAX_INTERRUPTS || !ep_interrupts[which] || t->shields > 0)
		return 0;
	t->last_sent = ep_interrupts[which];
	return PyThreadState_SetAsyncExc(t->ident, t->last_sent) == 1;
}

void ep_region_enter(ep_thread *t, uint64_t region)
{
	t->region = region;
	t->sent_mask = 0;
	t->last_sent = NULL;
	t->flag_seen = 0;
	t->was_interrupted = 0;
	send_wanted(t);
}

void ep_region_leave(ep_thread *t)
{
	t->region = 0; // nothing is sent any more, though absorb runs Python code
	take_back(t);
}

// ep_shielded calls callable so that no interrupt is raised in it; one that comes
// meanwhile is raised when it has returned. t may be NULL, for a thread that can't
// be interrupted anyway.
PyObject *ep_shielded(ep_thread *t, PyObject *callable, PyObject *args)
{
	PyObject *value;

	if (!t)
		return PyObject_Call(callable, args, NULL);
	if (t->shields++ == 0)
		take_back(t);
	value = PyObject_Call(callable, args, NULL);
	if (--t->shields == 0)
		send_wanted(t);
	return value;
}

// ep_unshielded calls callable, within shields, so that interrupts are raised in
// it as if there were none.
PyObject *ep_unshielded(ep_thread *t, PyObject *callable, PyObject *args)
{
	PyObject *value;
	int shields;

	if (!t || t->shields == 0)
		return PyObject_Call(callable, args, NULL);
	shields = t->shields;
	t->shields = 0;
	send_wanted(t);
	value = PyObject_Call(callable, args, NULL);
	take_back(t);
	t->shields = shields;
	return value;
}
