package queue_test

import (
	"errors"
	"testing"

	"cpulb/daemon/queue"

	"pgregory.net/rapid"
)

// model is the queue written down naively: a slice to search.
type model struct {
	entries []entry
}

type entry struct{ lane, priority, order, value int }

func (m *model) pop(lane int) (int, bool) {
	best := -1
	for i, e := range m.entries {
		if e.lane != lane {
			continue
		}
		if best < 0 || e.priority > m.entries[best].priority ||
			e.priority == m.entries[best].priority && e.order < m.entries[best].order {
			best = i
		}
	}
	if best < 0 {
		return 0, false
	}
	v := m.entries[best].value
	m.entries = append(m.entries[:best], m.entries[best+1:]...)
	return v, true
}

func TestHigherPriorityLeavesFirstAndEqualOnesInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const lanes, capacity = 3, 8
		q := queue.New[int](lanes, capacity)
		m := &model{}
		items := map[int]*queue.Item[int]{}
		next, first := 0, 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				lane, prio := rapid.IntRange(0, lanes-1).Draw(t, "lane"), rapid.IntRange(0, 9).Draw(t, "priority")
				it, err := q.Push(lane, prio, next)
				if full := len(m.entries) >= capacity; full != errors.Is(err, queue.ErrFull) {
					t.Fatalf("full is %v, Push answered %v", full, err)
				}
				if err == nil {
					items[next] = it
					m.entries = append(m.entries, entry{lane, prio, next, next})
				}
				next++
			},
			"return": func(t *rapid.T) {
				lane, prio := rapid.IntRange(0, lanes-1).Draw(t, "lane"), rapid.IntRange(0, 9).Draw(t, "priority")
				first--
				items[next] = q.Return(lane, prio, next)
				m.entries = append(m.entries, entry{lane, prio, first, next})
				next++
			},
			"pop": func(t *rapid.T) {
				lane := rapid.IntRange(0, lanes-1).Draw(t, "lane")
				got, ok := q.Pop(lane)
				want, wantOK := m.pop(lane)
				if got != want || ok != wantOK {
					t.Fatalf("Pop(%d) = %d, %v; want %d, %v", lane, got, ok, want, wantOK)
				}
			},
			"remove": func(t *rapid.T) {
				if next == 0 {
					return
				}
				v := rapid.IntRange(0, next-1).Draw(t, "value")
				had := false
				for i, e := range m.entries {
					if e.value == v {
						m.entries, had = append(m.entries[:i], m.entries[i+1:]...), true
						break
					}
				}
				if items[v] != nil && q.Remove(items[v]) != had {
					t.Fatalf("Remove(%d) disagrees: it was queued: %v", v, had)
				}
			},
			"": func(t *rapid.T) {
				if q.Len() != len(m.entries) {
					t.Fatalf("Len = %d, want %d", q.Len(), len(m.entries))
				}
			},
		})
	})
}

func TestARefusedItemIsCountedAsDropped(t *testing.T) {
	q := queue.New[string](1, 1)
	if _, err := q.Push(0, 5, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Push(0, 9, "b"); !errors.Is(err, queue.ErrFull) {
		t.Fatalf("second Push: %v", err)
	}
	if q.Put() != 1 || q.Dropped() != 1 {
		t.Fatalf("put %d, dropped %d; want 1, 1", q.Put(), q.Dropped())
	}
}
