package topology

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Source is where a Topology is read from.
type Source struct {
	Sys  fs.FS // /sys
	Proc fs.FS // /proc
	// Affinity returns the mask that the process was started with. Who narrows its
	// own later must answer from memory: the kernel would tell the narrowed one, and
	// a Topology that is read at a reload would then have lost CPUs.
	Affinity func() ([]int, error)
}

// System returns the running kernel as the Source.
func System() Source {
	return Source{Sys: os.DirFS("/sys"), Proc: os.DirFS("/proc"), Affinity: AllowedCPUs}
}

// Read returns what is usable now: the CPUs that are online, as far as the affinity
// mask and the cgroup's cpuset allow. Of how they belong together it takes what the
// kernel tells and else assumes that all are cores of their own, alike, and on one node.
func (s Source) Read() (*Topology, error) {
	online, err := s.list("devices/system/cpu/online")
	if err != nil {
		return nil, err
	}
	present, err := s.list("devices/system/cpu/present")
	if errors.Is(err, fs.ErrNotExist) {
		present, err = online, nil
	}
	if err != nil {
		return nil, err
	}
	mask, err := s.Affinity()
	if err != nil {
		return nil, err
	}
	cpuset, limited, err := s.cpuset()
	if err != nil {
		return nil, err
	}
	t := &Topology{unused: map[int]string{}}
	var usable []int
	for _, id := range present {
		switch {
		case !slices.Contains(online, id):
			t.unused[id] = "it is offline"
		case !slices.Contains(mask, id):
			t.unused[id] = "the daemon's affinity mask excludes it"
		case limited && !slices.Contains(cpuset, id):
			t.unused[id] = "the daemon's cgroup (cpuset) excludes it"
		default:
			usable = append(usable, id)
		}
	}
	if len(usable) == 0 {
		return nil, fmt.Errorf("%w: of the online CPUs %s none is in both the affinity mask %s and the cpuset",
			ErrNotUsable, FormatCPUs(online), FormatCPUs(mask))
	}
	t.cpus, err = s.describe(usable, online)
	return t, err
}

// describe reads how the usable CPUs belong together.
func (s Source) describe(usable, online []int) ([]CPU, error) {
	nodes, err := s.nodes()
	if err != nil {
		return nil, err
	}
	capacity, err := s.capacities(usable)
	if err != nil {
		return nil, err
	}
	cpus := make([]CPU, 0, len(usable))
	for _, id := range usable {
		siblings, err := s.siblings(id)
		if err != nil {
			return nil, err
		}
		// An offline sibling runs nothing, so it neither names the core nor counts.
		siblings = slices.DeleteFunc(siblings, func(c int) bool { return !slices.Contains(online, c) })
		if !slices.Contains(siblings, id) {
			siblings = []int{id}
		}
		cpus = append(cpus, CPU{ID: id, Core: siblings[0], Node: nodes[id], Capacity: capacity[id]})
	}
	return cpus, nil
}

// siblings returns the hyper-threads of a CPU's core; none where the kernel does
// not say. The second name is that of kernels before 5.3.
func (s Source) siblings(id int) ([]int, error) {
	for _, name := range []string{"core_cpus_list", "thread_siblings_list"} {
		list, err := s.list(fmt.Sprintf("devices/system/cpu/cpu%d/topology/%s", id, name))
		if !errors.Is(err, fs.ErrNotExist) {
			return list, err
		}
	}
	return nil, nil
}

// nodes returns the NUMA node of each CPU; a kernel without NUMA has no such files.
func (s Source) nodes() (map[int]int, error) {
	of := map[int]int{}
	names, err := s.list("devices/system/node/online")
	if errors.Is(err, fs.ErrNotExist) {
		return of, nil
	}
	for _, node := range names {
		cpus, err := s.list(fmt.Sprintf("devices/system/node/node%d/cpulist", node))
		if err != nil {
			return nil, err
		}
		for _, id := range cpus {
			of[id] = node
		}
	}
	return of, err
}

// capacities returns what the kernel's scheduler holds each CPU able to do. Kernels
// that don't say so on x86 tell the two kinds of a hybrid processor's cores apart.
func (s Source) capacities(cpus []int) (map[int]int, error) {
	of := map[int]int{}
	for _, id := range cpus {
		text, err := fs.ReadFile(s.Sys, fmt.Sprintf("devices/system/cpu/cpu%d/cpu_capacity", id))
		if errors.Is(err, fs.ErrNotExist) {
			return s.kinds()
		}
		if err != nil {
			return nil, err
		}
		if of[id], err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
			return nil, fmt.Errorf("cpu_capacity of CPU %d: %w", id, err)
		}
	}
	return of, nil
}

// kinds gives the big cores of a hybrid processor a capacity of 1, all others 0.
func (s Source) kinds() (map[int]int, error) {
	of := map[int]int{}
	big, err := s.list("devices/cpu_core/cpus")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, id := range big {
		of[id] = 1
	}
	return of, nil
}

// cpuset returns what the process's cgroup allows; false if it says nothing. The
// affinity mask holds to it as well, but may have been read before it changed.
func (s Source) cpuset() ([]int, bool, error) {
	text, err := fs.ReadFile(s.Proc, "self/cgroup")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("which cgroup this is: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		mount, name := "fs/cgroup", "cpuset.cpus.effective"
		if fields[0] != "0" { // version 1
			if !slices.Contains(strings.Split(fields[1], ","), "cpuset") {
				continue
			}
			mount, name = "fs/cgroup/cpuset", "cpuset.effective_cpus"
		}
		list, err := s.nearest(mount, fields[2], name)
		if !errors.Is(err, fs.ErrNotExist) {
			return list, len(list) > 0, err
		}
	}
	return nil, false, nil
}

// nearest reads the file of that name in the cgroup, or in the nearest above it
// that has one. In a container the path may be one of the host's, which is not to
// be seen; then it is the container's own root that counts.
func (s Source) nearest(mount, cgroup, name string) ([]int, error) {
	for at := path.Clean("/" + cgroup); ; at = path.Dir(at) {
		list, err := s.list(path.Join(mount, at, name))
		if err == nil && len(list) > 0 || at == "/" || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return list, err
		}
	}
}

// list reads a file with a list of CPUs or nodes, which may be empty.
func (s Source) list(name string) ([]int, error) {
	text, err := fs.ReadFile(s.Sys, name)
	if err != nil {
		return nil, fmt.Errorf("CPU topology: %w", err)
	}
	if strings.TrimSpace(string(text)) == "" {
		return nil, nil
	}
	list, err := ParseCPUs(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("CPU topology: /sys/%s: %w", name, err)
	}
	return list, nil
}
