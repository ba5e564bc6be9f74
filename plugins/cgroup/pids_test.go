package cgroup

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// counted makes a cgroup with a bound on its pids that a test may divide. Where version 1 has
// the controller it is one of these: the files are the same, but it has neither cgroup.kill nor
// starts in it.
func counted(t *testing.T, whole int64) string {
	t.Helper()
	roots := []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"}
	if own, err := ownDir("/proc/self"); err == nil {
		roots = append(roots, own)
	}
	for _, root := range roots {
		dir, err := os.MkdirTemp(root, "cpulb-test-")
		if err != nil {
			continue
		}
		if limitPIDs(dir, whole) != nil {
			os.Remove(dir)
			continue
		}
		t.Cleanup(func() {
			endAll(t, dir)
			if err := removeAll(dir); err != nil {
				t.Errorf("left behind: %v", err)
			}
		})
		return dir
	}
	t.Skip("no cgroup with the pids controller can be made here")
	return ""
}

// divide is Divide, of which version 1 lacks what bounding pids does not take.
func divide(t *testing.T, dir string) *Tree {
	t.Helper()
	tree, err := &Tree{dir: dir}, error(nil)
	if exists(filepath.Join(dir, "cgroup.kill")) {
		tree, err = Divide(dir)
	} else if err = tree.settle(); err == nil {
		tree.pids = tree.boundPIDs()
	}
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// endAll kills what is in a cgroup and below it, and returns when that has ended.
func endAll(t *testing.T, dir string) {
	t.Helper()
	for held(t, dir) > 0 {
		files, err := filepath.Glob(filepath.Join(dir, "cgroup.procs"))
		for _, below := range []string{"*", "*/*"} {
			more, gerr := filepath.Glob(filepath.Join(dir, below, "cgroup.procs"))
			if files = append(files, more...); err == nil {
				err = gerr
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, _ := os.ReadFile(file)
			for line := range strings.Lines(string(text)) {
				var pid int
				if _, err := fmt.Sscan(line, &pid); err == nil {
					_ = unix.Kill(pid, unix.SIGKILL)
				}
			}
		}
		time.Sleep(time.Millisecond) // the kernel tells nobody in version 1
	}
}

// held is how many pids a cgroup has.
func held(t *testing.T, dir string) int64 {
	t.Helper()
	n, err := number(filepath.Join(dir, "pids.current"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// bomb starts processes in a cgroup until the kernel refuses one.
func bomb(t *testing.T, dir string) {
	t.Helper()
	script := "echo $$ >" + filepath.Join(dir, "cgroup.procs") + " || exit 1; echo in >&3; while sleep 1000 & do :; done; exit 1"
	c := exec.Command("sh", "-c", script)
	in, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	c.ExtraFiles = []*os.File{ours}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	if line, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		t.Fatalf("it was not in the cgroup: %q %v", line, err)
	}
	if err := c.Wait(); err == nil {
		t.Fatal("it was not refused")
	}
}

func TestBombsInGroupsLeaveTheDaemonItsPids(t *testing.T) {
	const whole = 160
	tree := divide(t, counted(t, whole))
	if tree.MaxPIDs() != whole/2 {
		t.Fatalf("each may have %d", tree.MaxPIDs())
	}
	var groups []*Group
	for _, name := range []string{"a", "b"} {
		g, err := tree.New(name)
		if err != nil {
			t.Fatal(err)
		}
		defer g.folder.Close()
		groups = append(groups, g)
	}
	bomb(t, groups[0].dir)
	// The shell has ended and was one of them.
	if n := held(t, groups[0].dir); n < whole/2-1 || n > whole/2 {
		t.Errorf("one bomb has %d, not %d", n, whole/2)
	}
	bomb(t, groups[1].dir)
	both := held(t, filepath.Join(tree.dir, workers))
	if both < whole-reserve-2 || both > whole-reserve {
		t.Errorf("both bombs have %d, not %d", both, whole-reserve)
	}
	bomb(t, filepath.Join(tree.dir, daemons)) // as a daemon that needs many threads
	if n := held(t, filepath.Join(tree.dir, daemons)); n < reserve-1 {
		t.Errorf("%d were left for the daemon", n)
	}
}

func TestTheDaemonHasAShareOfHoweverManyPids(t *testing.T) {
	for whole, want := range map[int64][2]int64{
		4915: {3687, 2457}, // a quarter is the daemon's, a half at most a worker's
		256:  {192, 128},
		160:  {96, 80}, // a quarter would be too few for it
		100:  {50, 50}, // and so many too few for workers
		2:    {1, 1},
		1:    {1, 1},
	} {
		if all, each := shares(whole); all != want[0] || each != want[1] {
			t.Errorf("of %d all have %d, each %d, not %v", whole, all, each, want)
		}
	}
}

// A bound of a cgroup further up holds for those below.
func TestTheSmallestBoundAboveCounts(t *testing.T) {
	dir := counted(t, 70)
	below := filepath.Join(dir, "below", "service")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if n, err := (&Tree{dir: below}).wholePIDs(); n != 70 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
