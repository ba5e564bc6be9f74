// What is below the calling process, which is a subreaper (prctl(2)): it also gets whom their parents have left.
#define _GNU_SOURCE
#include "embedpy.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct process {
	pid_t pid, parent;
	int below, over; // below the caller; nothing of it runs any more
};

static struct process *all;
static size_t count, room;

// look_at reads /proc/PID/stat (proc_pid_stat(5)). The first thread of a process may have ended, and be shown as
// a zombie, while others run.
static int look_at(const char *number, struct process *p)
{
	char path[64], content[512], *after;
	int fd, parent, threads = 0;
	char state;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%.20s/stat", number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, content, sizeof content - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return -1;
	content[n] = '\0';
	after = strrchr(content, ')');
	if (!after || sscanf(after + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d", &state, &parent, &threads) != 3)
		return -1;
	*p = (struct process){.pid = atoi(number), .parent = parent, .over = (state == 'Z' || state == 'X') && threads <= 1};
	return 0;
}

static int look(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	count = 0;
	while (proc && (entry = readdir(proc))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		if (count == room) {
			size_t more = room ? 2 * room : 512;
			struct process *larger = realloc(all, more * sizeof *all);
			if (!larger)
				break;
			all = larger;
			room = more;
		}
		if (look_at(entry->d_name, &all[count]) == 0)
			count++;
	}
	if (proc)
		closedir(proc);
	return proc ? 0 : -1;
}

static int by_pid(const void *one, const void *other)
{
	pid_t a = ((const struct process *)one)->pid, b = ((const struct process *)other)->pid;

	return a < b ? -1 : a > b;
}

static struct process *of(pid_t pid)
{
	struct process wanted = {.pid = pid};

	return bsearch(&wanted, all, count, sizeof *all, by_pid);
}

// mark_below marks who is below us.
static void mark_below(void)
{
	pid_t own = getpid();
	int more = 1;

	qsort(all, count, sizeof *all, by_pid);
	while (more) {
		more = 0;
		for (size_t i = 0; i < count; i++) {
			struct process *parent;
			if (all[i].below)
				continue;
			parent = all[i].parent == own ? NULL : of(all[i].parent);
			if (all[i].parent == own || (parent && parent->below))
				all[i].below = more = 1;
		}
	}
}

// hold_back has a process, and what it starts from now on, run on this CPU when nobody else wants to: what forks
// faster than it is found would win for ever.
static void hold_back(pid_t pid)
{
	struct sched_param none = {0};
	cpu_set_t here;
	int cpu = sched_getcpu();

	if (cpu >= 0) {
		CPU_ZERO(&here);
		CPU_SET(cpu, &here);
		(void)sched_setaffinity(pid, sizeof here, &here);
	}
	(void)sched_setscheduler(pid, SCHED_IDLE, &none);
}

// kill_below sends SIGKILL to all that are below us, and returns how many of them may still run. Who has become
// another user is not ours to end, and not counted.
static int kill_below(int hold)
{
	int left = 0;

	if (look() < 0)
		return 0;
	mark_below();
	for (size_t i = 0; i < count; i++) {
		if (!all[i].below || all[i].over)
			continue;
		if (hold)
			hold_back(all[i].pid);
		if (kill(all[i].pid, SIGKILL) == 0)
			left++;
	}
	return left;
}

// ep_reap waits for the children that have ended, without waiting. It returns 0 when there are no others.
int ep_reap(void)
{
	pid_t pid;

	do
		pid = waitpid(-1, NULL, WNOHANG);
	while (pid > 0 || (pid < 0 && errno == EINTR));
	return pid == 0;
}

// ep_is_over: nothing of that child runs any more. It can't be waited for while somebody traces it.
int ep_is_over(pid_t pid)
{
	char number[24];
	struct process p;

	snprintf(number, sizeof number, "%d", (int)pid);
	return look_at(number, &p) < 0 || p.over;
}

enum { FAST = 3, SURE = 20, PASSES = 2000 };

// ep_end_below ends all that is below the calling process, which has one thread. It returns once nothing of that
// runs, or it can't be ended: it is another user's, or the kernel does not let it go.
void ep_end_below(void)
{
	cpu_set_t own;
	int known = sched_getaffinity(0, sizeof own, &own) == 0;

	// What forks and ends at once may be missed by a look. As long as we have children there is something, if only
	// what can't be ended.
	for (int pass = 0, none = 0; ep_reap() && none < SURE && pass < PASSES; pass++) {
		struct timespec moment = {0, pass < FAST ? 100000 : 1000000};
		if (pass == FAST) { // it will have to be quicker than what is on the CPU of its own
			cpu_set_t here;
			CPU_ZERO(&here);
			CPU_SET(sched_getcpu(), &here);
			(void)sched_setaffinity(0, sizeof here, &here);
		}
		none = kill_below(pass >= FAST) ? 0 : none + 1;
		nanosleep(&moment, NULL);
	}
	if (known)
		(void)sched_setaffinity(0, sizeof own, &own);
}
