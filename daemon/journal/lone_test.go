package journal

import (
	"context"
	"testing"
)

// Who leaves the lock takes what waits, but not what the writer's goroutine was about to do.
func TestWhoWritesForItselfDoesNotHoldUpTheCompaction(t *testing.T) {
	j := &Journal{giveUp: context.Background()}
	j.again() // after a step
	j.waiting, j.hurry = []*entry{{}}, true
	if all := j.lone(); len(all) != 1 {
		t.Fatalf("%d are written", len(all))
	}
	if wait, _ := j.wait(); wait > 0 {
		t.Errorf("the next step comes after %v", wait)
	}
	j.next()
	if wait, _ := j.wait(); wait != forEver {
		t.Errorf("there is nothing to do, but it waits for %v", wait)
	}
}
