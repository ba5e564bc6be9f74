package queue_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"cpulb/daemon/queue"

	"pgregory.net/rapid"
)

// model is the queue written down naively: all that was ever pushed, in a slice
// to search. It knows no ageing and no turns of owners.
type model struct {
	maxTasks int
	maxBytes int64
	policy   queue.Policy
	limits   map[string]int
	// up is the uptime in seconds; ahead is how far the clock on the wall is before it.
	up, ahead int
	seq       int
	items     []*entry
}

type entry struct {
	item *queue.Item[int]
	queue.Entry
	value, seq int
	// The first and the last are by the wall, due is by the uptime; 0 is none.
	runAt, due, expires int
	settled             bool // it is not held, or no more
	popped              bool
	place               queue.Place
	// told is where the item is as far as its owner and Changes say.
	told queue.Place
}

func (m *model) wall() int { return m.up + m.ahead }

func (m *model) moment() queue.Now { return queue.Now{Wall: at(m.wall()), Uptime: due(m.up)} }

func (m *model) in() (tasks int, bytes int64) {
	for _, e := range m.items {
		if e.held() {
			tasks++
			bytes += e.Bytes
		}
	}
	return tasks, bytes
}

// held reports whether e takes room. Ready stands for Parked, too: which of both
// it is, the model does not know.
func (e *entry) held() bool { return e.place == queue.Waiting || e.place == queue.Ready }

func (m *model) fits(e *entry) bool {
	tasks, bytes := m.in()
	return tasks < m.maxTasks && bytes+e.Bytes <= m.maxBytes
}

func (m *model) enter(e *entry) {
	if !e.settled || e.due == 0 && e.runAt > m.wall() || e.due > m.up {
		e.place = queue.Waiting
		return
	}
	if e.place = queue.Ready; !e.popped {
		m.seq++
		e.seq = m.seq
	}
}

func (m *model) blocked() []*entry {
	return slices.DeleteFunc(slices.Clone(m.items), func(e *entry) bool { return e.place != queue.Blocked })
}

// instant is the next of e's times by the wall, 0 if it has none.
func (e *entry) instant() int {
	if !e.settled {
		return 0
	}
	if e.place == queue.Waiting && e.due == 0 && (e.expires == 0 || e.runAt < e.expires) {
		return e.runAt
	}
	return e.expires
}

// passed returns the item whose time, as when has it, has passed first.
func (m *model) passed(now int, when func(*entry) int) (first *entry) {
	for _, e := range m.items {
		if (e.held() || e.place == queue.Blocked) && when(e) != 0 && when(e) <= now && (first == nil || when(e) < when(first)) {
			first = e
		}
	}
	return first
}

// settle lets time pass and lets in who is blocked.
func (m *model) settle() {
	for e := m.passed(m.wall(), (*entry).instant); e != nil; e = m.passed(m.wall(), (*entry).instant) {
		if e.expires != 0 && e.expires <= m.wall() {
			e.place = queue.Expired
			m.admit()
			continue
		}
		e.runAt = 0
		m.enter(e)
	}
	due := func(e *entry) int {
		if e.place != queue.Waiting || !e.settled {
			return 0
		}
		return e.due
	}
	for e := m.passed(m.up, due); e != nil; e = m.passed(m.up, due) {
		e.due = 0
		m.enter(e)
	}
}

func (m *model) admit() {
	for _, e := range m.blocked() {
		if !m.fits(e) {
			return
		}
		m.enter(e)
	}
}

// push answers whether the queue has to take e.
func (m *model) push(e *entry) bool {
	m.items = append(m.items, e)
	switch {
	case e.Bytes > m.maxBytes:
	case len(m.blocked()) == 0 && m.fits(e):
		m.enter(e)
		return true
	case m.policy == queue.Block:
		e.place = queue.Blocked
		return true
	case m.policy == queue.DropOldest && m.makeRoom(e):
		m.enter(e)
		return true
	}
	m.items = m.items[:len(m.items)-1]
	return false
}

