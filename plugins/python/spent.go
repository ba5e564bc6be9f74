package python

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"cpulb/embedpy"
	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// A script can leave the process as one in which nothing can be run any more. The runtime
// says so when it can't put something back (report.spend), and the host looks at what it
// stands on itself: that a descriptor can be had, that the captured output still
// comes, and that the thread is who and where it was (embedpy.Displaced). The task's outcome says then that the worker is spent.

// kindSpent is the event of report.spend.
const kindSpent = 20

// leastFree is how many descriptors have to be free after a task of an exclusive worker,
// unless that is more than a quarter of all that it may have.
const leastFree = 128

const (
	// looksForDescriptors is less than scripts take, all that have run since somebody looked,
	// to use up what is left of them. Looking costs some hundred nanoseconds.
	looksForDescriptors = 50 * time.Microsecond
	// looksForMemory is less than they take to use up the memory. One that meets the
	// bound raises MemoryError.
	looksForMemory = time.Millisecond
	// leastMemory is less than ordinary scripts need.
	leastMemory = 4 << 20
)

// spend marks o if the worker is not to have another task.
func (e *Executor) spend(o *plugins.Outcome) {
	if embedpy.Displaced() && !e.spent.Swap(true) && e.conf.Log != nil {
		e.conf.Log.Warn("no further task can be run here", "reason", "a script has given up its user, its root folder or system calls, or has added an audit hook that raises")
	}
	fault := o.Fault != plugins.NoFault
	descriptors := e.sinceDescriptors.reached(o.RunTime, looksForDescriptors) || fault
	memory := e.sinceMemory.reached(o.RunTime, looksForMemory) || o.Error != nil
	if descriptors || memory || e.capture != nil && e.capture.Broken() {
		e.lookAround(descriptors, memory)
	}
	o.Spent = e.spent.Load()
}

// ran is for how long scripts have run since something was looked at.
type ran struct{ nanoseconds atomic.Int64 }

// reached adds what a task has taken. It reports whether that makes at least bound, and then
// begins anew.
func (r *ran) reached(took, bound time.Duration) bool {
	if r.nanoseconds.Add(int64(took)) < int64(bound) {
		return false
	}
	r.nanoseconds.Store(0)
	return true
}

// lookAround notes it when the process lacks something for further tasks.
func (e *Executor) lookAround(descriptors, memory bool) {
	why := ""
	if e.capture != nil && e.capture.Broken() {
		why = "the pipes of the captured output have been closed"
	}
	if descriptors && why == "" {
		why = e.lacks()
	}
	if memory && why == "" && !hasMemory() {
		why = "hardly any memory is left"
	}
	if why == "" {
		return
	}
	if e.conf.Log != nil {
		e.conf.Log.Warn("no further task can be run here", "reason", why)
	}
	e.spent.Store(true)
}

// hasMemory reports whether leastMemory can be had. What a task has left behind may have
// used up what pool.memory allows; then all that follow would fail.
func hasMemory() bool {
	some, err := unix.Mmap(-1, 0, leastMemory, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	return err == nil && unix.Munmap(some) == nil
}

// lacks says which descriptors the process lacks for further tasks; "": none.
func (e *Executor) lacks() string {
	free := uint64(0)
	if e.exclusive() { // in a shared one they may be those of tasks that run
		free = min(leastFree, e.descriptors.Cur/4)
	}
	if canOpen(free) {
		return ""
	}
	e.restoreDescriptors()
	if !canOpen(free) {
		return "no descriptors are left"
	}
	return ""
}

// canOpen reports whether a descriptor can be had, with as many beyond it.
func canOpen(free uint64) bool {
	fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	if err == unix.EBADF { // it has been closed, which is put right elsewhere
		fd, err = unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return false
	}
	unix.Close(fd)
	var limit unix.Rlimit
	return unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || uint64(fd)+free < limit.Cur
}

// restoreDescriptors raises the limit to what it was, as far as that is allowed.
func (e *Executor) restoreDescriptors() {
	if unix.Prlimit(0, unix.RLIMIT_NOFILE, &e.descriptors, nil) == nil {
		return
	}
	var now unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &now) == nil {
		now.Cur = min(e.descriptors.Cur, now.Max)
		_ = unix.Prlimit(0, unix.RLIMIT_NOFILE, &now, nil) // or canOpen says so
	}
}

// probes are the scripts that a probe runs: for a thread, and for the loop.
type probes struct{ thread, loop string }

func (e *Executor) installProbes() error {
	e.probes = probes{filepath.Join(e.sources.dir, "probe.py"), filepath.Join(e.sources.dir, "probe_of_loop.py")}
	if err := os.WriteFile(e.probes.thread, []byte("def main(params, context):\n    return params\n"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(e.probes.loop, []byte("async def main(params, context):\n    return params\n"), 0o600)
}

// asProbe is the task that a probe runs. The file has a new time, so that it is opened and
// loaded as any script would be.
func asProbe(t *plugins.Task, path string) *plugins.Task {
	probe := *t
	probe.ScriptPath, probe.Source, probe.Function = path, "", "main"
	now := time.Now()
	_ = os.Chtimes(path, now, now) // if it is gone, the probe fails
	return &probe
}
