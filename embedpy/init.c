// Initialisation: the only file outside the limited API, for PyConfig.
#undef Py_LIMITED_API
#define _GNU_SOURCE
#include "embedpy.h"
#include <dlfcn.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>

// ep_library_path writes the real path of the file that holds CPython's code,
// or "" if the loader does not know it.
void ep_library_path(char *path, size_t size)
{
	Dl_info info;
	char real[PATH_MAX];

	path[0] = '\0';
	if (dladdr((void *)Py_InitializeFromConfig, &info) && info.dli_fname && realpath(info.dli_fname, real))
		snprintf(path, size, "%s", real);
}

// The file system and open() speak UTF-8 whatever the locale of the service is:
// under the C locale of most of them CPython would fall back to ASCII.
static PyStatus preinit(void)
{
	PyPreConfig pre;

	PyPreConfig_InitIsolatedConfig(&pre);
	pre.utf8_mode = 1;
	return Py_PreInitialize(&pre);
}

static PyStatus init(PyConfig *config, const char *executable)
{
	PyStatus status = PyConfig_SetBytesString(config, &config->program_name, executable);

	if (PyStatus_Exception(status))
		return status;
	status = PyConfig_SetBytesString(config, &config->executable, executable);
	if (PyStatus_Exception(status))
		return status;
	// Go has the signals until a script sets a handler; CPython's are SA_ONSTACK.
	config->install_signal_handlers = 0;
	config->parse_argv = 0;
	config->configure_c_stdio = 0;
	config->pathconfig_warnings = 0;
	config->site_import = 1;
	return Py_InitializeFromConfig(config);
}

// ep_start brings CPython up on the calling thread, which becomes Python's main
// thread and holds the GIL on success. After a failure the process can only end.
int ep_start(const char *executable, char *error, size_t error_size)
{
	PyConfig config;
	PyStatus status;

	ep_slack_return(); // before an import can start a thread
	if (PyImport_AppendInittab("_embedpy", ep_module_init) < 0 || ep_refuse_init() < 0) {
		snprintf(error, error_size, "no memory");
		return -1;
	}
	status = preinit();
	if (!PyStatus_Exception(status)) {
		PyConfig_InitIsolatedConfig(&config);
		ep_signals_default();
		status = init(&config, executable);
		if (!PyStatus_Exception(status))
			Py_XDECREF(PyImport_ImportModule("_signal")); // which looks at the signals
		ep_signals_return();
		if (!setlocale(LC_CTYPE, "C.UTF-8")) // C code's text is UTF-8, as Python's is
			(void)setlocale(LC_CTYPE, "");
		PyConfig_Clear(&config);
	}
	if (!PyStatus_Exception(status))
		return 0;
	if (PyStatus_IsExit(status))
		snprintf(error, error_size, "CPython asks to exit with status %d", status.exitcode);
	else
		snprintf(error, error_size, "%s%s%s", status.func ? status.func : "", status.func ? ": " : "",
		         status.err_msg ? status.err_msg : "unknown error");
	return -1;
}
