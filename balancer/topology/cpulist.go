package topology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxCPU is the highest CPU number that the kernel's affinity calls take here.
const maxCPU = 1023

// ParseCPUs reads the kernel's list format (cpuset(7)), e.g. "0-3,8". The answer
// is sorted and has no number twice.
func ParseCPUs(list string) ([]int, error) {
	var cpus []int
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		from, err := strconv.Atoi(first)
		to := from
		if err == nil && isRange {
			to, err = strconv.Atoi(last)
		}
		if err != nil || from < 0 || to < from || to > maxCPU {
			return nil, fmt.Errorf("%q is not a list of CPUs such as \"0-3,8\" (numbers 0 to %d)", list, maxCPU)
		}
		for cpu := from; cpu <= to; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	slices.Sort(cpus)
	return slices.Compact(cpus), nil
}

// AllowedCPUs returns the CPUs on which the kernel lets the calling process run,
// which a cgroup or taskset may have narrowed.
func AllowedCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var cpus []int
	for cpu := 0; cpu <= maxCPU; cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// FormatCPUs writes a list as the kernel does: the reverse of ParseCPUs.
func FormatCPUs(cpus []int) string {
	sorted := slices.Compact(slices.Sorted(slices.Values(cpus)))
	var parts []string
	for i := 0; i < len(sorted); {
		j := i
		for j+1 < len(sorted) && sorted[j+1] == sorted[j]+1 {
			j++
		}
		if parts = append(parts, strconv.Itoa(sorted[i])); j > i {
			parts[len(parts)-1] += "-" + strconv.Itoa(sorted[j])
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}
