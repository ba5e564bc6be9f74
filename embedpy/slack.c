// How exact the timers of the process's threads are. The kernel lets a thread's timers be
// late by its timer slack, 50 µs for most, so that several can end in one wake-up.
//
// Go's monitor thread sleeps for 20 µs at a time as long as the program is busy; with the
// ordinary slack it wakes some ten thousand times a second, which costs as much CPU as
// every tenth task. It could be told to wake less often in no other way. A thread has its
// slack from the one that starts it, so the first one gets a large one before Go has
// started any; each thread that may run Python code, or start others that do, takes the
// process's own back (ep_slack_return). Go's own timers may be late by it, too.
//
// This is for a process that the daemon has started, as its variable tells: another one,
// of a test, may start processes from any of its threads, which would have the large one.
#include "embedpy.h"
#include <stdlib.h>
#include <sys/prctl.h>

enum { HOST_SLACK_NS = 1000 * 1000 };

static const char started_by_daemon[] = "CPULB_EXECUTOR"; // plugins.Handshake has it

static int own; // the slack that the process has begun with

__attribute__((constructor)) static void widen(void)
{
	if (!getenv(started_by_daemon))
		return;
	own = prctl(PR_GET_TIMERSLACK);
	if (own > 0 && own < HOST_SLACK_NS)
		(void)prctl(PR_SET_TIMERSLACK, HOST_SLACK_NS);
}

// ep_slack_return gives the calling thread, and those that it starts from now on, the
// slack that the process has begun with.
void ep_slack_return(void)
{
	if (own > 0)
		(void)prctl(PR_SET_TIMERSLACK, own);
}
