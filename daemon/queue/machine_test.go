package queue_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"cpulb/daemon/queue"

	"pgregory.net/rapid"
)

// machine drives queue and model side by side.
type machine struct {
	q      *queue.Queue[int]
	m      *model
	strict bool // without ageing
	lanes  int
	own    *entry // which the last operation was asked for
	// served are, for each owner who could have been popped for in a lane all the time,
	// those who were meanwhile.
	served map[place]map[uint32]bool
}

// place is an owner's in a lane.
type place struct {
	lane  int
	owner uint32
}

func anybody(uint32) bool { return true }

func newMachine(t *rapid.T) *machine {
	limits := map[string]int{"a": 1, "b": 2, "c": 3}
	m := &model{maxTasks: rapid.IntRange(1, 12).Draw(t, "tasks"), maxBytes: int64(rapid.IntRange(5, 60).Draw(t, "bytes")),
		policy: queue.Policy(rapid.IntRange(0, 2).Draw(t, "policy")), limits: limits, up: 100} // so that no time is 0
	ageing := rapid.SampledFrom([]time.Duration{0, 0, 3 * time.Second}).Draw(t, "ageing")
	o := queue.Options{Lanes: 2, MaxTasks: m.maxTasks, MaxBytes: m.maxBytes, Policy: m.policy, Ageing: ageing,
		KeyLimit: func(key string) int { return limits[key] }}
	return &machine{queue.New[int](o), m, ageing == 0, 2, nil, map[place]map[uint32]bool{}}
}

func (x *machine) push(t *rapid.T) {
	e := &entry{value: len(x.m.items), Entry: queue.Entry{
		Lane: rapid.IntRange(0, x.lanes-1).Draw(t, "lane"), Priority: rapid.IntRange(0, 9).Draw(t, "priority"),
		Owner: uint32(rapid.IntRange(0, owners-1).Draw(t, "owner")), Key: rapid.SampledFrom([]string{"", "", "a", "b", "c"}).Draw(t, "key"),
		Bytes: int64(rapid.IntRange(0, 20).Draw(t, "bytes"))}}
	e.Held, e.Whole = rapid.IntRange(0, 3).Draw(t, "held") == 0, e.Owner == owners-1
	if e.settled = !e.Held; e.settled {
		e.Times = x.times(t, e)
	}
	x.m.settle()
	want := x.m.push(e)
	it, err := x.q.Push(x.m.moment(), e.value, e.Entry)
	if want != (err == nil) || err != nil && !errors.Is(err, queue.ErrFull) && !errors.Is(err, queue.ErrTooLarge) {
		t.Fatalf("push %+v answered %v, the model says %v", e, err, want)
	}
	if full := new(queue.FullError); errors.As(err, &full) && full.Share && (e.Whole || full.Has == 0) {
		t.Fatalf("push %+v: %v", e, err)
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

// restore takes one in as if from before a restart.
func (x *machine) restore(t *rapid.T) {
	e := &entry{value: len(x.m.items), settled: true, Entry: queue.Entry{
		Lane: rapid.IntRange(0, x.lanes-1).Draw(t, "lane"), Priority: rapid.IntRange(0, 9).Draw(t, "priority"),
		Owner: uint32(rapid.IntRange(0, owners-1).Draw(t, "owner")), Bytes: int64(rapid.IntRange(0, 20).Draw(t, "bytes"))}}
	x.m.settle()
	e.item = x.q.Restore(x.m.moment(), e.value, e.Entry)
	x.m.items, x.own = append(x.m.items, e), e
	x.m.enter(e)
}

func (x *machine) pop(t *rapid.T) {
	x.m.settle()
	lane := rapid.IntRange(0, x.lanes-1).Draw(t, "lane")
	some := rapid.SliceOfN(rapid.Bool(), owners, owners).Draw(t, "allowed")
	if rapid.IntRange(0, 3).Draw(t, "looked at first") == 0 { // which changes nothing
		if it := x.q.PopIf(x.m.moment(), lane, nil, func(int) bool { return false }); it != nil {
			t.Fatalf("%d is popped, although it was not to be", it.Value)
		}
	}
	switch rapid.IntRange(0, 2).Draw(t, "for some") {
	case 0:
		x.popped(t, x.q.RunnableFor(x.m.moment(), lane, func(owner uint32) bool { return some[owner] }),
			x.q.PopFor(x.m.moment(), lane, func(owner uint32) bool { return some[owner] }), lane, func(owner uint32) bool { return some[owner] })
	default:
		x.popped(t, x.q.Runnable(x.m.moment(), lane), x.q.Pop(x.m.moment(), lane), lane, anybody)
	}
}

// popped holds what was popped to the model.
func (x *machine) popped(t *rapid.T, announced bool, it *queue.Item[int], lane int, allow func(uint32) bool) {
	if announced != (it != nil) {
		t.Fatalf("announced %v, popped %v", announced, it)
	}
	var e *entry
	if it != nil {
		e = x.m.items[slices.IndexFunc(x.m.items, func(e *entry) bool { return e.value == it.Value })]
	}
	if err := x.m.check(e, lane, x.strict, allow); err != nil {
		t.Fatal(err)
	}
	if e != nil {
		x.turn(t, e, lane, allow)
		e.place, e.popped = queue.Out, true
		x.own = e
		x.m.admit()
	}
}

// turn holds owners to their turns: nobody is popped for twice while another could be.
func (x *machine) turn(t *rapid.T, e *entry, lane int, allow func(uint32) bool) {
	for owner := range uint32(owners) {
		at := place{lane, owner}
		switch {
		case owner == e.Owner:
			delete(x.served, at)
		case !x.m.runs(at):
		case x.served[at] == nil:
			x.served[at] = map[uint32]bool{e.Owner: true}
		case allow(owner) && x.served[at][e.Owner]:
			t.Fatalf("owner %d was popped for twice in lane %d while %d waits", e.Owner, lane, owner)
		default:
			x.served[at][e.Owner] = true
		}
	}
}

// runs reports whether an owner has something there that can run.
func (m *model) runs(at place) bool {
	return slices.ContainsFunc(m.items, func(e *entry) bool { return e.Owner == at.owner && m.runnable(e, at.lane) })
}

// lostTurns forgets who was served while those owners waited who do not, or who may have
// had nothing ready for a moment.
func (x *machine) lostTurns(of *entry) {
	for at := range x.served {
		if of != nil && of.Owner == at.owner || !x.m.runs(at) {
			delete(x.served, at)
		}
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
	x.lostTurns(e)
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
	for _, p := range x.q.Parts() {
		if tasks, bytes := x.m.own(p.Owner); p.Tasks != tasks || p.Bytes != bytes {
			t.Fatalf("%+v; the model has %d tasks of %d bytes", p, tasks, bytes)
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
		if e.told = c.To; c.From == queue.Ready {
			x.lostTurns(e)
		}
	}
	x.lostTurns(nil)
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
		t.Repeat(map[string]func(*rapid.T){"push": x.push, "push too": x.push, "pop": x.pop, "pop too": x.pop, "restore": x.restore,
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
				x.popped(t, true, it, lane, anybody)
				x.agree(t)
			}
		}
		for _, e := range x.m.items {
			if e.place == queue.Out {
				x.q.Remove(x.m.moment(), e.item)
				e.place, e.told = queue.Gone, queue.Gone
				x.m.admit()
			}
		}
		x.agree(t)
	}
	t.Fatal("the queue could not be emptied")
}
