package topology_test

import (
	"slices"
	"testing"

	"cpulb/balancer/topology"
)

func TestCPUListsReadAsTheKernelWritesThem(t *testing.T) {
	for list, want := range map[string][]int{"0": {0}, "0-3,8": {0, 1, 2, 3, 8}, "2,0-1,1": {0, 1, 2}, " 4 , 6": {4, 6}} {
		got, err := topology.ParseCPUs(list)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("ParseCPUs(%q) = %v, %v; want %v", list, got, err, want)
		}
	}
	for _, list := range []string{"", "a", "3-1", "-1", "0,,1", "0-99999", "1-2-3"} {
		if got, err := topology.ParseCPUs(list); err == nil {
			t.Errorf("ParseCPUs(%q) = %v, want an error", list, got)
		}
	}
}

func FuzzParseCPUs(f *testing.F) {
	f.Add("0-3,8")
	f.Fuzz(func(t *testing.T, list string) {
		cpus, err := topology.ParseCPUs(list)
		if err == nil && (len(cpus) == 0 || !slices.IsSorted(cpus)) {
			t.Fatalf("ParseCPUs(%q) = %v", list, cpus)
		}
	})
}

func TestThisProcessMayRunSomewhere(t *testing.T) {
	if cpus, err := topology.AllowedCPUs(); err != nil || len(cpus) == 0 {
		t.Fatalf("AllowedCPUs() = %v, %v", cpus, err)
	}
}

func TestListsAreWrittenAsTheyAreRead(t *testing.T) {
	for _, list := range []string{"0", "0-3,8", "1,3,5-6"} {
		if cpus, err := topology.ParseCPUs(list); err != nil || topology.FormatCPUs(cpus) != list {
			t.Errorf("%q is written %q (%v)", list, topology.FormatCPUs(cpus), err)
		}
	}
}
