// The processes of the slots. The template forks one for each slot, and that one forks the processes
// of the slot's tasks when the host says so: each is a child of the slot's, with all that it has left.
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

enum { MOST = 8, PASSED = 3 };

// What the host asks: 'F', with three descriptors, to fork; 'S' to send a signal; 'H' to end what hangs:
// it has had the CPU since the last signal, and has not done what that asks. Each packet is one.
struct request {
	int64_t what, signal, serial;
};

// What it is told: 'E', a process has ended, and nothing of it is left; 'X', there is none; 'W', it does not
// hang, but waits for a CPU.
struct report {
	int64_t what, serial, status, user_us, system_us, resident_kib;
};

static struct {
	int64_t serial, began, delayed; // when the last signal was sent; see delay_of
	pid_t pid; // 0: a free place
} processes[MOST];

static sigset_t mask; // that of the template

static int place_of(pid_t pid)
{
	for (int i = 0; i < MOST; i++)
		if (processes[i].pid == pid)
			return i;
	return -1;
}

static int killed;

static void kill_one(pid_t pid)
{
	if (place_of(pid) >= 0)
		return;
	killed = 1;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

// kill_left ends the children that are no process of a task, until there are none: what tasks have left
// behind comes here, with its own children once it has ended. It began after pid, age_ns ago.
static void kill_left(pid_t pid, int64_t age_ns)
{
	do {
		killed = 0;
		ep_children(pid, age_ns, kill_one);
	} while (killed);
}

// end_of is called for a process that has ended and is to be waited for.
static void end_of(int sock, int place)
{
	struct report told = {.what = 'E', .serial = processes[place].serial};
	pid_t pid = processes[place].pid;
	struct rusage used;
	int status = 0;

	kill(-pid, SIGKILL); // its session's first group; nobody else has that number yet
	while (wait4(pid, &status, 0, &used) < 0 && errno == EINTR)
		;
	processes[place].pid = 0;
	kill_left(pid, ep_clock_ns(CLOCK_MONOTONIC) - processes[place].began);
	told.status = status;
	told.user_us = (int64_t)used.ru_utime.tv_sec * 1000000 + used.ru_utime.tv_usec;
	told.system_us = (int64_t)used.ru_stime.tv_sec * 1000000 + used.ru_stime.tv_usec;
	told.resident_kib = used.ru_maxrss;
	(void)send(sock, &told, sizeof told, MSG_NOSIGNAL);
}

static void reap(int sock)
{
	for (;;) {
		siginfo_t ended = {0};

		if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) < 0 || ended.si_pid == 0)
			return;
		int place = place_of(ended.si_pid);
		if (place >= 0)
			end_of(sock, place);
		else
			waitpid(ended.si_pid, NULL, WNOHANG);
	}
}

// end_all ends everything of the slot, and its process.
static void end_all(void)
{
	for (int i = 0; i < MOST; i++)
		if (processes[i].pid) {
			kill(-processes[i].pid, SIGKILL);
			kill(processes[i].pid, SIGKILL);
			processes[i].pid = 0;
		}
	kill_left(1, INT64_MAX);
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
	int place = place_of(0);

	if (place >= 0 && fds[0] >= 0) {
		PyOS_BeforeFork();
		pid = fork();
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
		processes[place].pid = pid;
		processes[place].serial = serial;
		processes[place].began = ep_clock_ns(CLOCK_MONOTONIC);
		return 0;
	}
	struct report told = {.what = 'X', .serial = serial, .status = errno};
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

static void send_signal(const struct request *r)
{
	for (int i = 0; i < MOST; i++)
		if (processes[i].pid && processes[i].serial == r->serial) {
			if (r->signal == SIGKILL)
				kill(-processes[i].pid, SIGKILL);
			kill(processes[i].pid, (int)r->signal);
			processes[i].delayed = delay_of(processes[i].pid);
		}
}

enum { STARVED_NS = 5000000 };

static void end_hung(int sock, const struct request *r)
{
	for (int i = 0; i < MOST; i++)
		if (processes[i].pid && processes[i].serial == r->serial) {
			struct report told = {.what = 'W', .serial = r->serial};
			int64_t delayed = delay_of(processes[i].pid);

			if (delayed - processes[i].delayed > STARVED_NS) {
				processes[i].delayed = delayed;
				(void)send(sock, &told, sizeof told, MSG_NOSIGNAL);
				continue;
			}
			kill(-processes[i].pid, SIGKILL);
			kill(processes[i].pid, SIGKILL);
		}
}

// serve is the life of a slot's process; it returns in those that it forks.
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
		struct request r;

		if (poll(look, 2, -1) < 0)
			continue;
		if (look[1].revents) {
			struct signalfd_siginfo info;
			(void)!read(signals, &info, sizeof info);
			reap(sock);
		}
		if (!look[0].revents)
			continue;
		int got = receive(sock, &r, fds);
		if (got < 0)
			end_all();
		if (got && r.what == 'S')
			send_signal(&r);
		else if (got && r.what == 'H')
			end_hung(sock, &r);
		else if (got && fork_one(sock, signals, r.serial, fds))
			return;
	}
}

// ep_slots is _embedpy.slots(control, count): the sockets of the slots follow control, the template's own.
// It returns the slot's index in a process of a task, and -1 in the template.
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
