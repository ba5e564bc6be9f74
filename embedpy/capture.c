// Capturing what is written to descriptors 1 and 2, by whomever: Python, C code,
// child processes. One process-wide capture; its thread never takes the GIL.
#define _GNU_SOURCE
#include "embedpy.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	PIPE_BYTES = 1 << 20,   // what a writer can write before the thread must have read
	NAP_NS = 1000 * 1000,   // between two reads: one wake-up serves many writes
	MAX_LEFT = 32,          // pipes of children that were left behind
	LAST_WORDS = 16 << 10,  // what a crash shows of each stream
};

typedef struct {
	char *data;
	size_t size, room;
	int truncated;
} stream;

_Atomic int ep_capture_broken; // a descriptor of the capture has been closed

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards what follows
static stream kept[2];
static size_t limit;
static int from[2], to[2] = {-1, -1}, null = -1, spill = -1, wake;
static int left[MAX_LEFT], lefts;
static _Atomic int wanted; // 0: what comes belongs to nobody and goes to spill

static void put(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);
		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
}

// keep adds to a stream as much as its bound leaves room for. lock is held.
static void keep(stream *s, const char *data, size_t size)
{
	if (size > limit - s->size) {
		s->truncated = 1;
		size = limit - s->size;
	}
	if (s->size + size > s->room) {
		size_t room = s->room ? s->room : 4096;
		while (room < s->size + size)
			room *= 2;
		char *more = realloc(s->data, room);
		if (!more) {
			s->truncated = 1;
			return;
		}
		s->data = more;
		s->room = room;
	}
	memcpy(s->data + s->size, data, size);
	s->size += size;
}

// drain reads what is in a pipe, but no more than it holds: a writer may be quicker.
// lock is held. into NULL: it belongs to nobody.
static void drain(int fd, stream *into)
{
	static char chunk[64 << 10];

	for (size_t all = 0; all < PIPE_BYTES; all += sizeof chunk) {
		ssize_t n = read(fd, chunk, sizeof chunk);
		if (n <= 0)
			return;
		if (into && wanted)
			keep(into, chunk, (size_t)n);
		else if (into)
			put(spill, chunk, (size_t)n);
		if ((size_t)n < sizeof chunk)
			return;
	}
}

// drain_left discards what children left behind print, and closes the pipes that
// nobody holds any more. lock is held.
static void drain_left(void)
{
	for (int i = lefts - 1; i >= 0; i--) {
		struct pollfd look = {left[i], POLLIN, 0};
		drain(left[i], NULL);
		if (poll(&look, 1, 0) > 0 && (look.revents & (POLLIN | POLLHUP)) == POLLHUP) {
			close(left[i]);
			left[i] = left[--lefts];
		}
	}
}

static void *reader(void *unused)
{
	static const struct timespec nap = {.tv_nsec = NAP_NS};
	struct pollfd fds[3 + MAX_LEFT];

	ep_slack_return();
	for (;;) {
		nfds_t count = 3;

		pthread_mutex_lock(&lock);
		fds[0] = (struct pollfd){wake, POLLIN, 0};
		for (int i = 0; i < 2; i++)
			fds[1 + i] = (struct pollfd){from[i], POLLIN, 0};
		for (int i = 0; i < lefts; i++)
			fds[count++] = (struct pollfd){left[i], POLLIN, 0};
		pthread_mutex_unlock(&lock);
		if (poll(fds, count, -1) < 0)
			continue;
		pthread_mutex_lock(&lock);
		if (fds[0].revents) {
			uint64_t times;
			(void)!read(wake, &times, sizeof times);
		} else {
			for (int i = 0; i < 2; i++)
				drain(from[i], &kept[i]);
			drain_left();
		}
		pthread_mutex_unlock(&lock);
		nanosleep(&nap, NULL);
	}
	return NULL;
}

// last_words writes what was captured to spill, for a process that is about to
// end: a crash's own message is there. It is async-signal-safe, and takes no lock.
static void last_words(void)
{
	char chunk[4096];
	ssize_t n;

	for (int i = 0; i < 2 && spill >= 0; i++) {
		size_t size = wanted ? kept[i].size : 0, skip = size > LAST_WORDS ? size - LAST_WORDS : 0;
		put(spill, kept[i].data + skip, size - skip);
		while ((n = read(from[i], chunk, sizeof chunk)) > 0)
			put(spill, chunk, (size_t)n);
	}
}

static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
static struct sigaction hosts[sizeof fatal / sizeof *fatal];

// on_fatal is in front of Go's handlers, which need the same arguments.
static void on_fatal(int number, siginfo_t *info, void *context)
{
	int saved = errno;

	last_words();
	errno = saved;
	for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
		if (fatal[i] == number && (hosts[i].sa_flags & SA_SIGINFO) && hosts[i].sa_sigaction) {
			hosts[i].sa_sigaction(number, info, context);
			return;
		}
	signal(number, SIG_DFL);
	raise(number);
}

static void watch_crashes(void)
{
	for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
		sigaction(fatal[i], NULL, &hosts[i]);
		struct sigaction ours = hosts[i];
		ours.sa_sigaction = on_fatal;
		ours.sa_flags |= SA_SIGINFO | SA_ONSTACK;
		sigaction(fatal[i], &ours, NULL);
	}
	atexit(last_words);
}

