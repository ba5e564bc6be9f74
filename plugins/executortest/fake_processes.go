package executortest

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"cpulb/daemon/task"
	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// The Fake's scripts that end its process, or start others.

func (s *fakeSlot) crashes(*plugins.Task, plugins.Emitter) plugins.Outcome {
	_, _ = syscall.Write(2, []byte("last words of a crash\n"))
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (s *fakeSlot) spawnsChild(*plugins.Task, plugins.Emitter) plugins.Outcome {
	return spawn([]uintptr{0, 1, 2}, false)
}

func (s *fakeSlot) childEscapes(*plugins.Task, plugins.Emitter) plugins.Outcome { return Escape() }

// Escape starts a process that stays, in a session of its own and with every
// socket and pipe of ours, as one has that was forked without exec. It returns
// the pid; the caller has to see to that process's end.
func Escape() plugins.Outcome {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return failed("OSError", err.Error(), "exception")
	}
	fds := []uintptr{0, 1, 2}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		// Ours from now on: the number of one that is closed meanwhile would be that of
		// the pipe by which ForkExec waits for exec, and then for ever.
		held, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			continue
		}
		defer unix.Close(held)
		target, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(held))
		if err == nil && (strings.HasPrefix(target, "socket:") || strings.HasPrefix(target, "pipe:")) {
			fds = append(fds, uintptr(held))
		}
	}
	return spawn(fds, true)
}

// spawn starts a child that stays and returns its pid. Unlike os/exec, it leaves
// the descriptors that it passes on as they are.
func spawn(fds []uintptr, leave bool) plugins.Outcome {
	program, err := exec.LookPath("sleep")
	if err != nil {
		return failed("OSError", err.Error(), "exception")
	}
	pid, err := syscall.ForkExec(program, []string{"sleep", "1000"},
		&syscall.ProcAttr{Env: os.Environ(), Files: fds, Sys: &syscall.SysProcAttr{Setsid: leave}})
	if err != nil {
		return failed("OSError", err.Error(), "exception")
	}
	return completed(pid)
}

func (s *fakeSlot) childVanishes(*plugins.Task, plugins.Emitter) plugins.Outcome {
	out, err := exec.Command("sh", "-c", "env -i setsid sleep 1000 >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		return failed("OSError", err.Error(), "exception")
	}
	return plugins.Outcome{Status: task.Completed, Data: bytes.TrimSpace(out)}
}

// faults takes the signal's handler away from Go, which would end with a status.
func (s *fakeSlot) faults(*plugins.Task, plugins.Emitter) plugins.Outcome {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // no core file
	var byDefault [4]uint64                          // struct sigaction with SIG_DFL
	const maskBytes = 8
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGSEGV), uintptr(unsafe.Pointer(&byDefault)), 0, maskBytes, 0, 0)
	_ = unix.Kill(os.Getpid(), unix.SIGSEGV)
	select {}
}

func (s *fakeSlot) exits(*plugins.Task, plugins.Emitter) plugins.Outcome {
	syscall.Exit(42)
	return plugins.Outcome{}
}

// eatsMemory ends a Go process that may not have so much memory.
func (s *fakeSlot) eatsMemory(*plugins.Task, plugins.Emitter) plugins.Outcome {
	food := make([]byte, EatenBytes)
	for i := 0; i < len(food); i += 4096 {
		food[i] = 1
	}
	return completed(len(food))
}
