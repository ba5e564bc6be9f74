package ledger_test

import (
	"slices"
	"testing"
	"time"

	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"

	"pgregory.net/rapid"
)

// machine is a daemon with so many slots, of which one task kills it, as far as that
// matters to losses.
type machine struct {
	slots  int
	killer *ledger.Record
	// waiting are the tasks that are not in a slot, in the order in which they get one.
	waiting, running []*ledger.Record
	turns            *ledger.Turns
	held             map[*ledger.Record]bool // they wait for their turns
	store            *ledger.Store
	kills            int // of the daemon, by the killer
}

func newMachine(slots int) *machine {
	return &machine{slots: slots, turns: &ledger.Turns{}, held: map[*ledger.Record]bool{}, store: ledger.NewStore(ledger.Bounds{})}
}

func (m *machine) submit(n int) {
	for range n {
		r := add(m.store, plain())
		m.waiting = append(m.waiting, r)
	}
}

// fill gives the free slots to tasks.
func (m *machine) fill() {
	for i := 0; i < len(m.waiting) && len(m.running) < m.slots; {
		if r := m.waiting[i]; m.held[r] {
			i++
		} else {
			m.waiting = slices.Delete(m.waiting, i, i+1)
			m.running = append(m.running, r)
		}
	}
}

// end ends a running task.
func (m *machine) end(t failer, r *ledger.Record) {
	m.running = slices.DeleteFunc(m.running, func(other *ledger.Record) bool { return other == r })
	move(t, m.store, r, ledger.Ready, ledger.Ending)
	if next, _ := m.turns.Next(r, uptime); next != nil {
		delete(m.held, next)
	}
}

// die is the death of the daemon, and its next start. It returns who has died of it.
func (m *machine) die(t failer) (poison *ledger.Record) {
	if r := ledger.Lose(m.running); r != nil && r.Deaths >= ledger.MostDeaths {
		poison = r
		m.end(t, r)
	}
	m.waiting, m.running = slices.Concat(m.running, m.waiting), nil
	m.turns = &ledger.Turns{}
	clear(m.held)
	for _, r := range m.waiting {
		if r.TakesTurns() {
			m.turns.Add(r, queue.Times{})
			m.held[r] = true
		}
	}
	first, _ := m.turns.Begin(uptime)
	delete(m.held, first)
	return poison
}

// Whatever runs beside it, however long, and also when somebody kills the daemon once.
func TestAKillerIsFoundAndItsNeighboursAreNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(rapid.IntRange(1, 12).Draw(t, "slots"))
		m.submit(rapid.IntRange(0, 40).Draw(t, "before"))
		m.submit(1)
		m.killer = m.waiting[len(m.waiting)-1]
		m.submit(rapid.IntRange(0, 40).Draw(t, "after"))
		all := slices.Clone(m.waiting)
		byHand := rapid.Bool().Draw(t, "by hand")
		// Those that take long end only when nothing else can happen.
		long := map[*ledger.Record]bool{}
		for _, r := range all {
			long[r] = rapid.IntRange(0, 3).Draw(t, "long") == 0
		}
		for {
			m.fill()
			var short, runs []*ledger.Record
			for _, r := range m.running {
				switch {
				case r == m.killer:
				case long[r]:
					runs = append(runs, r)
				default:
					short = append(short, r)
				}
			}
			can := []string{}
			if len(short) > 0 {
				can = append(can, "end", "end")
			}
			if byHand {
				can = append(can, "by hand")
			}
			if slices.Contains(m.running, m.killer) {
				can = append(can, "kill")
			}
			if len(all) < 200 {
				can = append(can, "submit")
			}
			if len(can) == 0 {
				m.end(t, runs[0])
				continue
			}
			var poison *ledger.Record
			switch rapid.SampledFrom(can).Draw(t, "then") {
			case "end":
				m.end(t, rapid.SampledFrom(short).Draw(t, "who"))
			case "submit":
				m.submit(1)
				all = append(all, m.waiting[len(m.waiting)-1])
			case "by hand":
				byHand = false
				poison = m.die(t)
			case "kill":
				m.kills++
				poison = m.die(t)
			}
			for _, r := range all {
				if r != m.killer && r.Deaths > 1 {
					t.Fatalf("a neighbour is blamed twice: %+v", r)
				}
			}
			if m.kills > 5 {
				t.Fatalf("the daemon has died of it %d times: %d losses, %d deaths", m.kills, m.killer.Losses, m.killer.Deaths)
			}
			if poison != nil {
				if poison != m.killer {
					t.Fatal("another one is taken for it")
				}
				return
			}
		}
	})
}

func TestWhatRanAloneWhenTheDaemonDiedIsToBlame(t *testing.T) {
	m := newMachine(4)
	m.submit(1)
	r := m.waiting[0]
	for deaths := range uint32(2) {
		m.fill()
		if poison := m.die(t); r.Deaths != deaths+1 || (poison != nil) != (deaths == 1) {
			t.Errorf("after %d deaths: %+v", deaths+1, r)
		}
	}
}

func TestADeathOfTheDaemonCostsNobodyAnything(t *testing.T) {
	m := newMachine(8)
	m.submit(8)
	m.fill()
	all := slices.Clone(m.running)
	m.die(t)
	if m.fill(); len(m.running) != 8 {
		t.Errorf("%d of 8 run again", len(m.running))
	}
	for _, r := range all {
		if r.Deaths > 0 || r.Losses != 1 {
			t.Errorf("%+v", r)
		}
	}
	if ledger.Lose(nil) != nil {
		t.Error("nothing ran and somebody is to blame")
	}
}

func TestTurnsAreTakenByThoseThatHaveNotEnded(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour})
	var turns ledger.Turns
	next := func(r *ledger.Record) *ledger.Record { n, _ := turns.Next(r, uptime); return n }
	begin := func() *ledger.Record { n, _ := turns.Begin(uptime); return n }
	if begin() != nil {
		t.Error("it is nobody's turn")
	}
	var all []*ledger.Record
	for _, losses := range []uint32{4, 2, 2} {
		r := add(s, plain())
		r.Losses = losses
		turns.Add(r, queue.Times{})
		all = append(all, r)
	}
	if begin() != all[1] || next(all[0]) != nil {
		t.Error("the first turn is not that of the first of those that were lost least")
	}
	move(t, s, all[2], ledger.Ready, ledger.Ending)
	if next(all[1]) != all[0] || next(all[0]) != nil || next(all[0]) != nil {
		t.Error("one that has ended gets a turn, or one that has not gets none")
	}
}

func TestNobodyHasATurnBeforeItsTimeWhileOthersCouldRun(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour})
	var turns ledger.Turns
	var all []*ledger.Record
	for _, due := range []time.Duration{uptime + 2*time.Hour, uptime + time.Hour, uptime - time.Hour, 0} {
		r := add(s, plain())
		turns.Add(r, queue.Times{Due: due})
		all = append(all, r)
	}
	last, _ := turns.Begin(uptime)
	for i, want := range []*ledger.Record{all[2], all[3], all[1], all[0]} {
		if last != want || turns.Blocks(last) != (i < 3) {
			t.Errorf("turn %d is another one's", i)
		}
		last, _ = turns.Next(last, uptime)
	}
}