func (m *model) makeRoom(newest *entry) bool {
	victims := slices.DeleteFunc(slices.Clone(m.items), func(e *entry) bool {
		return e.place != queue.Ready || e.popped || e.Priority > newest.Priority
	})
	slices.SortFunc(victims, func(a, b *entry) int {
		if a.Priority != b.Priority {
			return a.Priority - b.Priority
		}
		return a.seq - b.seq
	})
	for i, v := range victims {
		v.place = queue.Dropped
		if m.fits(newest) {
			return true
		}
		if i == len(victims)-1 {
			for _, v := range victims {
				v.place = queue.Ready
			}
		}
	}
	return false
}

func (m *model) out(key string) int {
	n := 0
	for _, e := range m.items {
		if e.place == queue.Out && e.Key == key {
			n++
		}
	}
	return n
}

func (m *model) runnable(e *entry, lane int) bool {
	return e.place == queue.Ready && e.Lane == lane && (e.Key == "" || m.out(e.Key) < m.limits[e.Key])
}

// check says what is wrong with popping e, nil for nothing, from a lane.
func (m *model) check(e *entry, lane int, strict bool) error {
	if e != nil && !m.runnable(e, lane) {
		return fmt.Errorf("popped %d, which can't run: %+v", e.value, e)
	}
	for _, o := range m.items {
		switch {
		case o == e || !m.runnable(o, lane):
		case e == nil:
			return fmt.Errorf("popped nothing, but %d can run", o.value)
		case strict && o.Priority > e.Priority:
			return fmt.Errorf("popped %d before %d of a higher priority", e.value, o.value)
		case o.Priority == e.Priority && o.Owner == e.Owner && o.Key == e.Key && o.seq < e.seq:
			return fmt.Errorf("popped %d before %d, which came first", e.value, o.value)
		}
	}
	return nil
}

// machine drives queue and model side by side.
type machine struct {
	q      *queue.Queue[int]
	m      *model
	strict bool // without ageing
	lanes  int
	own    *entry // which the last operation was asked for
}

func newMachine(t *rapid.T) *machine {
	limits := map[string]int{"a": 1, "b": 2, "c": 3}
	m := &model{maxTasks: rapid.IntRange(1, 12).Draw(t, "tasks"), maxBytes: int64(rapid.IntRange(5, 60).Draw(t, "bytes")),
		policy: queue.Policy(rapid.IntRange(0, 2).Draw(t, "policy")), limits: limits, up: 100} // so that no time is 0
	ageing := rapid.SampledFrom([]time.Duration{0, 0, 3 * time.Second}).Draw(t, "ageing")
	o := queue.Options{Lanes: 2, MaxTasks: m.maxTasks, MaxBytes: m.maxBytes, Policy: m.policy, Ageing: ageing,
		KeyLimit: func(key string) int { return limits[key] }}
	return &machine{queue.New[int](o), m, ageing == 0, 2, nil}
}

func (x *machine) push(t *rapid.T) {
	e := &entry{value: len(x.m.items), Entry: queue.Entry{
		Lane: rapid.IntRange(0, x.lanes-1).Draw(t, "lane"), Priority: rapid.IntRange(0, 9).Draw(t, "priority"),
		Owner: uint32(rapid.IntRange(0, 2).Draw(t, "owner")), Key: rapid.SampledFrom([]string{"", "", "a", "b", "c"}).Draw(t, "key"),
		Bytes: int64(rapid.IntRange(0, 20).Draw(t, "bytes"))}}
	e.Held = rapid.IntRange(0, 3).Draw(t, "held") == 0
	if e.settled = !e.Held; e.settled {
		e.Times = x.times(t, e)
	}
	x.m.settle()
	want := x.m.push(e)
	it, err := x.q.Push(x.m.moment(), e.value, e.Entry)
	if want != (err == nil) || err != nil && !errors.Is(err, queue.ErrFull) && !errors.Is(err, queue.ErrTooLarge) {
		t.Fatalf("push %+v answered %v, the model says %v", e, err, want)
	}
	if e.item = it; it != nil {
		x.own = e
	}
}

