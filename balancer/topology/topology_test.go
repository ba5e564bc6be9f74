package topology_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"cpulb/balancer/topology"

	"pgregory.net/rapid"
)

// machine is a computer to read: what the kernel's files would say of it.
type machine struct {
	online, present string
	cores           []string       // the hyper-threads of each core
	nodes           map[int]string // by number; none: a kernel without NUMA
	capacity        map[string]int // of CPUs
	big             string         // of a hybrid processor whose kernel has no cpu_capacity
	mask            string         // empty: all that is online
	cgroups         string         // /proc/self/cgroup
	cpusets         map[string]string
	oldNames        bool
}

func (m machine) source(t testing.TB) topology.Source {
	sys, proc := fstest.MapFS{}, fstest.MapFS{}
	put := func(name, text string) { sys[name] = &fstest.MapFile{Data: []byte(text + "\n")} }
	put("devices/system/cpu/online", m.online)
	if m.present != "" {
		put("devices/system/cpu/present", m.present)
	}
	siblings := "core_cpus_list"
	if m.oldNames {
		siblings = "thread_siblings_list"
	}
	for _, list := range m.cores {
		for _, id := range parse(t, list) {
			put(fmt.Sprintf("devices/system/cpu/cpu%d/topology/%s", id, siblings), list)
		}
	}
	var nodes []string
	for n, list := range m.nodes {
		nodes = append(nodes, fmt.Sprint(n))
		put(fmt.Sprintf("devices/system/node/node%d/cpulist", n), list)
	}
	if nodes != nil {
		put("devices/system/node/online", strings.Join(nodes, ","))
	}
	for list, capacity := range m.capacity {
		for _, id := range parse(t, list) {
			put(fmt.Sprintf("devices/system/cpu/cpu%d/cpu_capacity", id), fmt.Sprint(capacity))
		}
	}
	if m.big != "" {
		put("devices/cpu_core/cpus", m.big)
	}
	for name, list := range m.cpusets {
		put("fs/cgroup/"+name, list)
	}
	if m.cgroups != "" {
		proc["self/cgroup"] = &fstest.MapFile{Data: []byte(m.cgroups)}
	}
	mask := m.mask
	if mask == "" {
		mask = m.online
	}
	return topology.Source{Sys: sys, Proc: proc, Affinity: func() ([]int, error) { return topology.ParseCPUs(mask) }}
}

