// Walls around the processes of tasks: mounts and a network of their own, and a filter of system
// calls. All of it is for processes of one thread.
//
// A slot's process takes what its tasks have in common (ep_enclose_slot): a network without
// interfaces and mounts that nobody can write to. Making these takes longer than a fork, and is on
// no task's way there. Each task's process then has its own /tmp (ep_enclose_task), and loses what
// would undo this (ep_enclose_seal), after the last change of its user and before any script.
//
// Each task's process ends up in a user namespace of its own, whoever it runs as: the walls are around a
// process, and one of the same user that stands elsewhere would be a way around them, by its /proc/PID/root
// and its memory, were it in the same one. Users but the process's own have no number there. Where
// there is no CAP_SYS_ADMIN, such a namespace also gives what building the walls takes.
#define _GNU_SOURCE
#include "embedpy.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// How much each folder that private_tmp gives may hold.
#define FOLDER_SIZE "size=256m,nr_inodes=65536,mode=1777"

static struct {
	int private_tmp, no_network, read_only;
	struct sock_fprog filter; // len 0: none
} wanted;

static int other_users; // the processes change their user

// Their walls are all built at the last step, for lack of CAP_SYS_ADMIN: within a user namespace that was
// made before they could become nobody else.
static int late;

enum { EP_WHY = 256 };

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

// failed writes what could not be done, and leaves errno as it is.
static int failed(char *why, const char *option, const char *what)
{
	snprintf(why, EP_WHY, "%s: %s: %s", option, what, strerror(errno));
	return -1;
}

// first is one of the options that are wanted; NULL: none is.
static const char *first(void)
{
	return wanted.private_tmp  ? "private_tmp"
	       : wanted.read_only  ? "read_only"
	       : wanted.no_network ? "network"
	       : wanted.filter.len ? "system_calls"
				   : NULL;
}

// proc is a descriptor of /proc from before the mounts became read-only; -1: none. The script never has it.
static int proc = -1;

static int hold_proc(char *why)
{
	if (proc < 0)
		proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return proc < 0 ? failed(why, first(), "/proc") : 0;
}

static int write_proc(const char *path, const char *text)
{
	int fd = openat(proc, path, O_WRONLY | O_CLOEXEC);
	int written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int reason = errno;

	if (fd >= 0)
		close(fd);
	errno = reason;
	return written ? 0 : -1;
}

static int may(int capability)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}};

	return syscall(SYS_capget, &header, data) == 0 &&
	       data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

// map_users gives the process its own user and group in its user namespace.
static int map_users(char *why, uid_t uid, gid_t gid)
{
	char map[64];

	snprintf(map, sizeof map, "%u %u 1", uid, uid);
	if (write_proc("self/uid_map", map) < 0)
		return failed(why, first(), "/proc/self/uid_map");
	if (write_proc("self/setgroups", "deny") < 0)
		return failed(why, first(), "/proc/self/setgroups");
	snprintf(map, sizeof map, "%u %u 1", gid, gid);
	if (write_proc("self/gid_map", map) < 0)
		return failed(why, first(), "/proc/self/gid_map");
	return 0;
}

// own_users puts the process into a user namespace of its own, in which it may mount.
static int own_users(char *why)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int dumpable = prctl(PR_GET_DUMPABLE), mapped;

	if (hold_proc(why) < 0)
		return -1;
	if (unshare(CLONE_NEWUSER) < 0)
		return failed(why, first(), "the kernel gives the user no user namespace");
	// The files of a process that is not dumpable are root's (proc_pid(5)).
	if (prctl(PR_SET_DUMPABLE, 1) < 0)
		return failed(why, first(), "the process can't be made dumpable");
	mapped = map_users(why, uid, gid);
	if (dumpable != 1 && prctl(PR_SET_DUMPABLE, 0) < 0)
		return failed(why, first(), "the process stays dumpable");
	return mapped;
}

// loopback_up is best effort: a network without it is one, too.
static void loopback_up(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	(void)ioctl(fd, SIOCSIFFLAGS, &lo);
	close(fd);
}

// own_mounts leaves everybody else's mounts as they are from now on, and those of others don't come here.
static int own_mounts(char *why, const char *option)
{
	if (unshare(CLONE_NEWNS) < 0)
		return failed(why, option, "the kernel gives no mounts of its own");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return failed(why, option, "the mounts can't be made private");
	return 0;
}

static int all_read_only(char *why)
{
	// As struct mount_attr of linux/mount.h, which not every C library has.
	struct {
		uint64_t set, clear, propagation, users;
	} attributes = {.set = MS_RDONLY}; // MOUNT_ATTR_RDONLY has the same value

	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof attributes) < 0)
		return failed(why, "read_only", "the mounts can't be made read-only (it takes Linux 5.12)");
	return 0;
}

// Each of the next returns -1 if it fails: why says which option can't be had, and the reason.
static int wall_slot(char *why)
{
	if (!wanted.private_tmp && !wanted.no_network && !wanted.read_only)
		return 0;
	if (hold_proc(why) < 0 || (!may(CAP_SYS_ADMIN) && own_users(why) < 0))
		return -1;
	if (wanted.no_network) {
		if (unshare(CLONE_NEWNET) < 0)
			return failed(why, "network", "the kernel gives no network of its own");
		loopback_up();
	}
	if ((wanted.private_tmp || wanted.read_only) && own_mounts(why, first()) < 0)
		return -1;
	return wanted.read_only ? all_read_only(why) : 0;
}

