// Opening files beneath a folder, whatever links there are.
#include "embedpy.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

// ep_open_beneath is _embedpy.open_beneath(folder, path): a descriptor of path,
// opened for reading, relative to the folder's descriptor and never outside of it
// (openat2(2), RESOLVE_BENEATH): neither "..", nor a symbolic link, nor a rename
// meanwhile leads out; OSError EXDEV tells of one that would. The caller closes it.
PyObject *ep_open_beneath(PyObject *self, PyObject *args)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
	                       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	PyObject *path, *name;
	int folder;
	long fd;

	if (!PyArg_ParseTuple(args, "iO", &folder, &path) || !PyUnicode_FSConverter(path, &name))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	fd = syscall(SYS_openat2, folder, PyBytes_AsString(name), &how, sizeof how);
	Py_END_ALLOW_THREADS
	Py_DECREF(name);
	if (fd < 0)
		return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
	return PyLong_FromLong(fd);
}
