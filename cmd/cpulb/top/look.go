package top

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Look is how a Snapshot is shown.
type Look struct {
	// Width and Height are of the terminal; 0: there is no bound.
	Width, Height int
	// Colour: the terminal shows styles.
	Colour bool
	Sort   Order
	// Reverse has the last worker of the order first.
	Reverse bool
	// Skip is how many workers are above the first one that is shown.
	Skip int
	// Every is the time between two Snapshots; 0: this one is the only one.
	Every  time.Duration
	Paused bool
	Help   bool
}

// Order is by what workers are sorted.
type Order int

// The orders, in which the key s goes through them.
const (
	ByCore Order = iota
	ByBusy
	ByRate
	ByMemory
	ByRestarts
	ByName
	orders
)

func (o Order) String() string {
	return [...]string{"core", "busy", "done/s", "memory", "restarts", "name"}[o]
}

// Orders lists the names that ParseOrder takes.
func Orders() []string { return []string{"core", "busy", "rate", "memory", "restarts", "name"} }

// ParseOrder returns the order with one of the names of Orders, ByCore for any other text.
func ParseOrder(name string) Order { return Order(max(0, slices.Index(Orders(), name))) }

// sorted returns the workers in an order; those that are equal in it are by core and name.
func sorted(workers []Worker, by Order, reverse bool) []Worker {
	all := slices.Clone(workers)
	slices.SortStableFunc(all, func(a, b Worker) int {
		order := cmp.Or(compare(&a, &b, by), compare(&a, &b, ByCore), compare(&a, &b, ByName), cmp.Compare(a.PID, b.PID))
		if reverse {
			return -order
		}
		return order
	})
	return all
}

// compare orders figures from the largest on, names and cores from the first.
func compare(a, b *Worker, by Order) int {
	switch by {
	case ByBusy:
		return cmp.Compare(share(b), share(a))
	case ByRate:
		return cmp.Compare(rateOf(b), rateOf(a))
	case ByMemory:
		return cmp.Compare(b.RSSBytes, a.RSSBytes)
	case ByRestarts:
		return cmp.Compare(b.Restarts, a.Restarts)
	case ByName:
		return strings.Compare(a.ID, b.ID)
	default:
		return cmp.Compare(core(a), core(b))
	}
}

func share(w *Worker) float64 { return float64(w.SlotsBusy) / float64(max(1, w.Slots)) }

func rateOf(w *Worker) float64 {
	if w.DonePerSecond == nil {
		return -1
	}
	return *w.DonePerSecond
}

// core puts workers that are not pinned after those that are.
func core(w *Worker) int {
	if w.Core < 0 {
		return 1 << 30
	}
	return w.Core
}
