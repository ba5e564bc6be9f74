// What Python code must not do to the process: an audit hook (PEP 578) refuses it
// wherever it comes from. Outside the limited API, which knows no audit hooks.
#undef Py_LIMITED_API
#include "embedpy.h"
#include <string.h>

enum { MAX_REFUSED = 4 };

static struct {
	char event[32];
	PyObject *message;
} refused[MAX_REFUSED];
static int refusals;

static int hook(const char *event, PyObject *args, void *unused)
{
	for (int i = 0; i < refusals; i++)
		if (!strcmp(event, refused[i].event)) {
			PyErr_SetObject(PyExc_RuntimeError, refused[i].message);
			return -1;
		}
	if (!strcmp(event, "sys.addaudithook"))
		ep_standing_hooked();
	return 0;
}

int ep_refuse_init(void) { return PySys_AddAuditHook(hook, NULL); }

// ep_refuse is _embedpy.refuse(event, message).
PyObject *ep_refuse(PyObject *self, PyObject *args)
{
	const char *event;
	PyObject *message;

	if (!PyArg_ParseTuple(args, "sU", &event, &message))
		return NULL;
	if (refusals == MAX_REFUSED || strlen(event) >= sizeof refused->event) {
		PyErr_SetString(PyExc_ValueError, "too many refusals, or too long a name");
		return NULL;
	}
	strcpy(refused[refusals].event, event);
	refused[refusals].message = Py_NewRef(message);
	refusals++;
	Py_RETURN_NONE;
}
