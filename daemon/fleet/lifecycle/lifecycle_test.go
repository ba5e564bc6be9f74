package lifecycle_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/fleet/lifecycle"

	"pgregory.net/rapid"
)

// states lists every state in order.
func states() []lifecycle.State {
	return []lifecycle.State{lifecycle.Starting, lifecycle.Ready, lifecycle.Draining, lifecycle.Fenced, lifecycle.Stopping, lifecycle.Dead}
}

// legal is the table once more, written by hand: "from: to to".
const legal = `
starting: ready stopping dead
ready: draining fenced stopping dead
draining: fenced stopping dead
fenced: stopping dead
stopping: dead
dead:
`

func TestOnlyTheTablesMovesAreLegal(t *testing.T) {
	want := map[string]bool{}
	for line := range strings.Lines(strings.TrimSpace(legal)) {
		from, to, _ := strings.Cut(strings.TrimSpace(line), ":")
		for next := range strings.FieldsSeq(to) {
			want[from+" "+next] = true
		}
	}
	for _, from := range states() {
		for _, next := range states() {
			m := machineIn(t, from)
			was, err := m.Advance(next)
			ok := want[from.String()+" "+next.String()]
			if ok != (err == nil) || !ok && !errors.Is(err, lifecycle.ErrIllegalMove) || was != from {
				t.Errorf("from %s on to %s: %s, %v", from, next, was, err)
			}
			if now := m.Load(); ok && now != next || !ok && now != from {
				t.Errorf("from %s on to %s: it is %s", from, next, now)
			}
		}
	}
}

// machineIn returns a Machine that has come to a state on a legal way.
func machineIn(t *testing.T, s lifecycle.State) *lifecycle.Machine {
	t.Helper()
	m := &lifecycle.Machine{}
	if s == lifecycle.Starting {
		return m
	}
	if s != lifecycle.Dead {
		if _, err := m.Advance(lifecycle.Ready); err != nil {
			t.Fatal(err)
		}
	}
	if s != lifecycle.Ready {
		if _, err := m.Advance(s); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestAReadyWorkerAloneTakesTasks(t *testing.T) {
	for _, s := range states() {
		if s.TakesTasks() != (s == lifecycle.Ready) {
			t.Errorf("%s takes tasks: %v", s, s.TakesTasks())
		}
		if s == lifecycle.Stopping && s.BlamesTasks() || s == lifecycle.Ready && !s.BlamesTasks() {
			t.Errorf("%s blames tasks: %v", s, s.BlamesTasks())
		}
		if strings.Contains(s.String(), "(") {
			t.Errorf("%s has no name", s)
		}
	}
}

// clock is the time of a test.
type clock struct{ now time.Duration }

func (c *clock) Now() time.Duration     { return c.now }
func (c *clock) passes(d time.Duration) { c.now += d }

func newRestarts(t testing.TB, p lifecycle.Policy) (*lifecycle.Restarts, *clock) {
	t.Helper()
	c := &clock{}
	r, err := lifecycle.NewRestarts(p, c.Now)
	if err != nil {
		t.Fatal(err)
	}
	return r, c
}

func TestWaitsDoubleUpToTheMost(t *testing.T) {
	r, c := newRestarts(t, lifecycle.Policy{First: 50 * time.Millisecond, Most: time.Second, Stable: time.Minute, Loop: 3})
	for i, want := range []time.Duration{0, 50, 100, 200, 400, 800, 1000, 1000} {
		r.Born()
		c.passes(time.Second)
		if got := r.Died("signal: killed", nil); got != want*time.Millisecond {
			t.Errorf("after death %d: %v, not %v", i+1, got, want*time.Millisecond)
		}
		if _, looping := r.CrashLoop(); looping != (i+1 >= 3) {
			t.Errorf("after death %d it is a loop: %v", i+1, looping)
		}
	}
}

func TestALongLifeClearsTheRow(t *testing.T) {
	p := lifecycle.DefaultPolicy()
	r, c := newRestarts(t, p)
	for range p.Loop {
		r.Died("exit status 1", []string{"no such folder", "giving up"})
	}
	d, looping := r.CrashLoop()
	if !looping || d.String() != "exit status 1; its last words: no such folder | giving up" {
		t.Fatalf("%v: %s", looping, d)
	}
	r.Born()
	c.passes(p.Stable - 1)
	if _, looping := r.CrashLoop(); !looping {
		t.Error("the loop ended too early")
	}
	c.passes(1)
	if _, looping := r.CrashLoop(); looping {
		t.Error("a stable worker is still in a crash loop")
	}
	if wait := r.Died("signal: killed", nil); wait != 0 {
		t.Errorf("the first death after a long life waits %v", wait)
	}
}

func TestAnEndThatWasAskedForIsNoDeath(t *testing.T) {
	r, _ := newRestarts(t, lifecycle.DefaultPolicy())
	for range 100 {
		r.Born()
		r.Ended()
	}
	if _, looping := r.CrashLoop(); looping {
		t.Error("a loop without a death")
	}
	if wait := r.Died("signal: killed", nil); wait != 0 {
		t.Errorf("the first death waits %v", wait)
	}
}

func TestNoPolicyWithoutWaits(t *testing.T) {
	good := lifecycle.DefaultPolicy()
	for name, spoil := range map[string]func(*lifecycle.Policy){
		"first":  func(p *lifecycle.Policy) { p.First = 0 },
		"most":   func(p *lifecycle.Policy) { p.Most = p.First - 1 },
		"stable": func(p *lifecycle.Policy) { p.Stable = 0 },
		"loop":   func(p *lifecycle.Policy) { p.Loop = 0 },
	} {
		p := good
		spoil(&p)
		if _, err := lifecycle.NewRestarts(p, (&clock{}).Now); !errors.Is(err, lifecycle.ErrPolicy) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever happens, waits stay within the policy, do not shrink in a row of deaths,
// and a loop is exactly a row of Loop deaths.
func TestWaitsKeepToThePolicy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := time.Duration(rapid.Int64Range(1, 1e9).Draw(t, "first"))
		p := lifecycle.Policy{First: first, Most: first * time.Duration(rapid.Int64Range(1, 1e5).Draw(t, "most")),
			Stable: time.Duration(rapid.Int64Range(1, 1e10).Draw(t, "stable")), Loop: rapid.IntRange(1, 9).Draw(t, "loop")}
		c := &clock{}
		r, err := lifecycle.NewRestarts(p, c.Now)
		if err != nil {
			t.Fatal(err)
		}
		row, last := 0, time.Duration(0)
		for range rapid.IntRange(1, 200).Draw(t, "lives") {
			if rapid.Bool().Draw(t, "starts") {
				r.Born()
				life := time.Duration(rapid.Int64Range(0, 2e10).Draw(t, "life"))
				c.passes(life)
				if life >= p.Stable {
					row, last = 0, 0
				}
			}
			wait := r.Died("dead", nil)
			if row++; row == 1 && wait != 0 || row == 2 && wait != p.First || wait < last || wait > p.Most {
				t.Fatalf("death %d in a row waits %v after %v", row, wait, last)
			}
			last = wait
			if _, looping := r.CrashLoop(); looping != (row >= p.Loop) {
				t.Fatalf("%d deaths in a row, a loop: %v", row, looping)
			}
		}
	})
}
