package exec

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"cpulb/plugins/reaper"

	"golang.org/x/sys/unix"
)

// keeperSocket is the descriptor of a keeper's connection to its worker.
const keeperSocket = 3

// keeper is a process that runs a slot's programs, one after the other. It is a subreaper
// (prctl(2)): whatever a program starts stays below it, whichever parents, session and
// environment that gives up, and nothing else is there.
type keeper struct {
	exe    string
	task   kept
	caller bool  // whoever it runs gets no privileges any more
	left   int64 // 1: the last endBelow has given up
}

// kept is what a keeper runs; pid is 0 if it is nothing.
type kept struct {
	serial int64
	pid    int
	pidfd  int
	failed int // the end of a pipe on which begin says why the program can't be executed; -1: none
	status unix.WaitStatus
	waited bool // and status is known
	cpu    time.Duration
}

// reapEvery is how often a keeper waits for what its program has left behind and has ended
// since. A signal for each would keep it busy when it has to be quicker than what forks on and
// on; the end of the program itself shows by its pidfd, also when somebody traces it.
const reapEvery = time.Second

// Keep is the life of a keeper. It is called on the process's first thread, to which the
// caller is locked: that thread's end is what a program's death signal means.
func Keep() error {
	k := &keeper{exe: "/proc/self/exe", caller: len(os.Args) > 2 && os.Args[2] == keepsForCallers}
	if err := k.prepare(); err != nil {
		return err
	}
	for {
		fds := []unix.PollFd{{Fd: keeperSocket, Events: unix.POLLIN}, {Fd: -1, Events: unix.POLLIN}}
		timeout := -1
		if k.task.pid != 0 {
			fds[1].Fd, timeout = int32(k.task.pidfd), int(reapEvery.Milliseconds())
		}
		n, err := unix.Poll(fds, timeout)
		if err != nil {
			continue
		}
		if fds[1].Revents != 0 { // before it is waited for, and its number can be another's
			k.ended()
		} else if n == 0 {
			k.reap()
		}
		if k.task.waited {
			k.ended()
		}
		if fds[0].Revents != 0 {
			if err := k.serve(); err != nil {
				k.endBelow()
				return nil
			}
		}
	}
}

func (k *keeper) prepare() error {
	// Also what has come from whoever started the daemon.
	if err := unix.CloseRange(keeperSocket, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		unix.CloseOnExec(keeperSocket)
	}
	_ = os.WriteFile("/proc/self/comm", []byte("cpulb-keeper"), 0) // cosmetic
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("subreaper: %w", err)
	}
	if k.caller {
		// From one user of its own with capabilities, as the packaged daemon is, to another they
		// are kept; what the ambient set does not have is gone with the next execve.
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
			return fmt.Errorf("ambient capabilities: %w", err)
		}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("no new privileges: %w", err)
		}
	}
	// Programs of this user are not to read this process's memory, or to take its descriptors.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("dumpable: %w", err)
	}
	haveThreads(4)
	return nil
}

// haveThreads makes Go have so many threads beyond those it runs on, which it keeps. Where a
// task has used up the processes that there may be, none can be had.
func haveThreads(n int) {
	var pair [2]int
	if unix.Pipe2(pair[:], unix.O_CLOEXEC) != nil {
		return
	}
	blocked := make(chan struct{})
	var ended sync.WaitGroup
	for range n {
		ended.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			blocked <- struct{}{}
			_, _ = unix.Read(pair[0], make([]byte, 1))
		})
	}
	for range n {
		<-blocked
	}
	unix.Close(pair[1])
	ended.Wait()
	unix.Close(pair[0])
}

// serve does what the worker asks; an error: it has gone.
func (k *keeper) serve() error {
	var a ask
	fds, err := receive(keeperSocket, &a)
	if err == unix.EINTR {
		return nil
	}
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	switch {
	case err != nil:
		return err
	case a.what == askRun:
		return k.run(a.serial, fds)
	case k.task.pid == 0 || k.task.serial != a.serial:
	case a.what == askTerminate:
		k.reap()
		if reaper.SignalBelow(unix.SIGTERM, unix.SIGCONT) != nil { // who is stopped notices nothing else
			_ = unix.Kill(-k.task.pid, unix.SIGTERM)
		}
	case a.what == askKill:
		k.kill()
	}
	return nil
}

// run starts the program that the worker asks for.
func (k *keeper) run(serial int64, fds []int) error {
	k.task = kept{serial: serial, failed: -1}
	o, err := orderOf(fds)
	if err != nil {
		number, _ := err.(syscall.Errno)
		return send(keeperSocket, answer{what: saysRefused, serial: serial, status: int64(number), stage: atFork})
	}
	if stage, err := k.start(o, fds); err != nil {
		number, _ := err.(syscall.Errno)
		k.endBelow()
		return send(keeperSocket, answer{what: saysRefused, serial: serial, status: int64(number), stage: stage, left: k.left})
	}
	return nil
}

