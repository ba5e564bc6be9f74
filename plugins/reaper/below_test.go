package reaper

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"
)

// The caller is no subreaper here, and has a child that does not end while it is not waited for.
func TestWhatIsBelowIsListed(t *testing.T) {
	c := exec.Command("sh", "-c", "sleep 1000 & sleep 1000 & echo; wait")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	children, err := childrenOf(self())
	if errors.Is(err, errNoLists) {
		_ = c.Process.Kill()
		t.Skip(err)
	}
	if len(children) != 1 || children[0] != c.Process.Pid || len(below(c.Process.Pid, nil)) != 2 {
		t.Errorf("children %v, below them %v", children, below(c.Process.Pid, nil))
	}
	rounds := 0
	if err := KillBelow(t.Context(), func() bool { rounds++; return rounds < 5 }); err != nil {
		t.Error(err)
	}
	if err := c.Wait(); err == nil {
		t.Error("it has ended by itself")
	}
	if left := below(c.Process.Pid, nil); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := KillBelow(late, func() bool { return true }); !errors.Is(err, ErrSurvivors) {
		t.Errorf("of one that does not end: %v", err)
	}
}
