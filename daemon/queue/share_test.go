package queue_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cpulb/daemon/queue"
)

// fill pushes for one owner until it is refused, and returns how many it got in and why
// no more.
func (b *bench) fill(e queue.Entry) (n int, full *queue.FullError) {
	b.t.Helper()
	for {
		err := b.push(fmt.Sprintf("%c%d", rune(e.Owner), n), e)
		if errors.As(err, &full) {
			return n, full
		}
		n++
	}
}

func TestEachOwnerHasAShareAndNobodyTheWhole(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 90, MaxBytes: 900})
	n, full := b.fill(queue.Entry{Owner: 'a'})
	if n != 60 || *full != (queue.FullError{Share: true, Has: 60, Most: 60}) || !errors.Is(full, queue.ErrFull) {
		t.Errorf("one alone gets %d: %+v", n, *full)
	}
	if n, full = b.fill(queue.Entry{Owner: 'b'}); n != 20 || !full.Share || full.Has != 20 || full.Most != 20 {
		t.Errorf("the next gets %d: %+v", n, *full)
	}
	if n, full = b.fill(queue.Entry{Bytes: 90}); n != 10 || *full != (queue.FullError{Has: 90, Most: 90}) {
		t.Errorf("an administrator gets %d: %+v", n, *full)
	}
	for range 11 { // of which the third is the administrator's
		b.q.Remove(moment(0), b.q.Pop(moment(0), 0))
	}
	if n, full = b.fill(queue.Entry{Owner: 'c', Bytes: 30}); n != 6 || *full != (queue.FullError{Share: true, Bytes: true, Has: 180, Most: 180}) {
		t.Errorf("where bytes are short %d are let in: %+v", n, *full)
	}
}

func TestWhatIsRestoredIsNotRefusedButCounts(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 9})
	for range 8 {
		b.q.Restore(moment(0), "a", queue.Entry{Owner: 'a'})
	}
	if err := b.push("a", queue.Entry{Owner: 'a'}); !errors.Is(err, queue.ErrFull) {
		t.Error("it has more than its share")
	}
	b.must("b", queue.Entry{Owner: 'b'})
	if p := b.q.Parts(); len(p) != 2 || p[0].Tasks+p[1].Tasks != 9 {
		t.Errorf("%+v", p)
	}
}

func TestNobodysBlockedItemsHoldUpAnothers(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 9, MaxBytes: 1000, Policy: queue.Block})
	for i := range 8 {
		b.must(fmt.Sprint("a", i), queue.Entry{Owner: 'a'})
	}
	b.must("b0", queue.Entry{Owner: 'b'})
	b.must("c0", queue.Entry{Owner: 'c'})
	b.must("d0", queue.Entry{Owner: 'd'})
	for _, n := range []string{"b1", "b2", "c1", "c2"} {
		b.must(n, queue.Entry{Owner: uint32(n[0])})
	}
	b.changes()
	if s := b.q.Stats(); s.Ready != 9 || s.Blocked != 6 {
		t.Fatalf("%+v", s)
	}
	b.pops("a0")
	b.changes() // there is one place, which would be the second of all who are blocked
	b.pops("b0", "c0")
	b.changes("b1 blocked ready", "c1 blocked ready")
	b.pops("d0", "a1")
	b.changes("b2 blocked ready", "c2 blocked ready")
}

func TestABlockedItemOfMuchDoesNotHoldUpAnothersOfLittle(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 99, MaxBytes: 100, Policy: queue.Block})
	b.must("a0", queue.Entry{Owner: 'a', Bytes: 60})
	b.must("b0", queue.Entry{Owner: 'b', Bytes: 50})
	b.must("b1", queue.Entry{Owner: 'b', Bytes: 1})
	b.must("c0", queue.Entry{Owner: 'c', Bytes: 1})
	b.changes()
	b.pops("a0")
	b.changes() // it is in memory until it has ended
	b.ends("a0")
	b.changes("b0 blocked ready", "b1 blocked ready")
}

