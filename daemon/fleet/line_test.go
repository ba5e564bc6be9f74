package fleet

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"cpulb/plugins"
)

// wire is a Conn that notes what is sent.
type wire struct {
	Conn
	sent []uint64
}

func (w *wire) Send(tasks ...*plugins.Task) error {
	for _, t := range tasks {
		w.sent = append(w.sent, t.Seq)
	}
	return nil
}

func TestTasksOfASlotAreSentInTheirOrderWhoeverComesFirst(t *testing.T) {
	w := &wire{}
	s := &Slot{conn: w}
	const all = 1000
	var parts [][]*plugins.Task
	for seq := uint64(1); seq <= all; {
		var part []*plugins.Task
		for n := 1 + rand.IntN(5); n > 0 && seq <= all; n-- {
			part = append(part, &plugins.Task{Seq: seq})
			seq++
		}
		parts = append(parts, part)
	}
	rand.Shuffle(len(parts), func(i, j int) {
		if i-j < 10 && j-i < 10 {
			parts[i], parts[j] = parts[j], parts[i]
		}
	})
	var senders sync.WaitGroup
	for first := range 4 {
		senders.Go(func() {
			for i := first; i < len(parts); i += 4 {
				s.Send(parts[i]...)
			}
		})
	}
	senders.Wait()
	if len(w.sent) != all || !slices.IsSorted(w.sent) {
		t.Errorf("%d of %d: %v", len(w.sent), all, w.sent)
	}
}
