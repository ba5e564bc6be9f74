package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// limitTimeout bounds how long prlimit(1) may take: its user's other processes could stop it.
const limitTimeout = 10 * time.Second

// limitData has prlimit(1) bound the data segment of a process of u's as u, who may do that.
func (u *User) limitData(ctx context.Context, pid int, bound uint64) error {
	ctx, cancel := context.WithTimeout(ctx, limitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "prlimit", "--pid", strconv.Itoa(pid), "--data="+strconv.FormatUint(bound, 10))
	cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", []string{}, &syscall.SysProcAttr{Setsid: true}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := onOwnThread(func() error {
		dropAmbient()
		if err := u.become(cmd.SysProcAttr); err != nil {
			return err
		}
		return cmd.Start()
	})
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("without CAP_SYS_RESOURCE it takes prlimit(1): %w: %.200s", err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}
