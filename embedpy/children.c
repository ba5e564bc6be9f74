// The children of the calling process, also those that have come to it because their parent ended. Not
// every kernel lists them, and to look at every process takes longer than a small task. A child of a
// task is younger than its process: if few have begun since then, it is among these.
#define _GNU_SOURCE
#include "embedpy.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FEW = 256, MANY_NUMBERS = 1 << 20 };

static const int64_t safe_ns = 10000000000; // less than it takes to come round to the same number

static long number_in(const char *path, int field)
{
	char content[512], *at = content;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, content, sizeof content - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return -1;
	content[n] = '\0';
	if (field == 0)
		return atol(at);
	at = strrchr(content, field == 4 ? ' ' : ')'); // of /proc/loadavg the last; of stat what follows the name
	if (!at)
		return -1;
	return field == 4 ? atol(at) : strlen(at) > 4 ? atol(at + 4) : -1;
}

// is_child: the number of the parent is the second field after the name.
static int is_child(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	return number_in(path, 1) == getpid();
}

static void look_at_all(void (*found)(pid_t))
{
	DIR *all = opendir("/proc");
	struct dirent *entry;

	while (all && (entry = readdir(all)))
		if (atoi(entry->d_name) > 0 && is_child(atoi(entry->d_name)))
			found(atoi(entry->d_name));
	if (all)
		closedir(all);
}

// ep_children calls found with each child that may be younger than pid, which is age_ns old.
void ep_children(pid_t pid, int64_t age_ns, void (*found)(pid_t))
{
	static long numbers;
	long last = number_in("/proc/loadavg", 4);

	if (!numbers)
		numbers = number_in("/proc/sys/kernel/pid_max", 0);
	if (last < pid || last - pid > FEW || numbers < MANY_NUMBERS || age_ns > safe_ns) {
		look_at_all(found);
		return;
	}
	for (long next = (long)pid + 1; next <= last; next++)
		if (is_child((pid_t)next))
			found((pid_t)next);
}