static int own_folder(char *why, const char *path)
{
	struct stat found;

	if (stat(path, &found) < 0 && errno == ENOENT)
		return 0; // and nobody can make it but root
	if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, FOLDER_SIZE) < 0)
		return failed(why, "private_tmp", path);
	return 0;
}

static int wall_task(char *why)
{
	if (!wanted.private_tmp)
		return 0;
	if (own_mounts(why, "private_tmp") < 0 || own_folder(why, "/tmp") < 0 || own_folder(why, "/var/tmp") < 0 ||
	    own_folder(why, "/dev/shm") < 0)
		return -1;
	return 0;
}

// drop takes all capabilities. Those that the process has of its namespace could not undo a wall, but
// there is nothing that a script needs them for.
static int drop(char *why)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {{0}};

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int c = 0; prctl(PR_CAPBSET_DROP, c, 0, 0, 0) == 0; c++)
		;
	if (syscall(SYS_capset, &header, none) < 0)
		return failed(why, first(), "the capabilities can't be dropped");
	return 0;
}

static int seal(char *why)
{
	if (!first())
		return 0;
	if (own_users(why) < 0)
		return -1;
	if (late && (wall_slot(why) < 0 || wall_task(why) < 0))
		return -1;
	close(proc);
	proc = -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed(why, first(), "no_new_privs");
	if (drop(why) < 0)
		return -1;
	if (wanted.filter.len && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &wanted.filter) < 0)
		return failed(why, wanted.no_network ? "network" : "system_calls", "the kernel takes no filter of system calls");
	return 0;
}

static int enclose_slot(char *why) { return late ? 0 : wall_slot(why); }

static int enclose_task(char *why) { return late ? 0 : wall_task(why); }

static int (*const steps[])(char *why) = {enclose_slot, enclose_task, seal};

enum { SLOT, TASK, SEAL, STEPS };

// take ends a process that would be without its walls; its log says why.
static void take(int step)
{
	char why[EP_WHY];

	if (steps[step](why) == 0)
		return;
	(void)!write(2, why, strlen(why));
	(void)!write(2, "\n", 1);
	_exit(1);
}

// ep_enclose_slot walls a slot's process in.
void ep_enclose_slot(void) { take(SLOT); }

// ep_enclose_task gives a task's process what it shares with no other.
void ep_enclose_task(void) { take(TASK); }

// ep_enclose_seal makes it final; the process has the user that the script is to have.
void ep_enclose_seal(void) { take(SEAL); }

// ep_wall_in is _embedpy.wall_in(step): the same, for who has a process of one thread. It raises OSError.
PyObject *ep_wall_in(PyObject *self, PyObject *step)
{
	char why[EP_WHY];
	long which = PyLong_AsLong(step);

	if (which < 0 || which >= STEPS) {
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_ValueError, "wall_in: 0: of the slot, 1: of the task, 2: seal");
		return NULL;
	}
	if (steps[which](why) < 0) {
		PyErr_SetString(PyExc_OSError, why);
		return NULL;
	}
	Py_RETURN_NONE;
}

// as_anybody has the process be one that may nothing, as those are who are to get the walls: what the kernel
// gives root, it may refuse them.
static int as_anybody(char *why)
{
	enum { NOBODY = 65534 };

	if (!other_users)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0 ||
	    prctl(PR_SET_DUMPABLE, 1) < 0)
		return failed(why, first(), "the user can't be changed");
	return 0;
}

// try_all builds the walls in a child, once, for those who are to get them. -1: why says what is missing.
static int try_all(char *why)
{
	int ends[2], status;
	ssize_t n = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return failed(why, "isolation", "pipe");
	pid = fork();
	if (pid == 0) {
		int bad = enclose_slot(why) < 0 || enclose_task(why) < 0 || as_anybody(why) < 0 || seal(why) < 0;
		if (bad)
			(void)!write(ends[1], why, strlen(why));
		_exit(bad);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return failed(why, "isolation", "fork");
	}
	while ((n = read(ends[0], why, EP_WHY - 1)) < 0 && errno == EINTR)
		;
	why[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (n <= 0)
		snprintf(why, EP_WHY, "system_calls: the process that tried it has ended (wait status %d)", status);
	return -1;
}

// ep_enclose is _embedpy.enclose(private_tmp, network, read_only, filter, other_users): the walls of the processes
// that are forked from now on. It raises OSError, with the option that this kernel or user can't have.
PyObject *ep_enclose(PyObject *self, PyObject *args)
{
	int network;
	const char *filter; // its instructions, as the kernel has them
	Py_ssize_t size;
	char why[EP_WHY];

	if (!PyArg_ParseTuple(args, "pppy#p", &wanted.private_tmp, &network, &wanted.read_only, &filter, &size, &other_users))
		return NULL;
	wanted.no_network = !network;
	late = other_users && !may(CAP_SYS_ADMIN);
	wanted.filter.len = (unsigned short)(size / (Py_ssize_t)sizeof *wanted.filter.filter);
	if (size > 0) {
		wanted.filter.filter = malloc((size_t)size);
		if (!wanted.filter.filter)
			return PyErr_NoMemory();
		memcpy(wanted.filter.filter, filter, (size_t)size);
	}
	if (try_all(why) < 0) {
		PyErr_SetString(PyExc_OSError, why);
		return NULL;
	}
	Py_RETURN_NONE;
}
