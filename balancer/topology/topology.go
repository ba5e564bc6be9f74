// Package topology knows the computer's CPUs: which of them this process may use,
// which are hyper-threads of one core, which are near to the same memory, and
// which are slower than others; and it says in what order workers are placed on
// them.
//
// Guarantees: a Topology never changes; what the kernel says later is in the next
// one that is read. The same files give the same answers. Nothing here sets an
// affinity: whether a worker runs where it was placed is the supervisor's to see to.
package topology

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Errors of Select and Reserve, wrapped with what is allowed.
var (
	// ErrNotUsable: a CPU that was asked for by number is not one that this process
	// may use.
	ErrNotUsable = errors.New("CPU can't be used")
	// ErrTooFewCores: keeping so many cores for the daemon leaves none to workers.
	ErrTooFewCores = errors.New("no core would be left for workers")
)

// CPU is what the kernel schedules on: a core, or a hyper-thread of one.
type CPU struct {
	ID       int
	Core     int // the lowest ID among the hyper-threads of its core
	Node     int // of NUMA: the memory that is near to it
	Capacity int // relative to other CPUs of the machine; equal where all are alike
}

// Topology is the CPUs that this process may use.
type Topology struct {
	cpus   []CPU          // by ID
	unused map[int]string // CPUs of the machine that are not among them, and why
}

// IDs returns their numbers.
func (t *Topology) IDs() []int { return ids(t.cpus) }

// Select returns the CPUs that list means: "" and "auto" mean all that are usable,
// anything else must name usable ones.
func (t *Topology) Select(list string) ([]int, error) {
	if list == "" || list == "auto" {
		return t.IDs(), nil
	}
	cpus, err := ParseCPUs(list)
	if err != nil {
		return nil, err
	}
	for _, id := range cpus {
		if _, ok := t.cpu(id); !ok {
			why, known := t.unused[id]
			if !known {
				why = "the machine has none of this number"
			}
			return nil, fmt.Errorf("%w: CPU %d: %s (usable: %s)", ErrNotUsable, id, why, FormatCPUs(t.IDs()))
		}
	}
	return cpus, nil
}

// Reserve keeps whole cores for the daemon: the first of the slowest kind, which on
// a machine of like cores is the one that also serves most interrupts. What is left
// of cpus is for workers. A core is kept with all of its hyper-threads, or a worker
// on one of them would slow the daemon down.
func (t *Topology) Reserve(cpus []int, cores int) (daemon, workers []int, err error) {
	if cores <= 0 {
		return nil, slices.Clone(cpus), nil
	}
	chosen := t.among(cpus)
	slices.SortStableFunc(chosen, func(a, b CPU) int {
		return cmp.Or(cmp.Compare(a.Capacity, b.Capacity), cmp.Compare(a.Core, b.Core))
	})
	kept := map[int]bool{}
	for _, c := range chosen {
		if len(kept) < cores {
			kept[c.Core] = true
		}
	}
	for _, c := range t.among(cpus) {
		if kept[c.Core] {
			daemon = append(daemon, c.ID)
		} else {
			workers = append(workers, c.ID)
		}
	}
	if len(workers) == 0 {
		return nil, nil, fmt.Errorf("%w: reserve = %d of the %d cores of CPUs %s", ErrTooFewCores, cores, len(kept), FormatCPUs(cpus))
	}
	return daemon, workers, nil
}

// Order returns cpus in the order in which CPU-bound workers, one for each CPU, are
// placed on them: every core gets one worker before any gets a second on another
// hyper-thread of it; among cores, faster ones first; among like ones, the NUMA
// nodes take turns, so that few workers have the caches and the memory bandwidth of
// all. CPUs that can't be used are left out.
func (t *Topology) Order(cpus []int) []int {
	chosen := t.among(cpus)
	thread, turn := threads(chosen), map[[3]int]int{}
	place := map[int][3]int{} // the number of its hyper-thread, its slowness, its turn
	for _, c := range chosen {
		group := [3]int{thread[c.ID], c.Capacity, c.Node}
		place[c.ID] = [3]int{thread[c.ID], -c.Capacity, turn[group]}
		turn[group]++
	}
	slices.SortStableFunc(chosen, func(a, b CPU) int {
		p, q := place[a.ID], place[b.ID]
		return cmp.Or(slices.Compare(p[:], q[:]), cmp.Compare(a.Node, b.Node), cmp.Compare(a.ID, b.ID))
	})
	return ids(chosen)
}

// threads numbers the hyper-threads of each core, counting only cpus: where a
// worker may use but the second of a core, that one is as good as a first.
func threads(cpus []CPU) map[int]int {
	number, seen := map[int]int{}, map[int]int{}
	for _, c := range cpus {
		number[c.ID] = seen[c.Core]
		seen[c.Core]++
	}
	return number
}

// Spread returns, for each of some workers that are not pinned to one CPU, the CPUs
// it may run on: those of one NUMA node, so that its threads stay near to their
// memory, the nodes sharing the workers by their size. With fewer workers than
// nodes, the nodes are shared among the workers. Each of cpus is some worker's.
func (t *Topology) Spread(cpus []int, workers int) [][]int {
	nodes := t.nodes(cpus)
	if len(nodes) == 0 || workers <= 0 {
		return nil
	}
	sets := make([][]int, workers)
	if workers < len(nodes) {
		for i, node := range nodes {
			sets[i%workers] = append(sets[i%workers], node...)
		}
		for _, set := range sets {
			slices.Sort(set)
		}
		return sets
	}
	held := make([]int, len(nodes))
	for i := range sets {
		best := 0
		for n := range nodes { // fewest workers for each CPU, once this one is there
			if (held[n]+1)*len(nodes[best]) < (held[best]+1)*len(nodes[n]) {
				best = n
			}
		}
		// While some node has no worker, one that has must not get the last of them.
		if empty := slices.Index(held, 0); empty >= 0 && held[best] > 0 && workers-i <= count(held, 0) {
			best = empty
		}
		held[best]++
		sets[i] = slices.Clone(nodes[best])
	}
	return sets
}

func count(list []int, value int) int {
	n := 0
	for _, v := range list {
		if v == value {
			n++
		}
	}
	return n
}

// nodes returns the usable CPUs of cpus by NUMA node.
func (t *Topology) nodes(cpus []int) [][]int {
	by := map[int][]int{}
	for _, c := range t.among(cpus) {
		by[c.Node] = append(by[c.Node], c.ID)
	}
	var nodes [][]int
	for _, n := range slices.Sorted(maps.Keys(by)) {
		nodes = append(nodes, by[n])
	}
	return nodes
}

// among returns those of cpus that are usable, by ID and each once.
func (t *Topology) among(cpus []int) []CPU {
	var chosen []CPU
	for _, c := range t.cpus {
		if slices.Contains(cpus, c.ID) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

func (t *Topology) cpu(id int) (CPU, bool) {
	i, ok := slices.BinarySearchFunc(t.cpus, id, func(c CPU, id int) int { return cmp.Compare(c.ID, id) })
	if !ok {
		return CPU{}, false
	}
	return t.cpus[i], true
}

func ids(cpus []CPU) []int {
	list := make([]int, len(cpus))
	for i, c := range cpus {
		list[i] = c.ID
	}
	return list
}
