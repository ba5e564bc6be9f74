package cgroup

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A process takes a pid for each of its threads. A program in Go ends when it can't have a
// thread, so what the daemon needs must be out of the workers' reach.

// reserve is how many pids the daemon has at least, where there are twice as many.
const reserve = 64

// shares divides the pids that there are: a quarter is the daemon's, and reserve at least, but
// never more than half. All workers have the rest together, and each at most half of the whole,
// so that one alone does not keep the others from starting anything.
func shares(whole int64) (all, each int64) {
	all = whole - min(max(whole/4, reserve), whole/2)
	return all, min(all, max(whole/2, 1))
}

// boundPIDs bounds how many pids Groups have together and each, and returns the latter, or 0 if
// it can't.
func (t *Tree) boundPIDs() (each int64) {
	whole, err := t.wholePIDs()
	if err != nil {
		return 0
	}
	all, each := shares(whole)
	if err := limitPIDs(filepath.Join(t.dir, workers), all); err != nil {
		return 0
	}
	return each
}

func limitPIDs(dir string, n int64) error {
	if err := write(dir, "pids.max", strconv.FormatInt(n, 10)); err != nil {
		return fmt.Errorf("%w: %w", ErrNoController, err)
	}
	return nil
}

// wholePIDs is the smallest bound that we know of on how many pids there are for us. Cgroups
// above a container's own are not to be seen in it.
func (t *Tree) wholePIDs() (int64, error) {
	bounds := []string{"/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"}
	for dir := t.dir; exists(filepath.Join(dir, "cgroup.procs")); dir = filepath.Dir(dir) {
		if file := filepath.Join(dir, "pids.max"); exists(file) { // the root has none
			bounds = append(bounds, file)
		}
	}
	whole := int64(math.MaxInt64)
	for _, file := range bounds {
		n, err := number(file)
		if err != nil {
			return 0, err
		}
		whole = min(whole, n)
	}
	return whole, nil
}

// number reads a file with a number, or with "max".
func number(file string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	value := strings.TrimSpace(string(text))
	if value == "max" {
		return math.MaxInt64, nil
	}
	return strconv.ParseInt(value, 10, 64)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
