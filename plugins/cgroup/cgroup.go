// Package cgroup puts workers into control groups (cgroups(7), version 2) of
// their own, below the one that systemd has delegated to the daemon.
//
// Guarantees: a process that is started in a Group never runs outside of it, nor
// does anything that it starts; Kill ends them all at once, whatever session or
// parent they have; the memory limit counts them together. However many processes
// and threads there are in Groups, some are left for the daemon. Nothing is
// touched that is not delegated.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotDelegated is matched when there is no cgroup that is ours to divide; the
// error says why.
var ErrNotDelegated = errors.New("no delegated cgroup")

// ErrNoController is matched when the limit's controller is not in our hands.
var ErrNoController = errors.New("the cgroup has no such controller")

// daemons is the leaf for this process: version 2 has processes only in leaves,
// and systemd starts us in the root of what it delegates.
const daemons = "daemon"

// workers has all Groups, so that what they have together can be bounded. A later
// daemon ends what an earlier one has left there.
const workers = "workers"

// worker begins the name of each Group. Earlier daemons had them beside workers.
const worker = "worker-"

// Tree is a delegated cgroup.
type Tree struct {
	dir    string
	memory bool
	pids   int64 // how many a Group may have; 0: as many as there are
}

// Own divides the cgroup that systemd has delegated to this unit (Delegate=yes).
// It moves this process, and what else is in there, into a leaf of it, and ends
// what an earlier daemon has left in Groups.
func Own() (*Tree, error) {
	dir, err := ownDir("/proc/self")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotDelegated, err)
	}
	if !delegated(dir) {
		return nil, fmt.Errorf("%w: %s is not (systemd units need Delegate=yes)", ErrNotDelegated, dir)
	}
	return Divide(dir)
}

// Divide is Own for a cgroup that is known to be ours.
func Divide(dir string) (*Tree, error) {
	if _, err := os.Stat(filepath.Join(dir, "cgroup.kill")); err != nil {
		return nil, fmt.Errorf("%w: its processes could not be ended at once (Linux 5.14 or later is needed): %w", ErrNotDelegated, err)
	}
	t := &Tree{dir: dir}
	if err := t.sweep(); err != nil {
		return nil, err
	}
	if err := t.settle(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotDelegated, err)
	}
	t.memory = t.enable("memory")
	if t.enable("pids") {
		t.pids = t.boundPIDs()
	}
	return t, nil
}

// delegated reads the mark that systemd leaves for this purpose; the second is for
// privileged readers and older than the first.
func delegated(dir string) bool {
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		var value [1]byte
		if n, err := unix.Getxattr(dir, name, value[:]); err == nil && n == 1 && value[0] == '1' {
			return true
		}
	}
	return false
}

// settle makes the cgroup of the Groups, and moves all processes of the root into
// the daemon's leaf. There can be more than this one, e.g. of a start that goes on
// beside us.
func (t *Tree) settle() error {
	leaf := filepath.Join(t.dir, daemons)
	for _, dir := range []string{leaf, filepath.Join(t.dir, workers)} {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	text, err := os.ReadFile(filepath.Join(t.dir, "cgroup.procs"))
	if err != nil {
		return err
	}
	for pid := range strings.FieldsSeq(string(text)) {
		if err := write(leaf, "cgroup.procs", pid); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// enable passes a controller on to the Groups; false when we don't have it.
func (t *Tree) enable(controller string) bool {
	text, err := os.ReadFile(filepath.Join(t.dir, "cgroup.controllers"))
	return err == nil && slices.Contains(strings.Fields(string(text)), controller) &&
		write(t.dir, "cgroup.subtree_control", "+"+controller) == nil &&
		write(filepath.Join(t.dir, workers), "cgroup.subtree_control", "+"+controller) == nil
}

// sweep ends what an earlier daemon's workers have left.
func (t *Tree) sweep() error {
	left, err := filepath.Glob(filepath.Join(t.dir, worker+"*"))
	if err != nil {
		return err
	}
	if all := filepath.Join(t.dir, workers); exists(all) {
		left = append(left, all)
	}
	for _, dir := range left {
		g, err := open(dir)
		if err == nil {
			err = g.End()
		}
		if err != nil {
			return fmt.Errorf("left by an earlier daemon: %w", err)
		}
	}
	return nil
}

// HasMemory tells whether Groups can limit memory.
func (t *Tree) HasMemory() bool { return t.memory }

// MaxPIDs is how many processes and threads a Group may have; 0: as many as there are.
func (t *Tree) MaxPIDs() int64 { return t.pids }

// New makes a Group; the name is one that no other has now.
func (t *Tree) New(name string) (*Group, error) {
	dir := filepath.Join(t.dir, workers, worker+name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	if t.pids > 0 {
		if err := limitPIDs(dir, t.pids); err != nil {
			_ = os.Remove(dir)
			return nil, err
		}
	}
	return open(dir)
}

func write(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(value)
	return err
}
