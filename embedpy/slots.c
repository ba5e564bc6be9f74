// The subreapers of the slots. The template forks two for each slot, and they fork the processes of the slot's
// tasks in turn when the host says so. One has one task's process at a time, so that all that is below it is that
// task's: it ends with the process, while the next task may run below the other.
#define _GNU_SOURCE
#include "embedpy.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PASSED = 3, LOOK_AGAIN_MS = 20 };

// What the host asks: 'F', with three descriptors, to fork; 'S' to send a signal; 'H' to end what hangs:
// it has had the CPU since the last signal, and has not done what that asks. Each packet is one.
struct request {
	int64_t what, signal, serial;
};

// What it is told: 'E', the process has ended, and nothing of it is left; 'X', there is none; 'W', it does not
// hang, but waits for a CPU.
struct report {
	int64_t what, serial, status, user_us, system_us, resident_kib;
};

static struct {
	int64_t serial;
	int64_t delayed; // when the last signal was sent; see delay_of
	pid_t pid;       // 0: there is none
	int killed;
} task;

static sigset_t mask; // that of the template

// ended is called when the process has ended. Its status can't be had while somebody traces it.
static void ended(int sock)
{
	struct report told = {.what = 'E', .serial = task.serial, .status = SIGKILL};
	struct rusage used = {0};
	pid_t pid = task.pid, waited;
	int status = 0;

	kill(-pid, SIGKILL); // its session's first group; nobody else has that number yet
	while ((waited = wait4(pid, &status, WNOHANG, &used)) < 0 && errno == EINTR)
		;
	task.pid = 0;
	ep_end_below();
	if (waited == pid)
		told.status = status;
	told.user_us = (int64_t)used.ru_utime.tv_sec * 1000000 + used.ru_utime.tv_usec;
	told.system_us = (int64_t)used.ru_stime.tv_sec * 1000000 + used.ru_stime.tv_usec;
	told.resident_kib = used.ru_maxrss;
	(void)send(sock, &told, sizeof told, MSG_NOSIGNAL);
}

// reap waits for what has ended, and sees the end of the task's process.
static void reap(int sock)
{
	for (;;) {
		siginfo_t found = {0};
		int none = waitid(P_ALL, 0, &found, WEXITED | WNOHANG | WNOWAIT) < 0 || found.si_pid == 0;

		if (task.pid && (found.si_pid == task.pid || (none && task.killed && ep_is_over(task.pid))))
			ended(sock);
		else if (none)
			return;
		else
			waitpid(found.si_pid, NULL, WNOHANG);
	}
}

// end_all ends everything of the slot, and its process.
static void end_all(void)
{
	ep_end_below();
	_exit(0);
}

static int receive(int sock, struct request *r, int fds[PASSED])
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(PASSED * sizeof(int))];
	} control;
	struct iovec part = {r, sizeof *r};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	ssize_t n = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *first;

	if (n != sizeof *r)
		return n < 0 && errno == EINTR ? 0 : -1;
	first = CMSG_FIRSTHDR(&message);
	for (int i = 0; i < PASSED; i++)
		fds[i] = -1;
	if (first && first->cmsg_type == SCM_RIGHTS && first->cmsg_len == CMSG_LEN(PASSED * sizeof(int)))
		memcpy(fds, CMSG_DATA(first), PASSED * sizeof(int));
	return 1;
}

// begin makes a process that has just been forked one of a task: in a session of its own, and with the
// descriptors that came for it. It ends with its parent.
static void begin(int sock, int signals, pid_t parent, int fds[PASSED])
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(sock);
	close(signals);
	if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 0);
	(void)prctl(PR_SET_NAME, "cpulb-task");
	(void)prctl(PR_SET_DUMPABLE, 1); // it finds itself in /proc, as any process does
	if (null < 0 || dup3(null, 0, 0) < 0 || dup3(fds[1], 1, 0) < 0 || dup3(fds[2], 2, 0) < 0)
		_exit(1);
	close(null);
	close(fds[1]);
	close(fds[2]);
	ep_enclose_task();
	ep_task_socket = fds[0];
	sigprocmask(SIG_SETMASK, &mask, NULL);
}

