package queue_test

import (
	"fmt"
	"slices"

	"cpulb/daemon/queue"
)

// model is the queue written down naively: all that was ever pushed, in a slice
// to search. It knows no ageing, and no turns of owners but of those who are blocked and
// of those who have something ready.
type model struct {
	maxTasks int
	maxBytes int64
	policy   queue.Policy
	limits   map[string]int
	// up is the uptime in seconds; ahead is how far the clock on the wall is before it.
	up, ahead int
	seq       int
	items     []*entry
	// outside are the owners of whom something is blocked, in turn.
	outside []uint32
}

// owners are how many there are; the last is an administrator, whose share is the whole.
const owners = 4

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

func (m *model) in() (tasks int, bytes int64) { return m.sum(func(*entry) bool { return true }) }

// own is what of it belongs to one owner.
func (m *model) own(owner uint32) (tasks int, bytes int64) {
	return m.sum(func(e *entry) bool { return e.Owner == owner })
}

func (m *model) sum(of func(*entry) bool) (tasks int, bytes int64) {
	for _, e := range m.items {
		if of(e) && e.held() {
			tasks++
		}
		if of(e) && e.heavy() {
			bytes += e.Bytes
		}
	}
	return tasks, bytes
}

// held reports whether e takes a place. Ready stands for Parked, too: which of both
// it is, the model does not know.
func (e *entry) held() bool { return e.place == queue.Waiting || e.place == queue.Ready }

// heavy reports whether the bytes of e count: until it has ended.
func (e *entry) heavy() bool { return e.held() || e.place == queue.Out }

func (m *model) fits(e *entry) bool {
	tasks, bytes := m.in()
	ownTasks, ownBytes := m.own(e.Owner)
	return within(int64(m.maxTasks), int64(tasks), int64(ownTasks), 1, e.Whole) && within(m.maxBytes, bytes, ownBytes, e.Bytes, e.Whole)
}

// within is what a share is: all of it is bounded, and one's own by twice what is left.
func within(most, all, own, n int64, whole bool) bool {
	left := most - all - n
	return left >= 0 && (whole || own == 0 || own+n <= 2*left)
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
	expired := false
	for e := m.passed(m.wall(), (*entry).instant); e != nil; e = m.passed(m.wall(), (*entry).instant) {
		if e.expires != 0 && e.expires <= m.wall() {
			e.place, expired = queue.Expired, true
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
	if expired {
		m.admit()
	}
}

// first returns what of an owner's has been blocked first; nil if none is.
func (m *model) first(owner uint32) *entry {
	for _, e := range m.blocked() {
		if e.Owner == owner {
			return e
		}
	}
	return nil
}

// admit lets in one of each owner in turn, until none fits.
func (m *model) admit() {
	m.outside = slices.DeleteFunc(m.outside, func(owner uint32) bool { return m.first(owner) == nil })
	for passed := 0; passed < len(m.outside); {
		owner := m.outside[0]
		e := m.first(owner)
		m.outside = m.outside[1:]
		if m.fits(e) {
			m.enter(e)
			passed = 0
		} else {
			passed++
		}
		if m.first(owner) != nil {
			m.outside = append(m.outside, owner)
		}
	}
}

// push answers whether the queue has to take e.
func (m *model) push(e *entry) bool {
	blocks := m.first(e.Owner) != nil
	m.items = append(m.items, e)
	switch {
	case e.Bytes > m.maxBytes:
	case !blocks && m.fits(e):
		m.enter(e)
		return true
	case m.policy == queue.Block:
		e.place = queue.Blocked
		if !blocks {
			m.outside = append(m.outside, e.Owner)
		}
		return true
	case m.policy == queue.DropOldest && m.makeRoom(e):
		m.enter(e)
		return true
	}
	m.items = m.items[:len(m.items)-1]
	return false
}

// loser is whose tasks make room for newest, and up to which priority.
func (m *model) loser(newest *entry) (owner uint32, most int) {
	tasks, bytes := m.in()
	need, inBytes := func(e *entry) int64 { return 1 }, false
	missing := int64(tasks+1) - int64(m.maxTasks)
	ownTasks, _ := m.own(newest.Owner)
	if within(int64(m.maxTasks), int64(tasks), int64(ownTasks), 1, newest.Whole) {
		need, inBytes = func(e *entry) int64 { return e.Bytes }, true
		missing = bytes + newest.Bytes - m.maxBytes
	}
	part := func(owner uint32) int64 {
		tasks, bytes := m.own(owner)
		if inBytes {
			return bytes
		}
		return int64(tasks)
	}
	owner, most = newest.Owner, newest.Priority
	if missing <= 0 || part(owner) > 0 && !newest.Whole {
		return owner, most
	}
	most = -1
	for other := range uint32(owners) {
		loses := int64(0)
		for _, v := range m.victims(other, 9) {
			loses += need(v)
		}
		if other != newest.Owner && loses >= missing && (most < 0 || part(other) > part(owner)) {
			owner, most = other, 9
		}
	}
	if most < 0 || part(owner)-missing < part(newest.Owner)+need(newest) {
		return newest.Owner, newest.Priority
	}
	return owner, most
}

// victims are an owner's tasks that may be dropped, in that order.
func (m *model) victims(owner uint32, most int) []*entry {
	victims := slices.DeleteFunc(slices.Clone(m.items), func(e *entry) bool {
		return e.place != queue.Ready || e.popped || e.Owner != owner || e.Priority > most
	})
	slices.SortFunc(victims, func(a, b *entry) int {
		if a.Priority != b.Priority {
			return a.Priority - b.Priority
		}
		return a.seq - b.seq
	})
	return victims
}

func (m *model) makeRoom(newest *entry) bool {
	victims := m.victims(m.loser(newest))
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

// out is how many of an owner's with this key are out.
func (m *model) out(owner uint32, key string) int {
	n := 0
	for _, e := range m.items {
		if e.place == queue.Out && e.Owner == owner && e.Key == key {
			n++
		}
	}
	return n
}

func (m *model) runnable(e *entry, lane int) bool {
	return e.place == queue.Ready && e.Lane == lane && (e.Key == "" || m.out(e.Owner, e.Key) < m.limits[e.Key])
}

// check says what is wrong with popping e, nil for nothing, from a lane for those owners.
func (m *model) check(e *entry, lane int, strict bool, allow func(uint32) bool) error {
	if e != nil && (!m.runnable(e, lane) || !allow(e.Owner)) {
		return fmt.Errorf("popped %d, which can't run: %+v", e.value, e)
	}
	for _, o := range m.items {
		switch {
		case o == e || !m.runnable(o, lane) || !allow(o.Owner):
		case e == nil:
			return fmt.Errorf("popped nothing, but %d can run", o.value)
		case strict && o.Owner == e.Owner && o.Priority > e.Priority:
			return fmt.Errorf("popped %d before %d of a higher priority", e.value, o.value)
		case o.Priority == e.Priority && o.Owner == e.Owner && o.Key == e.Key && o.seq < e.seq:
			return fmt.Errorf("popped %d before %d, which came first", e.value, o.value)
		}
	}
	return nil
}