// times draws when e may leave.
func (x *machine) times(t *rapid.T, e *entry) (when queue.Times) {
	wait := rapid.IntRange(-1, 8).Draw(t, "wait")
	switch rapid.IntRange(0, 3).Draw(t, "waits") {
	case 0:
		e.runAt = x.m.wall() + wait
		when.RunAt = at(e.runAt)
	case 1:
		e.due = x.m.up + wait
		when.Due = due(e.due)
	}
	if rapid.Bool().Draw(t, "expires") {
		e.expires = x.m.wall() + rapid.IntRange(1, 12).Draw(t, "life")
		when.ExpiresAt = at(e.expires)
	}
	return when
}

// settleOne lets an item go that was held.
func (x *machine) settleOne(t *rapid.T) {
	x.m.settle()
	held := slices.DeleteFunc(slices.Clone(x.m.items), func(e *entry) bool { return e.place != queue.Waiting || e.settled })
	if len(held) == 0 {
		return
	}
	e := rapid.SampledFrom(held).Draw(t, "item")
	x.q.Settle(x.m.moment(), e.item, x.times(t, e))
	e.settled, x.own = true, e
	x.m.enter(e)
}

func (x *machine) pop(t *rapid.T) {
	x.m.settle()
	lane := rapid.IntRange(0, x.lanes-1).Draw(t, "lane")
	announced := x.q.Runnable(x.m.moment(), lane)
	it := x.q.Pop(x.m.moment(), lane)
	if announced != (it != nil) {
		t.Fatalf("announced %v, popped %v", announced, it)
	}
	var e *entry
	if it != nil {
		e = x.m.items[slices.IndexFunc(x.m.items, func(e *entry) bool { return e.value == it.Value })]
	}
	if err := x.m.check(e, lane, x.strict); err != nil {
		t.Fatal(err)
	}
	if e != nil {
		e.place, e.popped = queue.Out, true
		x.own = e
		x.m.admit()
	}
}

// one draws an item at one of the places; nil if there is none.
func (x *machine) one(t *rapid.T, places ...queue.Place) *entry {
	all := slices.DeleteFunc(slices.Clone(x.m.items), func(e *entry) bool { return !slices.Contains(places, e.place) })
	if len(all) == 0 {
		return nil
	}
	return rapid.SampledFrom(all).Draw(t, "item")
}

func (x *machine) giveBack(t *rapid.T) {
	x.m.settle()
	e := x.one(t, queue.Out)
	if e == nil {
		return
	}
	e.runAt, e.due = 0, 0
	if rapid.Bool().Draw(t, "started") {
		e.expires = 0
		if rapid.Bool().Draw(t, "pause") {
			e.due = x.m.up + rapid.IntRange(1, 5).Draw(t, "backoff")
			x.q.Retry(x.m.moment(), e.item, e.Lane, due(e.due))
		} else {
			x.q.Retry(x.m.moment(), e.item, e.Lane, 0)
		}
	} else {
		x.q.Return(x.m.moment(), e.item, e.Lane)
	}
	x.own = e
	x.m.enter(e)
}

func (x *machine) remove(t *rapid.T) {
	x.m.settle()
	e := x.one(t, queue.Out, queue.Ready, queue.Waiting, queue.Blocked, queue.Gone, queue.Expired, queue.Dropped)
	if e == nil {
		return
	}
	was := e.held() || e.place == queue.Blocked
	if x.q.Remove(x.m.moment(), e.item) != was {
		t.Fatalf("remove %+v did not answer %v", e, was)
	}
	if was || e.place == queue.Out {
		e.place = queue.Gone
	}
	x.own = e
	x.m.admit()
}

func (x *machine) wait(t *rapid.T) {
	x.m.up += rapid.IntRange(1, 4).Draw(t, "seconds")
	x.passed(t)
}