// fork_one returns 1 in the process that is forked.
static int fork_one(int sock, int signals, int64_t serial, int fds[PASSED])
{
	pid_t parent = getpid(), pid = -1;
	int reason = task.pid ? EBUSY : EMFILE; // without descriptors: there was no room for them

	if (!task.pid && fds[0] >= 0) {
		PyOS_BeforeFork();
		pid = fork();
		reason = errno;
		if (pid == 0) {
			PyOS_AfterFork_Child();
			begin(sock, signals, parent, fds);
			return 1;
		}
		PyOS_AfterFork_Parent();
	}
	for (int i = 0; i < PASSED; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (pid > 0) {
		task.pid = pid;
		task.serial = serial;
		task.delayed = task.killed = 0;
		return 0;
	}
	struct report told = {.what = 'X', .serial = serial, .status = reason};
	(void)send(sock, &told, sizeof told, MSG_NOSIGNAL);
	return 0;
}

// delay_of returns for how long a process has waited for a CPU, in ns; 0 where the kernel does not count.
static int64_t delay_of(pid_t pid)
{
	char path[40], content[80];
	long long ran, waited = 0;
	int fd;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, content, sizeof content - 1);
	if (fd >= 0)
		close(fd);
	content[n > 0 ? n : 0] = '\0';
	return sscanf(content, "%lld %lld", &ran, &waited) == 2 ? waited : 0;
}

static void send_signal(int signal)
{
	if (signal == SIGKILL)
		task.killed = 1, kill(-task.pid, SIGKILL); // its group is there once it has begun
	kill(task.pid, signal);
	task.delayed = delay_of(task.pid);
}

enum { STARVED_NS = 5000000 };

static void end_hung(int sock)
{
	struct report told = {.what = 'W', .serial = task.serial};
	int64_t delayed = delay_of(task.pid);

	if (delayed - task.delayed > STARVED_NS) {
		task.delayed = delayed;
		(void)send(sock, &told, sizeof told, MSG_NOSIGNAL);
	} else {
		send_signal(SIGKILL);
	}
}

// asked does what the host asks. It returns 1 in a process that is forked.
static int asked(int sock, int signals, const struct request *r, int fds[PASSED])
{
	if (r->what == 'F')
		return fork_one(sock, signals, r->serial, fds);
	if (!task.pid || task.serial != r->serial)
		return 0;
	if (r->what == 'S')
		send_signal((int)r->signal);
	else if (r->what == 'H')
		end_hung(sock);
	return 0;
}

// serve is the life of a subreaper; it returns in those that it forks.
static void serve(int sock)
{
	sigset_t child;
	int signals, fds[PASSED];

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &mask);
	signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		_exit(1);
	for (;;) {
		struct pollfd look[] = {{sock, POLLIN, 0}, {signals, POLLIN, 0}};
		struct signalfd_siginfo info;
		struct request r;
		int got;

		// No signal comes of the end of what somebody traces.
		if (poll(look, 2, task.pid && task.killed ? LOOK_AGAIN_MS : -1) < 0)
			continue;
		(void)!read(signals, &info, sizeof info);
		reap(sock);
		if (!look[0].revents)
			continue;
		got = receive(sock, &r, fds);
		if (got < 0)
			end_all();
		if (got && asked(sock, signals, &r, fds))
			return;
	}
}

// ep_slots is _embedpy.slots(control, count): the sockets of count subreapers follow control, the template's own.
// It returns the subreaper's index in a process of a task, and -1 in the template.
PyObject *ep_slots(PyObject *self, PyObject *args)
{
	int control, count;

	if (!PyArg_ParseTuple(args, "ii", &control, &count))
		return NULL;
	for (int i = 0; i < count; i++) {
		pid_t pid;

		PyOS_BeforeFork();
		pid = fork();
		if (pid == 0) {
			PyOS_AfterFork_Child();
			for (int other = control; other <= control + count; other++)
				if (other != control + 1 + i)
					close(other);
			(void)prctl(PR_SET_NAME, "cpulb-slot");
			ep_enclose_slot();
			serve(control + 1 + i);
			return PyLong_FromLong(i);
		}
		PyOS_AfterFork_Parent();
		if (pid < 0)
			return PyErr_SetFromErrno(PyExc_OSError);
	}
	for (int i = 0; i < count; i++)
		close(control + 1 + i);
	return PyLong_FromLong(-1);
}
