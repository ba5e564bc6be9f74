// A process of one thread becomes another user's, for good.
#define _GNU_SOURCE
#include "embedpy.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// groups_of fills groups with the numbers of a tuple.
static int groups_of(PyObject *tuple, gid_t **groups, size_t *count)
{
	Py_ssize_t size = PyTuple_Size(tuple);

	if (size < 0 || !(*groups = calloc((size_t)size + 1, sizeof **groups)))
		return -1;
	*count = (size_t)size;
	for (Py_ssize_t i = 0; i < size; i++)
		(*groups)[i] = (gid_t)PyLong_AsUnsignedLong(PyTuple_GetItem(tuple, i));
	return PyErr_Occurred() ? -1 : 0;
}

// without_privileges gives up all capabilities. The kernel takes them only with root's user: from one
// user of its own with capabilities, as the packaged daemon is, to another they are kept.
static int without_privileges(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {{0}};

	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ? -1 : (int)syscall(SYS_capset, &header, none);
}

// ep_become is _embedpy.become(uid, gid, groups). The kernel forgets the signal of the parent's death
// with the change, and whose the pipes of the output are decides who may open /dev/stdout.
PyObject *ep_become(PyObject *self, PyObject *args)
{
	unsigned uid, gid;
	PyObject *tuple;
	gid_t *groups = NULL;
	size_t count;
	pid_t parent = getppid();
	int failed;

	if (!PyArg_ParseTuple(args, "IIO!", &uid, &gid, &PyTuple_Type, &tuple))
		return NULL;
	if (groups_of(tuple, &groups, &count) < 0) {
		free(groups);
		return PyErr_Occurred() ? NULL : PyErr_NoMemory();
	}
	failed = fchown(1, uid, gid) < 0 || fchown(2, uid, gid) < 0 || setgroups(count, groups) < 0 ||
	         setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	         (uid && without_privileges() < 0) || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0;
	free(groups);
	if (failed)
		return PyErr_SetFromErrno(PyExc_OSError);
	(void)prctl(PR_SET_DUMPABLE, 1); // its own files in /proc are its own again
	if (getppid() != parent)
		_exit(1);
	Py_RETURN_NONE;
}
