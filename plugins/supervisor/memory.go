package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"cpulb/internal/procfs"

	"golang.org/x/sys/unix"
)

// limitMemory limits the worker's memory where its cgroup does not.
func (p *Process) limitMemory(ctx context.Context, spec Spec) error {
	switch {
	case spec.Limits.MemoryBytes == 0:
		p.memory = MemoryUnlimited
	case p.contained:
		p.memory = MemoryCgroup
	default:
		p.memory = MemoryRlimit
		if err := p.os.limitData(ctx, spec.Slots, spec.Limits.MemoryBytes); err != nil {
			return fmt.Errorf("%w: memory: %w", ErrLimit, err)
		}
	}
	return nil
}

// limitData bounds the data segment of a worker that is ready and may have ended. Another
// user's takes CAP_SYS_RESOURCE, which containers withhold, or that user.
func (p *process) limitData(ctx context.Context, slots int, bytes int64) error {
	bound, err := p.setData(slots, bytes)
	if errors.Is(err, unix.EPERM) && p.spec.User != nil {
		return p.spec.User.limitData(ctx, p.cmd.Process.Pid, bound)
	}
	return err
}

func (p *process) setData(slots int, bytes int64) (bound uint64, err error) {
	p.signals.Lock()
	defer p.signals.Unlock()
	if p.exited {
		return 0, nil // it is being noticed
	}
	pid := p.cmd.Process.Pid
	if bound, err = dataBound(pid, slots, bytes); err != nil {
		return 0, err
	}
	return bound, unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: bound, Max: bound}, nil)
}

// dataBound is how large the data segment may become. What the worker has mapped by now and
// not used, as runtimes do by the gigabyte, is not counted; neither are the stacks that its
// slots may still have to make.
func dataBound(pid, slots int, bytes int64) (uint64, error) {
	memory, err := procfs.ReadMemory(pid)
	if err != nil {
		return 0, err
	}
	var stack unix.Rlimit // the worker has inherited it
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &stack); err != nil {
		return 0, err
	}
	const usualStack = 8 << 20
	return uint64(memory.Data+max(0, bytes-memory.Anonymous)) + uint64(slots)*min(stack.Cur, usualStack), nil
}

// limitTimeout bounds how long prlimit(1) may take, afterLimit how long it may take to end
// when it is killed then: its user's other processes could stop it, and trace it, so that
// its end is theirs to see first (ptrace(2)).
const (
	limitTimeout = 10 * time.Second
	afterLimit   = time.Second
)

// errHeld: something keeps prlimit(1) from ending.
var errHeld = errors.New("it does not end; another process of the user holds it")

// limitData has prlimit(1) bound the data segment of a process of u's as u, who may do that.
func (u *User) limitData(ctx context.Context, pid int, bound uint64) error {
	// Not a pipe, which other processes of u could keep open.
	said, err := memoryFile("prlimit")
	if err != nil {
		return err
	}
	defer said.Close()
	if err := u.run(ctx, said, "prlimit", "--pid", strconv.Itoa(pid), "--data="+strconv.FormatUint(bound, 10)); err != nil {
		text := make([]byte, 200)
		n, _ := said.ReadAt(text, 0) // less: the end
		return fmt.Errorf("without CAP_SYS_RESOURCE it takes prlimit(1): %w: %s", err, legible(string(text[:n])))
	}
	return nil
}

// run runs a command as u, for limitTimeout at the most, and returns soon after that, whether
// it has ended or not.
func (u *User) run(ctx context.Context, output *os.File, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, limitTimeout)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", []string{}, &syscall.SysProcAttr{Setsid: true}
	cmd.Stdout, cmd.Stderr = output, output
	err := onOwnThread(func() error {
		dropAmbient()
		if err := u.become(cmd.SysProcAttr); err != nil {
			return err
		}
		return cmd.Start()
	})
	if err != nil {
		cancel()
		return err
	}
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- cmd.Wait()
	}()
	select {
	case err = <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err = <-ended:
		return err
	case <-time.After(afterLimit):
		return errHeld
	}
}

// memoryFile is a file without a name.
func memoryFile(label string) (*os.File, error) {
	fd, err := unix.MemfdCreate(label, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), label), nil
}