func TestWhoIsAtItsShareDropsItsOwn(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 9, Policy: queue.DropOldest})
	b.must("b0", queue.Entry{Owner: 'b', Priority: 0})
	for i := range 4 {
		b.must(fmt.Sprint("a", i), queue.Entry{Owner: 'a', Priority: 5})
	}
	b.must("a4", queue.Entry{Owner: 'a', Priority: 1})
	b.changes()
	b.must("a5", queue.Entry{Owner: 'a', Priority: 9})
	b.changes("a4 ready dropped")
	b.must("a6", queue.Entry{Owner: 'a', Priority: 9})
	b.changes("a0 ready dropped")
	if err := b.push("a7", queue.Entry{Owner: 'a', Priority: 4}); !errors.Is(err, queue.ErrFull) {
		t.Errorf("it drops a higher one of its own: %v", err)
	}
	b.changes()
}

func TestWhoHasNothingTakesFromWhoHasMostWhateverThePriorities(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 6, Policy: queue.DropOldest})
	for i := range 4 {
		b.must(fmt.Sprint("a", i), queue.Entry{Owner: 'a', Priority: 9})
	}
	b.must("b0", queue.Entry{Owner: 'b', Priority: 0})
	b.must("c0", queue.Entry{Owner: 'c', Priority: 0})
	b.must("d0", queue.Entry{Owner: 'd', Priority: 0})
	b.changes("a0 ready dropped")
	b.must("d1", queue.Entry{Owner: 'd', Priority: 9}) // which has something by now
	b.changes("d0 ready dropped")
	b.must("e0", queue.Entry{Owner: 'e', Priority: 0})
	b.must("f0", queue.Entry{Owner: 'f', Priority: 0})
	b.changes("a1 ready dropped", "a2 ready dropped")
	if err := b.push("g0", queue.Entry{Owner: 'g', Priority: 9}); !errors.Is(err, queue.ErrFull) {
		t.Errorf("nobody has more than it would have: %v", err)
	}
	b.changes()
	b.q.Remove(moment(0), b.items["b0"])
	b.must("root", queue.Entry{Priority: 0})
	b.must("root2", queue.Entry{Priority: 0})
	b.changes("root ready dropped")
}

func TestKeysAreTheirOwnersAlone(t *testing.T) {
	b := newBench(t, queue.Options{})
	for _, n := range []string{"a1", "a2", "b1", "b2"} {
		b.must(n, queue.Entry{Owner: uint32(n[0]), Key: "k"})
	}
	b.pops("a1", "b1", "-")
	b.q.Remove(moment(0), b.items["b1"])
	b.pops("b2", "-")
}

func TestFiguresBeyond32BitsAreCounted(t *testing.T) {
	const large = 5 << 30
	b := newBench(t, queue.Options{MaxBytes: 3 * large})
	b.must("a", queue.Entry{Bytes: large, Times: queue.Times{RunAt: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}})
	b.must("b", queue.Entry{Bytes: large})
	b.must("c", queue.Entry{Bytes: large})
	if err := b.push("d", queue.Entry{Bytes: 1}); !errors.Is(err, queue.ErrFull) || b.q.Stats().Bytes != 3*large {
		t.Errorf("%v, %+v", err, b.q.Stats())
	}
}

// Of many owners those who have nothing are forgotten; not who has something out, or makes
// room for what it pushes with all that it has.
func TestNoOwnerOfSomethingIsForgotten(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 100, MaxBytes: 100, Policy: queue.DropOldest})
	for i := range 40 {
		b.must("other", queue.Entry{Owner: uint32(1000 + i), Lane: 0, Bytes: 1})
	}
	b.must("first", queue.Entry{Owner: 'a', Key: "k", Bytes: 20})
	only := func(owner uint32) bool { return owner == 'a' }
	out := b.q.PopFor(moment(0), 0, only)
	b.must("second", queue.Entry{Owner: 'a', Key: "k", Bytes: 20})
	if b.q.RunnableFor(moment(0), 0, only) {
		t.Error("its key was forgotten while it was out")
	}
	b.q.Remove(moment(0), out)
	b.must("third", queue.Entry{Owner: 'a', Key: "k", Bytes: 40})
	b.must("fourth", queue.Entry{Owner: 'a', Key: "k", Bytes: 40})
	b.changes("second ready parked", "second parked ready", "second ready dropped", "third ready dropped")
	if p := b.q.Parts(); p[0] != (queue.Part{Owner: 'a', Tasks: 1, Bytes: 40}) {
		t.Errorf("it is counted as %+v", p[0])
	}
}
