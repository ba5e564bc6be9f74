// What a process has besides Python's objects, and whether it has changed.
#define _GNU_SOURCE
#include "embedpy.h"
#include <limits.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static struct {
	char cwd[PATH_MAX];
	struct ep_folder folder; // that of cwd
	mode_t mask;
	sigset_t signals;
	cpu_set_t cpus;
	char locale[1024];
	long zone; // what C makes of TZ, as of late: several functions look at it
	int daylight;
	char **environ;
	char **variables; // a copy of environ's pointers
	size_t count;
	PyObject *dicts, *lists, *getters;
	uint64_t *versions;
} want;

static size_t variable_count(void)
{
	size_t n = 0;

	while (environ && environ[n])
		n++;
	return n;
}

// remember_environ copies the pointers: whoever sets or removes a variable changes one.
static int remember_environ(void)
{
	size_t n = variable_count();
	char **copy = realloc(want.variables, (n + 1) * sizeof *copy);

	if (!copy)
		return -1;
	if (n)
		memcpy(copy, environ, n * sizeof *copy);
	want.variables = copy;
	want.count = n;
	want.environ = environ;
	return 0;
}

static int environ_changed(void)
{
	return environ != want.environ || variable_count() != want.count ||
	       (want.count && memcmp(environ, want.variables, want.count * sizeof *environ));
}

static const char *locale_now(void)
{
	const char *name = setlocale(LC_ALL, NULL);

	return name ? name : "";
}

static int remember_versions(void)
{
	Py_ssize_t n = PyTuple_Size(want.dicts);
	uint64_t *versions = realloc(want.versions, (size_t)(n + 1) * sizeof *versions);

	if (!versions)
		return -1;
	want.versions = versions;
	ep_dict_versions(want.dicts, versions);
	return 0;
}

// ep_variables is _embedpy.variables(): a list of bytes, NAME=value each.
PyObject *ep_variables(PyObject *self, PyObject *unused)
{
	size_t n = variable_count();
	PyObject *list = PyList_New((Py_ssize_t)n);

	for (size_t i = 0; list && i < n; i++) {
		PyObject *text = PyBytes_FromString(environ[i]);
		if (!text || PyList_SetItem(list, (Py_ssize_t)i, text) < 0)
			Py_CLEAR(list);
	}
	return list;
}

// ep_remember is _embedpy.remember(dicts, lists, getters): what is so now is what
// drifted() compares with. dicts must not be changed, lists is of pairs (list,
// tuple of what is in it), getters of pairs (callable, what it returns).
PyObject *ep_remember(PyObject *self, PyObject *args)
{
	PyObject *dicts, *lists, *getters;

	if (!PyArg_ParseTuple(args, "O!O!O!", &PyTuple_Type, &dicts, &PyTuple_Type, &lists, &PyTuple_Type, &getters))
		return NULL;
	Py_INCREF(dicts);
	Py_INCREF(lists);
	Py_INCREF(getters);
	Py_XDECREF(want.dicts);
	Py_XDECREF(want.lists);
	Py_XDECREF(want.getters);
	want.dicts = dicts;
	want.lists = lists;
	want.getters = getters;
	if (!getcwd(want.cwd, sizeof want.cwd))
		want.cwd[0] = '\0'; // a folder that is gone: never equal
	ep_folder_look("", &want.folder);
	want.mask = umask(0);
	umask(want.mask);
	pthread_sigmask(SIG_SETMASK, NULL, &want.signals);
	sched_getaffinity(0, sizeof want.cpus, &want.cpus);
	snprintf(want.locale, sizeof want.locale, "%s", locale_now());
	want.zone = timezone;
	want.daylight = daylight;
	ep_standing_note();
	if (remember_environ() < 0 || remember_versions() < 0)
		return PyErr_NoMemory();
	Py_RETURN_NONE;
}

// folder_changed is also true when "/" is another folder: as long as the working folder is
// the same and has the same path, the path leads to it from the same one.
static int folder_changed(void)
{
	char cwd[PATH_MAX];
	struct ep_folder folder;

	ep_folder_look("", &folder);
	return memcmp(&folder, &want.folder, sizeof folder) || !getcwd(cwd, sizeof cwd) || strcmp(cwd, want.cwd);
}

