package ledger_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

// legal is the table once more, written by hand: "from: to to".
const legal = `
arriving: delayed ready sent ending refused
delayed: ready sent ending refused
ready: delayed sent ending refused
sent: running ready delayed ending refused
running: ready delayed ending refused
ending: ended refused
ended:
refused:
`

// seen is what clients see of a phase, once more.
var seen = map[ledger.Phase]task.Status{ledger.Arriving: task.Pending, ledger.Delayed: task.Pending, ledger.Ready: task.Queued, ledger.Sent: task.Queued, ledger.Running: task.Running}

func allPhases() (all []ledger.Phase) {
	for p := ledger.Arriving; !strings.Contains(p.String(), "("); p++ {
		all = append(all, p)
	}
	return all
}

func TestOnlyTheTablesMovesAreLegal(t *testing.T) {
	want := map[string]bool{}
	for line := range strings.Lines(strings.TrimSpace(legal)) {
		from, to, _ := strings.Cut(strings.TrimSpace(line), ":")
		for next := range strings.FieldsSeq(to) {
			want[from+" "+next] = true
		}
	}
	moves := 0
	for _, from := range allPhases() {
		for _, to := range allPhases() {
			legal := from.CanBecome(to)
			if legal != want[from.String()+" "+to.String()] {
				t.Errorf("from %s to %s: legal is %v", from, to, legal)
			}
			if legal {
				moves++
			}
		}
	}
	if moves != len(want) || len(allPhases()) != 8 {
		t.Errorf("%d moves between %d phases", moves, len(allPhases()))
	}
}

func TestAnIllegalMoveChangesNothing(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{Max: 10})
	r := add(s, plain())
	for _, to := range []ledger.Phase{ledger.Running, ledger.Ended} {
		if err := s.Move(r, to); !errors.Is(err, ledger.ErrIllegalMove) || r.Phase() != ledger.Arriving || s.Count(task.Pending) != 1 {
			t.Errorf("to %s: %v, it is %s", to, err, r.Phase())
		}
	}
	if _, err := s.End(r, result(r, task.Completed), uptime); !errors.Is(err, ledger.ErrIllegalMove) || r.Result() != nil {
		t.Errorf("a task that arrives has ended: %v", err)
	}
	move(t, s, r, ledger.Ready, ledger.Ending)
	if err := s.Move(r, ledger.Ended); !errors.Is(err, ledger.ErrIllegalMove) {
		t.Errorf("ended without a result: %v", err)
	}
	end(t, s, r, task.Completed)
	if err := s.Refuse(r); !errors.Is(err, ledger.ErrIllegalMove) {
		t.Errorf("refused when it has ended: %v", err)
	}
}

func TestClientsSeeWhatFollowsFromThePhase(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1000})
	r := add(s, plain())
	for _, to := range []ledger.Phase{ledger.Ready, ledger.Delayed, ledger.Ready, ledger.Sent, ledger.Running} {
		move(t, s, r, to)
		if r.Status() != seen[to] || s.Count(r.Status()) != 1 || r.View().Status != r.Status() {
			t.Errorf("a task that is %s looks %s", to, r.Status())
		}
		if in := to == ledger.Sent || to == ledger.Running; to.InSlot() != in || to.Over() {
			t.Errorf("%s: in a slot is %v, over is %v", to, to.InSlot(), to.Over())
		}
	}
	move(t, s, r, ledger.Ending)
	if r.Status() != task.Running || !r.Phase().Over() || r.Phase().InSlot() {
		t.Errorf("before its end is on disk it looks %s", r.Status())
	}
	end(t, s, r, task.Failed)
	if r.Status() != task.Failed || s.Count(task.Failed) != 1 || s.Count(task.Running) != 0 {
		t.Errorf("it has ended as %s", r.Status())
	}
}