func (m machine) read(t testing.TB) *topology.Topology {
	t.Helper()
	topo, err := m.source(t).Read()
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

func parse(t testing.TB, list string) []int {
	t.Helper()
	cpus, err := topology.ParseCPUs(list)
	if err != nil {
		t.Fatal(err)
	}
	return cpus
}

func TestWorkersArePlacedOnCoresBeforeHyperThreadsAndOnAllNodesInTurn(t *testing.T) {
	for name, c := range map[string]struct {
		machine
		want []int
	}{
		"nothing is known but the numbers": {machine{online: "0-3"}, []int{0, 1, 2, 3}},
		"siblings side by side":            {machine{online: "0-3", cores: []string{"0-1", "2-3"}}, []int{0, 2, 1, 3}},
		"siblings far apart":               {machine{online: "0-3", cores: []string{"0,2", "1,3"}}, []int{0, 1, 2, 3}},
		"a kernel before 5.3":              {machine{online: "0-3", cores: []string{"0-1", "2-3"}, oldNames: true}, []int{0, 2, 1, 3}},
		"two nodes with pairs": {machine{online: "0-7", cores: []string{"0,4", "1,5", "2,6", "3,7"},
			nodes: map[int]string{0: "0-1,4-5", 1: "2-3,6-7"}}, []int{0, 2, 1, 3, 4, 6, 5, 7}},
		"nodes of unlike size, one with memory alone": {machine{online: "0-4",
			nodes: map[int]string{0: "0", 1: "", 2: "1-4"}}, []int{0, 1, 2, 3, 4}},
		"offline hyper-threads": {machine{online: "0,2-3", present: "0-3", cores: []string{"0", "2-3"}}, []int{0, 2, 3}},
		"an offline sibling that the kernel still names": {machine{online: "1-3", present: "0-3",
			cores: []string{"0-1", "2-3"}}, []int{1, 2, 3}},
		"sparse numbers": {machine{online: "0,8,64,72", cores: []string{"0,64", "8,72"}}, []int{0, 8, 64, 72}},
		"hybrid, told by kind": {machine{online: "0-5", cores: []string{"0-1", "2-3", "4", "5"}, big: "0-3"},
			[]int{0, 2, 4, 5, 1, 3}},
		"hybrid, told by capacity, the slow ones first": {machine{online: "0-5",
			capacity: map[string]int{"0-3": 446, "4-5": 1024}}, []int{4, 5, 0, 1, 2, 3}},
		"only second hyper-threads are allowed": {machine{online: "0-3", cores: []string{"0-1", "2-3"}, mask: "1,3"}, []int{1, 3}},
	} {
		topo := c.read(t)
		if got := topo.Order(topo.IDs()); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestOnlyWhatMaskAndCgroupAllowIsUsed(t *testing.T) {
	for name, c := range map[string]struct {
		machine
		want []int
	}{
		"mask":                       {machine{online: "0-7", mask: "2-3"}, []int{2, 3}},
		"mask beyond what is online": {machine{online: "0-1", present: "0-3", mask: "1-3"}, []int{1}},
		"cgroup 2": {machine{online: "0-7", cgroups: "0::/system.slice/cpulbd.service\n",
			cpusets: map[string]string{"system.slice/cpulbd.service/cpuset.cpus.effective": "4-5"}}, []int{4, 5}},
		"cgroup 2, set further up": {machine{online: "0-7", cgroups: "0::/system.slice/cpulbd.service\n",
			cpusets: map[string]string{"system.slice/cpuset.cpus.effective": "0-1", "cpuset.cpus.effective": "0-7"}}, []int{0, 1}},
		"cgroup 1": {machine{online: "0-7", cgroups: "3:cpuset:/docker/abc\n1:cpu,cpuacct:/\n0::/\n",
			cpusets: map[string]string{"cpuset/docker/abc/cpuset.effective_cpus": "6"}}, []int{6}},
		"cgroup 1, a container that sees only itself": {machine{online: "0-7", cgroups: "3:cpuset:/docker/abc\n",
			cpusets: map[string]string{"cpuset/cpuset.effective_cpus": "1"}}, []int{1}},
		"both":                   {machine{online: "0-7", mask: "0-3", cgroups: "0::/\n", cpusets: map[string]string{"cpuset.cpus.effective": "3-5"}}, []int{3}},
		"a cgroup without a say": {machine{online: "0-1", cgroups: "garbage\n0::/a\n"}, []int{0, 1}},
	} {
		if got := c.read(t).IDs(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if _, err := (machine{online: "0-3", mask: "8"}).source(t).Read(); !errors.Is(err, topology.ErrNotUsable) {
		t.Errorf("nothing usable: %v", err)
	}
}

func TestWhatTheKernelCannotMeanIsAnErrorThatNamesTheFile(t *testing.T) {
	for file, m := range map[string]machine{
		"cpu/online":  {online: "zero", mask: "0"},
		"cpulist":     {online: "0", nodes: map[int]string{0: "x"}},
		"core_cpus":   {online: "0", cores: []string{"0"}},
		"cpu/present": {online: "0", present: "-"},
	} {
		source := m.source(t)
		if file == "core_cpus" {
			source.Sys.(fstest.MapFS)["devices/system/cpu/cpu0/topology/core_cpus_list"].Data = []byte("0-")
		}
		if _, err := source.Read(); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
	source := machine{online: "0"}.source(t)
	source.Affinity = func() ([]int, error) { return nil, errors.ErrUnsupported }
	if _, err := source.Read(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("no mask: %v", err)
	}
}

func TestSelectSaysWhyACPUCanNotBeUsed(t *testing.T) {
	topo := machine{online: "0-6", present: "0-7", mask: "0-5,7", cgroups: "0::/\n",
		cpusets: map[string]string{"cpuset.cpus.effective": "0-4"}}.read(t)
	for list, want := range map[string][]int{"auto": {0, 1, 2, 3, 4}, "": {0, 1, 2, 3, 4}, "3,1": {1, 3}} {
		if got, err := topo.Select(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	for list, why := range map[string]string{"0,7": "offline", "6": "affinity", "5": "cpuset", "9": "none of this number"} {
		if _, err := topo.Select(list); !errors.Is(err, topology.ErrNotUsable) || !strings.Contains(err.Error(), why) ||
			!strings.Contains(err.Error(), "usable: 0-4") {
			t.Errorf("%q: %v", list, err)
		}
	}
	if _, err := topo.Select("all"); err == nil {
		t.Error("no list, but accepted")
	}
}

func TestTheDaemonKeepsWholeCores(t *testing.T) {
	pairs := machine{online: "0-5", cores: []string{"0,3", "1,4", "2,5"}}.read(t)
	hybrid := machine{online: "0-3", big: "0-1"}.read(t)
	for _, c := range []struct {
		topo            *topology.Topology
		cpus            []int
		cores           int
		daemon, workers []int
	}{
		{pairs, pairs.IDs(), 0, nil, []int{0, 1, 2, 3, 4, 5}},
		{pairs, pairs.IDs(), 1, []int{0, 3}, []int{1, 2, 4, 5}},
		{pairs, pairs.IDs(), 2, []int{0, 1, 3, 4}, []int{2, 5}},
		{pairs, []int{1, 2, 4}, 1, []int{1, 4}, []int{2}},
		{hybrid, hybrid.IDs(), 1, []int{2}, []int{0, 1, 3}},
	} {
		daemon, workers, err := c.topo.Reserve(c.cpus, c.cores)
		if err != nil || !slices.Equal(daemon, c.daemon) || !slices.Equal(workers, c.workers) {
			t.Errorf("%d cores of %v: %v and %v, %v", c.cores, c.cpus, daemon, workers, err)
		}
	}
	if _, _, err := pairs.Reserve(pairs.IDs(), 3); !errors.Is(err, topology.ErrTooFewCores) {
		t.Errorf("all cores kept: %v", err)
	}
}

func TestUnpinnedWorkersShareNodesBySize(t *testing.T) {
	one := machine{online: "0-3"}.read(t)
	two := machine{online: "0-5", nodes: map[int]string{0: "0-3", 1: "4-5"}}.read(t)
	a, b := []int{0, 1, 2, 3}, []int{4, 5}
	for _, c := range []struct {
		topo    *topology.Topology
		workers int
		want    [][]int
	}{
		{one, 2, [][]int{a, a}},
		{two, 1, [][]int{{0, 1, 2, 3, 4, 5}}},
		{two, 2, [][]int{a, b}},
		{two, 3, [][]int{a, a, b}},
		{two, 6, [][]int{a, a, b, a, a, b}},
		{two, 0, nil},
	} {
		if got := c.topo.Spread(c.topo.IDs(), c.workers); !slices.EqualFunc(got, c.want, slices.Equal[[]int]) {
			t.Errorf("%d workers: %v, want %v", c.workers, got, c.want)
		}
	}
}

func TestAReloadSeesWhatHasChanged(t *testing.T) {
	m := machine{online: "0-3", cgroups: "0::/\n", cpusets: map[string]string{"cpuset.cpus.effective": "0-1"}}
	source := m.source(t)
	before, _ := source.Read()
	source.Sys.(fstest.MapFS)["fs/cgroup/cpuset.cpus.effective"].Data = []byte("0-2\n")
	after, err := source.Read()
	if err != nil || slices.Equal(before.IDs(), after.IDs()) || !slices.Equal(after.IDs(), []int{0, 1, 2}) {
		t.Fatalf("%v, %v", after, err)
	}
	if again, _ := source.Read(); !slices.Equal(again.IDs(), after.IDs()) {
		t.Error("nothing changed, but it is not equal")
	}
}

// anyMachine draws cores with one to three hyper-threads on up to three nodes.
func anyMachine(t *rapid.T) machine {
	m, next := machine{nodes: map[int]string{}, capacity: map[string]int{}}, 0
	var all []string
	for range rapid.IntRange(1, 8).Draw(t, "cores") {
		next += rapid.IntRange(0, 3).Draw(t, "gap")
		threads := rapid.IntRange(1, 3).Draw(t, "threads")
		core := fmt.Sprintf("%d-%d", next, next+threads-1)
		next += threads
		node := rapid.IntRange(0, 2).Draw(t, "node")
		m.nodes[node] = strings.Trim(m.nodes[node]+","+core, ",")
		m.cores, all = append(m.cores, core), append(all, core)
		m.capacity[core] = rapid.SampledFrom([]int{512, 1024}).Draw(t, "capacity")
	}
	m.online = strings.Join(all, ",")
	return m
}

func TestPlacementOfAnyMachineUsesEachCPUOnceAndEachCoreBeforeItsThreads(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := anyMachine(rt)
		topo := m.read(t)
		cores, used := map[int]int{}, map[int]int{} // by CPU; how often by core
		for core, list := range m.cores {
			threads, err := topology.ParseCPUs(list)
			if err != nil {
				rt.Fatal(err)
			}
			for _, id := range threads {
				cores[id] = core
			}
		}
		cpus := topo.IDs()
		if rapid.Bool().Draw(rt, "narrowed") {
			cpus = rapid.SliceOfNDistinct(rapid.SampledFrom(cpus), 1, len(cpus), rapid.ID[int]).Draw(rt, "cpus")
		}
		order := topo.Order(cpus)
		if !slices.Equal(slices.Sorted(slices.Values(order)), slices.Sorted(slices.Values(cpus))) {
			rt.Fatalf("%v placed as %v", cpus, order)
		}
		last := 0
		for _, id := range order {
			if n := used[cores[id]]; n < last {
				rt.Fatalf("%v: CPU %d comes after a core's next hyper-thread", order, id)
			} else {
				last = n
			}
			used[cores[id]]++
		}
		covered := map[int]bool{}
		for _, set := range topo.Spread(cpus, rapid.IntRange(1, 12).Draw(rt, "workers")) {
			if len(set) == 0 {
				rt.Fatal("a worker with no CPU")
			}
			for _, id := range set {
				covered[id] = true
			}
		}
		if len(covered) != len(cpus) {
			rt.Fatalf("spread over %d of %d CPUs", len(covered), len(cpus))
		}
	})
}

func TestTheRunningKernelCanBeRead(t *testing.T) {
	topo, err := topology.System().Read()
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := topology.AllowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range topo.IDs() {
		if !slices.Contains(allowed, id) {
			t.Errorf("CPU %d is not in this process's mask %v", id, allowed)
		}
	}
}