// system_changed compares what the kernel keeps; umask and signal mask are simply
// set, which costs what reading them would.
static int system_changed(void)
{
	cpu_set_t cpus;

	umask(want.mask);
	pthread_sigmask(SIG_SETMASK, &want.signals, NULL);
	return folder_changed() || sched_getaffinity(0, sizeof cpus, &cpus) ||
	       !CPU_EQUAL(&cpus, &want.cpus) || strcmp(locale_now(), want.locale) || timezone != want.zone ||
	       daylight != want.daylight || environ_changed();
}

static int lists_changed(void)
{
	for (Py_ssize_t i = 0; i < PyTuple_Size(want.lists); i++) {
		PyObject *pair = PyTuple_GetItem(want.lists, i);
		if (!ep_list_holds(PyTuple_GetItem(pair, 0), PyTuple_GetItem(pair, 1)))
			return 1;
	}
	return 0;
}

// getters_changed keeps the tuple, for a getter may let another thread remember anew.
static int getters_changed(PyObject *getters)
{
	for (Py_ssize_t i = 0; i < PyTuple_Size(getters); i++) {
		PyObject *pair = PyTuple_GetItem(getters, i);
		PyObject *found = PyObject_CallNoArgs(PyTuple_GetItem(pair, 0));
		int same = found ? PyObject_RichCompareBool(found, PyTuple_GetItem(pair, 1), Py_EQ) : 0;

		Py_XDECREF(found);
		if (same <= 0) {
			PyErr_Clear(); // what can't be read is not as it was
			return 1;
		}
	}
	return 0;
}

// ep_changed says whether anything is not as remembered. The getters are called
// first and always: they may have a side effect, as flushing.
int ep_changed(void)
{
	PyObject *getters = want.getters;
	int changed;

	if (!getters)
		return 1;
	Py_INCREF(getters);
	changed = getters_changed(getters);
	Py_DECREF(getters);
	return changed || ep_dicts_changed(want.dicts, want.versions) || lists_changed() || system_changed();
}

// ep_drifted is _embedpy.drifted().
PyObject *ep_drifted(PyObject *self, PyObject *unused)
{
	ep_standing_check();
	return PyBool_FromLong(ep_changed());
}

// ep_had_children reports whether the process has children, or has waited for one
// since the last call: each may have passed its descriptors on.
int ep_had_children(void)
{
	static struct rusage before;
	struct rusage now;
	siginfo_t any;
	int waited;

	getrusage(RUSAGE_CHILDREN, &now);
	waited = memcmp(&now, &before, sizeof now) != 0;
	before = now;
	return waited || waitid(P_ALL, 0, &any, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
}

static struct sigaction hosts[_NSIG];

// ep_signals_default lets CPython, which looks once, at its start, find the signals
// as a process of its own has them; ep_signals_return then gives them back to Go.
void ep_signals_default(void)
{
	for (int i = 1; i < _NSIG; i++) {
		struct sigaction plain = {.sa_handler = i == SIGPIPE || i == SIGXFSZ ? SIG_IGN : SIG_DFL};
		if (sigaction(i, NULL, &hosts[i]) == 0)
			sigaction(i, &plain, NULL);
	}
	hosts[SIGPIPE].sa_handler = hosts[SIGXFSZ].sa_handler = SIG_IGN; // as CPython has them
	hosts[SIGPIPE].sa_flags = hosts[SIGXFSZ].sa_flags = 0;
}

void ep_signals_return(void)
{
	for (int i = 1; i < _NSIG; i++)
		sigaction(i, &hosts[i], NULL);
}

// ep_return_signal is _embedpy.return_signal(number): the signal is Go's again,
// and signal.getsignal must say SIG_DFL, or SIG_IGN, before.
PyObject *ep_return_signal(PyObject *self, PyObject *number)
{
	long n = PyLong_AsLong(number);

	if (n == -1 && PyErr_Occurred())
		return NULL;
	if (n >= 1 && n < _NSIG)
		sigaction((int)n, &hosts[n], NULL);
	Py_RETURN_NONE;
}