// setClock sets the clock on the wall.
func (x *machine) setClock(t *rapid.T) {
	x.m.ahead = rapid.IntRange(-20, 20).Draw(t, "ahead")
	x.passed(t)
}

// passed has the queue and the model follow their clocks.
func (x *machine) passed(t *rapid.T) {
	x.q.Advance(x.m.moment())
	x.m.settle()
	now := x.m.moment()
	if when, due := x.q.Next(); !when.IsZero() && !when.After(now.Wall) || due != 0 && due <= now.Uptime {
		t.Fatalf("at %v the next is at %v, or due at %v", now, when, due)
	}
}

// agree holds the queue's own figures, and the place of each item, to the model.
func (x *machine) agree(t *rapid.T) {
	x.follow(t)
	x.q.Advance(x.m.moment())
	x.m.settle()
	x.follow(t)
	for _, e := range x.m.items {
		got := e.item.Place()
		if got == queue.Parked {
			got = queue.Ready
		}
		if got != e.place {
			t.Fatalf("%+v is at %v, the model has it at %v", e, got, e.place)
		}
	}
	tasks, bytes := x.m.in()
	if s := x.q.Stats(); x.q.Len() != tasks || s.Bytes != bytes || s.Blocked != len(x.m.blocked()) || x.q.LaneLen(0)+x.q.LaneLen(1) != tasks {
		t.Fatalf("%+v; the model has %d tasks of %d bytes", s, tasks, bytes)
	}
}

// follow holds Changes to its promise: with what operations were asked for it
// tells where every item is.
func (x *machine) follow(t *rapid.T) {
	for _, c := range x.q.Changes() {
		e := x.m.items[slices.IndexFunc(x.m.items, func(e *entry) bool { return e.item == c.Item })]
		if e.told != c.From || c.From == c.To {
			t.Fatalf("%d went from %v to %v, but was at %v", e.value, c.From, c.To, e.told)
		}
		e.told = c.To
	}
	if x.own != nil {
		x.own.told, x.own = x.own.item.Place(), nil
	}
	for _, e := range x.m.items {
		if e.told != e.item.Place() {
			t.Fatalf("%d is at %v and nobody told, it was at %v", e.value, e.item.Place(), e.told)
		}
	}
}

func TestTheQueueIsLikeTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newMachine(t)
		t.Repeat(map[string]func(*rapid.T){"push": x.push, "push too": x.push, "pop": x.pop, "pop too": x.pop,
			"give back": x.giveBack, "remove": x.remove, "wait": x.wait, "set clock": x.setClock, "settle": x.settleOne, "": x.agree})
		x.drain(t)
	})
}

// drain ends everything: nothing may be left behind or come twice.
func (x *machine) drain(t *rapid.T) {
	for _, e := range x.m.items {
		if !e.settled && (e.place == queue.Waiting || e.place == queue.Blocked) {
			x.q.Remove(x.m.moment(), e.item) // its owner gives up
			e.place, x.own = queue.Gone, e
			x.m.admit()
			x.agree(t)
		}
	}
	for range 10_000 {
		tasks, _ := x.m.in()
		if tasks == 0 && len(x.m.blocked()) == 0 {
			return
		}
		x.m.up++
		for lane := range x.lanes {
			for it := x.q.Pop(x.m.moment(), lane); it != nil; it = x.q.Pop(x.m.moment(), lane) {
				x.m.settle()
				e := x.m.items[slices.IndexFunc(x.m.items, func(e *entry) bool { return e.item == it })]
				if err := x.m.check(e, lane, x.strict); err != nil {
					t.Fatal(err)
				}
				e.place, e.popped = queue.Out, true
				x.own = e
				x.m.admit()
				x.agree(t)
			}
		}
		for _, e := range x.m.items {
			if e.place == queue.Out {
				x.q.Remove(x.m.moment(), e.item)
				e.place, e.told = queue.Gone, queue.Gone
			}
		}
		x.agree(t)
	}
	t.Fatal("the queue could not be emptied")
}