// orderOf reads the order that has come with these descriptors. An error is an Errno.
func orderOf(fds []int) (*order, error) {
	if len(fds) < scriptFD { // some have got lost, as there was no room for them
		return nil, unix.EMFILE
	}
	text, err := readWhole(fds[orderFD])
	if err != nil {
		return nil, unix.EINVAL
	}
	o, err := decodeOrder(text)
	switch {
	case err != nil:
		return nil, unix.EINVAL
	case o.byScriptFD && len(fds) == scriptFD:
		return nil, unix.EMFILE
	}
	return o, nil
}

func readWhole(fd int) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	text := make([]byte, st.Size)
	n, err := unix.Pread(fd, text, 0)
	if err == nil && n != len(text) {
		err = unix.EIO
	}
	return text, err
}

// start starts the program in a session of its own. It ends with this process's first thread.
func (k *keeper) start(o *order, fds []int) (stage int64, err error) {
	path, argv := o.path, o.argv
	if o.byScriptFD {
		path = fmt.Sprintf("/proc/self/fd/%d", fds[scriptFD])
	}
	attr := &syscall.ProcAttr{Dir: o.dir, Env: o.env, Files: []uintptr{uintptr(fds[stdinFD]), uintptr(fds[stdoutFD]), uintptr(fds[stderrFD]), uintptr(fds[eventsFD])},
		Sys: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, PidFD: &k.task.pidfd}}
	if o.who != nil {
		attr.Sys.Credential = &syscall.Credential{Uid: o.who.uid, Gid: o.who.gid, Groups: o.who.groups}
	}
	stage = atExec
	if o.bounds != (bounds{}) {
		var pair [2]int
		if err := unix.Pipe2(pair[:], unix.O_CLOEXEC); err != nil {
			return atFork, err
		}
		defer unix.Close(pair[1])
		k.task.failed = pair[0]
		attr.Files = append(attr.Files, uintptr(pair[1]))
		if o.byScriptFD {
			attr.Files = append(attr.Files, uintptr(fds[scriptFD]))
			path = fmt.Sprintf("/proc/self/fd/%d", beginScript)
		}
		path, argv = k.exe, beginArguments(path, argv, o.bounds)
		stage = atFork
	}
	for attempt := 0; ; attempt++ {
		k.task.pid, err = syscall.ForkExec(path, argv, attr)
		if err != syscall.ETXTBSY || attempt == mostBusy {
			break
		}
		time.Sleep(busyFor) // who has just written the file has it open for a moment in a child of its own
	}
	if err != nil {
		k.task.pid = 0
		if k.task.failed >= 0 {
			unix.Close(k.task.failed)
		}
		if forks(err) {
			stage = atFork
		}
	}
	return stage, err
}

const (
	mostBusy = 20
	busyFor  = 5 * time.Millisecond
)

// forks reports whether err is one of fork(2), and says nothing of the program.
func forks(err error) bool {
	return err == syscall.EAGAIN || err == syscall.ENOMEM || err == syscall.EMFILE || err == syscall.ENFILE
}

// kill ends the program and all that it has started, however fast that starts more.
func (k *keeper) kill() {
	_ = unix.Kill(-k.task.pid, unix.SIGKILL) // its session's first group, all at once
	_ = unix.Kill(k.task.pid, unix.SIGKILL)
	k.endBelow()
}

// mostReaped bounds a call of reap: what forks and ends at once may be quicker.
const mostReaped = 1000

// reap waits for those that have ended, without waiting. It returns false when there are no
// children at all: nothing is below then.
func (k *keeper) reap() (some bool) {
	for range mostReaped {
		var status unix.WaitStatus
		var used unix.Rusage
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, &used)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return false
		case pid == 0:
			return true
		default:
			k.task.cpu += time.Duration(used.Utime.Nano() + used.Stime.Nano())
			if pid == k.task.pid {
				k.task.status, k.task.waited = status, true
			}
		}
	}
	return true
}

// patience bounds the search for what can't be ended: it is another user's, or in the kernel.
const patience = 10 * time.Second

// endBelow ends all that is below this process.
func (k *keeper) endBelow() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	k.left = 0
	if err := reaper.KillBelow(ctx, k.reap); err != nil { // the daemon ends with the worker what survives
		k.left = 1
	}
}

// ended is called when the program has ended. Whatever it has started ends with it.
func (k *keeper) ended() {
	t := &k.task
	if t.pid == 0 {
		return
	}
	if !t.waited {
		_ = unix.Kill(-t.pid, unix.SIGKILL) // nobody else can have that number before it is waited for
	}
	k.endBelow()
	says := answer{what: saysEnded, serial: t.serial, status: int64(t.status), cpu: int64(t.cpu), left: k.left}
	if !t.waited {
		says.status = int64(unix.SIGKILL) // who traces it, from elsewhere, keeps its status
	}
	if t.failed >= 0 {
		var number [1]byte
		if n, _ := unix.Read(t.failed, number[:]); n == 1 {
			says.what, says.status, says.stage = saysRefused, int64(number[0]), atExec
		}
		unix.Close(t.failed)
	}
	unix.Close(t.pidfd)
	*t = kept{failed: -1}
	_ = send(keeperSocket, says) // an error: the worker has gone, which the next look finds
}