// make_pipes makes two pipes, or none.
static int make_pipes(int ends[2][2])
{
	if (pipe2(ends[0], O_CLOEXEC) < 0)
		return -1;
	if (pipe2(ends[1], O_CLOEXEC) < 0) {
		close(ends[0][0]);
		close(ends[0][1]);
		return -1;
	}
	for (int i = 0; i < 2; i++) {
		(void)fcntl(ends[i][1], F_SETPIPE_SZ, PIPE_BYTES);
		(void)fcntl(ends[i][0], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

// connect_pipes puts pipes behind descriptors 1 and 2.
static void connect_pipes(int ends[2][2])
{
	for (int i = 0; i < 2; i++) {
		if (to[i] >= 0)
			close(to[i]);
		from[i] = ends[i][0];
		to[i] = ends[i][1];
		(void)dup3(to[i], 1 + i, 0);
	}
}

static int start_reader(void)
{
	sigset_t all, before;
	pthread_t thread;
	int failed;

	sigfillset(&all); // signals are for threads that can do something about them
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&thread, NULL, reader, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		errno = failed;
	return failed ? -1 : 0;
}

// ep_capture_open begins the capture; most bounds what is kept of each stream.
// What belongs to nobody goes to where descriptor 2 has led. Once a process.
// Returns 0, or -1 with errno.
int ep_capture_open(size_t most)
{
	int ends[2][2];

	limit = most;
	spill = fcntl(2, F_DUPFD_CLOEXEC, 3);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (spill < 0 || null < 0 || wake < 0 || dup3(null, 0, 0) < 0 || make_pipes(ends) < 0)
		return -1;
	connect_pipes(ends);
	watch_crashes();
	return start_reader();
}

// ep_capture_log is a descriptor of the log, whatever 1 and 2 are.
int ep_capture_log(void) { return spill >= 0 ? spill : 2; }

// ep_capture_begin: what comes from now on is wanted.
void ep_capture_begin(void) { wanted = 1; }

// repair puts descriptors 0 to 2 back where they led, also those that look right: one
// pipe looks like another, and to look closer costs as much. What is written there waits.
static void repair(void)
{
	dup3(null, 0, 0);
	for (int i = 0; i < 2; i++)
		if (dup3(to[i], 1 + i, 0) < 0 || fcntl(1 + i, F_SETFL, 0) < 0)
			ep_capture_broken = 1;
}

// ep_capture_repair puts descriptors 0 to 2 back where they led, if there is a capture.
void ep_capture_repair(void)
{
	if (to[0] < 0)
		return;
	pthread_mutex_lock(&lock);
	repair();
	pthread_mutex_unlock(&lock);
}

// ep_capture_take ends what ep_capture_begin began, and puts descriptors 0 to 2 back where
// they led. It returns whether there is any output; ep_capture_kept has it until the next begin.
int ep_capture_take(void)
{
	int some;

	if (to[0] < 0)
		return 0;
	fflush(stdout);
	fflush(stderr);
	pthread_mutex_lock(&lock);
	struct pollfd fds[] = {{from[0], POLLIN, 0}, {from[1], POLLIN, 0}};
	repair();
	if (poll(fds, 2, 0) > 0)
		for (int i = 0; i < 2; i++) {
			ep_capture_broken |= fds[i].revents & POLLNVAL;
			drain(from[i], &kept[i]);
		}
	wanted = 0;
	for (int i = 0; i < 2; i++) // a script can have made it small, which is slow and no more
		if (kept[i].size && fcntl(from[i], F_GETPIPE_SZ) < PIPE_BYTES)
			(void)fcntl(from[i], F_SETPIPE_SZ, PIPE_BYTES);
	some = kept[0].size || kept[1].size || kept[0].truncated || kept[1].truncated;
	pthread_mutex_unlock(&lock);
	return some;
}

// ep_capture_kept is what was taken of stream 1 or 2. The caller calls
// ep_capture_clear when it has copied it.
const char *ep_capture_kept(int which, size_t *size, int *truncated)
{
	stream *s = &kept[which - 1];

	*size = s->size;
	*truncated |= s->truncated;
	return s->data;
}

// ep_capture_after copies what was captured of stream 1 or 2 beyond the first skip bytes, at
// most room of it, and returns how much that is. Any thread may call it.
size_t ep_capture_after(int which, size_t skip, char *copy, size_t room)
{
	stream *s = &kept[which - 1];
	size_t size = 0;

	pthread_mutex_lock(&lock);
	if (s->size > skip) {
		size = s->size - skip < room ? s->size - skip : room;
		memcpy(copy, s->data + skip, size);
	}
	pthread_mutex_unlock(&lock);
	return size;
}

void ep_capture_clear(void)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < 2; i++) {
		if (kept[i].room > PIPE_BYTES) {
			free(kept[i].data);
			kept[i] = (stream){0};
		}
		kept[i].size = 0;
		kept[i].truncated = 0;
	}
	pthread_mutex_unlock(&lock);
}

// ep_capture_renew makes new pipes, because somebody may have been left behind who
// holds the old ones; what he writes is discarded.
// Where there are too many of them already, or no descriptors, the pipes stay.
void ep_capture_renew(void)
{
	uint64_t one = 1;
	int ends[2][2];

	pthread_mutex_lock(&lock);
	drain_left();
	if (lefts + 2 <= MAX_LEFT && make_pipes(ends) == 0) {
		left[lefts++] = from[0];
		left[lefts++] = from[1];
		connect_pipes(ends);
	}
	pthread_mutex_unlock(&lock);
	(void)!write(wake, &one, sizeof one);
}
