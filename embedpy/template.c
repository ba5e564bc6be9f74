// A program that is to be a template of processes: CPython, started before Go has any thread, so
// that the process can be forked. It never comes to Go's part of the program.
#define _GNU_SOURCE
#include "embedpy.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

// One text of the host: its length in four bytes, as this machine has them, and its bytes.
// NULL at the end of the connection or of memory; what it returns ends with a NUL.
static char *text(int fd, size_t *size)
{
	uint32_t length;
	char *read_to = NULL;

	if (ep_read_all(fd, &length, sizeof length) == 0 && (read_to = malloc((size_t)length + 1)) != NULL) {
		if (ep_read_all(fd, read_to, length) < 0) {
			free(read_to);
			return NULL;
		}
		read_to[length] = '\0';
		*size = length;
	}
	return read_to;
}

// answer sends one: "+" or "-" and a message.
static void answer(int fd, char kind, const char *message)
{
	uint32_t length = (uint32_t)strlen(message) + 1;

	if (ep_write_all(fd, &length, sizeof length) == 0 && ep_write_all(fd, &kind, 1) == 0)
		(void)ep_write_all(fd, message, length - 1);
}

// load_all loads the modules that the host sends: name, file, source and code of each, and an
// empty name at their end.
static int load_all(ep_thread *t, int fd)
{
	for (;;) {
		char *part[4] = {NULL};
		size_t size[4] = {0};
		int failed = 0, count = 0;

		while (count < 4 && (part[count] = text(fd, &size[count])) != NULL && size[0] > 0)
			count++;
		if (count == 4)
			failed = ep_load(t, part[0], part[1], part[2], part[3], size[3]);
		for (int i = 0; i < 4; i++)
			free(part[i]);
		if (failed)
			return -1;
		if (count < 4)
			return 0;
	}
}

// call calls the runtime's function, which ends the process, but for one that a task has forked: of that it
// returns how it ends.
static void call(ep_thread *t, int fd, const char *settings, size_t size)
{
	PyObject *module, *value = NULL;

	PyEval_RestoreThread(t->state);
	module = PyImport_ImportModule("cpulb.template");
	if (module)
		value = PyObject_CallMethod(module, "serve", "is#", fd, settings, (Py_ssize_t)size);
	if (value)
		ep_leave(value);
	else
		ep_error_take(t, "template");
}

// template is the whole life of the process. fd is a socket to the host; as many for the slots
// follow it. What else the program has inherited, by whatever mistake, is no business of tasks.
static void template(int fd, int slots)
{
	char reason[EP_ERROR] = "no answer of the host";
	size_t size;
	char *executable = text(fd, &size), *settings = NULL;
	ep_thread *t = NULL;

	ep_task_socket = EP_NOBODY;
	(void)close_range((unsigned)(fd + slots + 1), ~0U, 0);
	(void)prctl(PR_SET_NAME, "cpulb-template");
	(void)prctl(PR_SET_DUMPABLE, 0); // tasks of this user are not to trace it, or its slots' processes
	if (executable && ep_start(executable, reason, sizeof reason) == 0)
		t = ep_thread_main();
	if (t && load_all(t, fd) == 0 && (settings = text(fd, &size)) != NULL)
		call(t, fd, settings, size);
	answer(fd, '-', t ? t->error : reason);
	_exit(1);
}

__attribute__((constructor)) static void become(int argc, char **argv, char **envp)
{
	if (argc == 4 && !strcmp(argv[1], "template"))
		template(atoi(argv[2]), atoi(argv[3]));
}
