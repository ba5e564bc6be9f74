package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrPopulated is matched when processes of a Group outlive its end: the kernel
// can't end one that waits for a device.
var ErrPopulated = errors.New("processes of the cgroup survive")

// Group is one worker's cgroup. Its methods are for one goroutine at a time.
type Group struct {
	dir    string
	folder *os.File
}

func open(dir string) (*Group, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	return &Group{dir: dir, folder: folder}, nil
}

// FD is for syscall.SysProcAttr.CgroupFD.
func (g *Group) FD() int { return int(g.folder.Fd()) }

// LimitMemory bounds what the Group's processes have together; nothing of it is
// moved to the swap. It matches ErrNoController when it can't.
func (g *Group) LimitMemory(bytes int64) error {
	if err := write(g.dir, "memory.max", strconv.FormatInt(bytes, 10)); err != nil {
		return fmt.Errorf("%w: %w", ErrNoController, err)
	}
	if err := write(g.dir, "memory.swap.max", "0"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNoController, err)
	}
	return nil
}

// OOMKills counts the processes that were killed because of the limit.
func (g *Group) OOMKills() int {
	n, _ := strconv.Atoi(g.value("memory.events", "oom_kill")) // 0 without the controller
	return n
}

// Kill ends all processes of the Group at once. It does not wait.
func (g *Group) Kill() error {
	if err := write(g.dir, "cgroup.kill", "1"); err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	return nil
}

// endPatience is how long End waits for killed processes.
const endPatience = time.Second

// End kills what is left in the Group, waits for it and removes the Group.
func (g *Group) End() error {
	defer g.folder.Close()
	if err := g.Kill(); err != nil {
		return err
	}
	if err := g.empty(); err != nil {
		return err
	}
	if err := removeAll(g.dir); err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	return nil
}

// empty waits until the Group has no process. The kernel tells a change of
// cgroup.events as an exceptional condition.
func (g *Group) empty() error {
	events, err := os.Open(filepath.Join(g.dir, "cgroup.events"))
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	defer events.Close()
	for end := time.Now().Add(endPatience); ; {
		if g.value("cgroup.events", "populated") == "0" {
			return nil
		}
		left := time.Until(end)
		if left <= 0 {
			return fmt.Errorf("%w: %s", ErrPopulated, g.dir)
		}
		// Between the look and the poll nothing is lost: the open file remembers which
		// change it has told.
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}, int(left.Milliseconds())+1)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("cgroup: %w", err)
		}
	}
}

// value returns what stands after key in a flat keyed file, "" if nothing does.
func (g *Group) value(file, key string) string {
	text, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// removeAll removes a cgroup and those that its processes have made in it. The
// files in them can't be removed and go along.
func removeAll(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(dir)
}
