// What the kernel keeps for a thread and Python knows nothing of: who it is, where "/" is,
// and what it may still ask for. A script that gives any of it up can't get it back, and
// whatever runs on the thread after it fails, of no fault of its own.
#undef Py_LIMITED_API
#define _GNU_SOURCE
#include "embedpy.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_GROUPS = 64 };

// rights are what a thread may ask for.
struct rights {
	int uid, gid, seccomp, no_new_privileges, count;
	gid_t groups[MAX_GROUPS];
};

static struct rights first;
static struct ep_folder root;
static atomic_int known, hooks;
_Atomic int ep_standing_lost;
static int bound; // nobody here can change who the thread is, or where "/" is

// ep_folder_look says which folder path is; "" is the working one. Where nobody can change
// what "/" is, a path from there says as much, and it says nothing.
void ep_folder_look(const char *path, struct ep_folder *found)
{
	struct statx about;
	int flags = AT_STATX_DONT_SYNC | (*path ? 0 : AT_EMPTY_PATH);

	memset(found, 0, sizeof *found);
	if (!bound && !statx(AT_FDCWD, path, flags, STATX_INO | STATX_MNT_ID, &about))
		*found = (struct ep_folder){about.stx_ino, about.stx_mnt_id, about.stx_dev_major, about.stx_dev_minor};
}

// is_bound reports whether the process has neither a capability nor another user or group to
// change to. One of several threads can't enter a user namespace, where it would have some.
static int is_bound(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct caps[2] = {{.permitted = 1}};
	uid_t u[3];
	gid_t g[3];

	return !syscall(SYS_capget, &head, caps) && !(caps[0].permitted | caps[1].permitted) &&
	       !getresuid(&u[0], &u[1], &u[2]) && u[0] == u[1] && u[1] == u[2] &&
	       !getresgid(&g[0], &g[1], &g[2]) && g[0] == g[1] && g[1] == g[2];
}

// look comes after each task, so it leaves out what can't change. The id for files is the
// one that decides what can be opened; it follows the effective one, unless it is set by itself.
static void look(struct rights *s)
{
	memset(s, 0, sizeof *s);
	s->no_new_privileges = first.no_new_privileges == 1 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	s->seccomp = prctl(PR_GET_SECCOMP);
	if (bound)
		return;
	s->uid = setfsuid((uid_t)-1); // which changes nothing, and returns what it is
	s->gid = setfsgid((gid_t)-1);
	s->count = getgroups(MAX_GROUPS, s->groups);
}

// refused reports whether an audit hook that a script has added, and that can't be taken
// out, raises at anything, or at the opening of a file, as every script's start needs.
static int refused(void)
{
	PyObject *type, *value, *trace;
	int raised;

	if (!hooks)
		return 0;
	PyErr_Fetch(&type, &value, &trace);
	raised = PySys_Audit("cpulb.task_ended", NULL) < 0 || PySys_Audit("open", "ssi", "/", "r", O_RDONLY | O_CLOEXEC) < 0;
	PyErr_Clear();
	PyErr_Restore(type, value, trace);
	return raised;
}

// ep_standing_note takes what is so now, the first time, as what is to be.
void ep_standing_note(void)
{
	if (!known) {
		bound = is_bound();
		look(&first);
		ep_folder_look("/", &root);
		known = 1;
	}
}

// ep_standing_hooked notes that an audit hook is being added.
void ep_standing_hooked(void) { hooks = known; }

// ep_standing_glance looks at what the calling thread may ask for; GIL held. It comes after each
// task, however short: one system call is enough to give all of it up.
void ep_standing_glance(void)
{
	struct rights now;

	if (!known || ep_standing_lost)
		return;
	look(&now);
	ep_standing_lost = memcmp(&now, &first, sizeof now) != 0 || refused();
}

// ep_standing_check looks also where "/" is. Whoever has looked at the working folder need not:
// see ep_changed.
void ep_standing_check(void)
{
	struct ep_folder now;

	ep_standing_glance();
	if (!known || ep_standing_lost)
		return;
	ep_folder_look("/", &now);
	ep_standing_lost = memcmp(&now, &root, sizeof now) != 0;
}
