package exec

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"cpulb/plugins/reaper"

	"golang.org/x/sys/unix"
)

var errKeeperGone = errors.New("the process that watches over the task has ended")

// watched is the worker's end of a keeper, and what is asked of it. Everything but ask and
// answer packets is for the slot's thread alone.
type watched struct {
	socket int
	serial int64 // of the last task
}

// startKeeper starts a keeper. It ends, with all that it has started, when the socket does.
func startKeeper(asCaller bool) (*watched, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("keeper: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "keeper")
	defer theirs.Close()
	cmd := exec.Command("/proc/self/exe", roleKeep)
	if asCaller {
		cmd.Args = append(cmd.Args, keepsForCallers)
	}
	cmd.Args[0] = "cpulb-exec"
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = "/", []string{"GOMAXPROCS=2", reaper.MarkEnv + "=" + os.Getenv(reaper.MarkEnv)}, os.Stdout, os.Stderr, []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		unix.Close(pair[0])
		return nil, fmt.Errorf("keeper: %w", err)
	}
	go func() { _ = cmd.Wait() }() // how it ended, its socket says
	return &watched{socket: pair[0]}, nil
}

func (w *watched) close() { unix.Close(w.socket) }

// rungs are the steps of the ladder that stops one task: SIGTERM, and SIGKILL once the grace is
// over. Its methods may be called from any goroutine.
type rungs struct {
	seq    uint64 // of the task
	socket int
	serial int64
	grace  time.Duration

	mu       sync.Mutex
	begun    bool // the keeper knows the task
	over     bool
	asked    bool
	killing  bool
	deadline *time.Timer
}

// begin is called once the keeper has been sent the task.
func (r *rungs) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = true
	switch {
	case r.killing:
		r.sendKill()
	case r.asked:
		r.sendTerminate()
	}
}

// end is called when nothing is left to stop.
func (r *rungs) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	if r.deadline != nil {
		r.deadline.Stop()
	}
}

// terminate asks the task to end, and ends it if it has not by the end of the grace.
func (r *rungs) terminate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked || r.over {
		return
	}
	r.asked = true
	if r.begun {
		r.sendTerminate()
	}
}

// kill ends the task.
func (r *rungs) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.killing || r.over {
		return
	}
	r.killing = true
	if r.begun {
		r.sendKill()
	}
}

// The packets are small, and the keeper reads what it is sent: a send does not wait for long.
// An error means that it has gone, which its socket says to the slot.

func (r *rungs) sendTerminate() {
	_ = send(r.socket, ask{askTerminate, r.serial})
	r.deadline = time.AfterFunc(r.grace, r.kill)
}

func (r *rungs) sendKill() { _ = send(r.socket, ask{askKill, r.serial}) }
