// Whether a process that has had a task can have another: what nothing can put back, or can be
// put back here alone. In a worker of threads the host sees to the same, which is not in this process.
#define _GNU_SOURCE
#include "embedpy.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	STANDARD = 3,           // descriptors: input, output and errors
	LEAST_FREE = 128,       // descriptors that have to be free, unless that is more than a quarter of all
	LEAST_MEMORY = 4 << 20, // bytes; less than ordinary scripts need
};

static struct {
	struct rlimit limits[RLIM_NLIMITS];
	struct stat files[STANDARD];
	int flags[STANDARD];
	int nice, policy;
} had;

// ep_note_fit is _embedpy.note_fit(): what is so now is what the next task is to find.
PyObject *ep_note_fit(PyObject *self, PyObject *unused)
{
	memset(&had, 0, sizeof had);
	for (int i = 0; i < RLIM_NLIMITS; i++)
		(void)getrlimit(i, &had.limits[i]);
	for (int fd = 0; fd < STANDARD; fd++) {
		(void)fstat(fd, &had.files[fd]);
		had.flags[fd] = fcntl(fd, F_GETFL);
	}
	had.nice = getpriority(PRIO_PROCESS, 0);
	had.policy = sched_getscheduler(0);
	Py_RETURN_NONE;
}

static int same_file(int fd)
{
	struct stat now;

	return !fstat(fd, &now) && now.st_dev == had.files[fd].st_dev && now.st_ino == had.files[fd].st_ino &&
	       (fcntl(fd, F_GETFL) == had.flags[fd] || !fcntl(fd, F_SETFL, had.flags[fd]));
}

static int limits_back(void)
{
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit now, *then = &had.limits[i];

		if (getrlimit(i, &now))
			continue;
		if ((now.rlim_cur != then->rlim_cur || now.rlim_max != then->rlim_max) && setrlimit(i, then))
			return 0;
	}
	return 1;
}

static int has_descriptors(void)
{
	rlim_t all = had.limits[RLIMIT_NOFILE].rlim_cur, free = all / 4 < LEAST_FREE ? all / 4 : LEAST_FREE;
	int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0 && (rlim_t)fd + free < all;
}

static int has_memory(void)
{
	void *some = mmap(NULL, LEAST_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return some != MAP_FAILED && munmap(some, LEAST_MEMORY) == 0;
}

static const char *unfit(void)
{
	ep_standing_check();
	if (ep_standing_lost)
		return "it has given up its user, its root folder or system calls, or has added an audit hook that raises";
	for (int fd = 0; fd < STANDARD; fd++)
		if (!same_file(fd))
			return "it has closed or replaced a standard stream's descriptor";
	if (!limits_back())
		return "it has lowered limits for good";
	if (getpriority(PRIO_PROCESS, 0) != had.nice || sched_getscheduler(0) != had.policy)
		return "it has changed its priority";
	if (!has_descriptors())
		return "it has left hardly any descriptors";
	return has_memory() ? NULL : "it has left hardly any memory";
}

// ep_unfit is _embedpy.unfit(): why the process can't have another task, or None. It puts back what it can.
PyObject *ep_unfit(PyObject *self, PyObject *unused)
{
	const char *why = unfit();

	if (why)
		return PyUnicode_FromString(why);
	Py_RETURN_NONE;
}
