package arch_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// wallReaders are the files that read the clock on the wall by itself, and why. That
// clock may be set either way: no duration may be measured by it.
var wallReaders = map[string]string{
	"daemon/clock.go":                     "instants that clients see or give",
	"daemon/task/task.go":                 "ids sort by when they were made",
	"ipc/python/cpu_load_balancer/ids.py": "the same",
	"plugins/python/runtime/context.py":   "context.deadline is told in seconds since the epoch",
}

// Go's own readings of time.Now carry both clocks, and differences between two of them
// are by the one that is never set.
func wallReadings() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		".go": regexp.MustCompile(`\.Round\(0\)|time\.Now\(\)\.[A-Z]\w*\(\)|NewV7\(|CLOCK_REALTIME`),
		".py": regexp.MustCompile(`\btime\.time(_ns)?\(|\btime_ns\(|from time import [^\n]*\btime\b|\.(utcnow|today)\(|datetime\.now\(|CLOCK_REALTIME`),
		".c":  regexp.MustCompile(`CLOCK_REALTIME|gettimeofday\(|\btime\((NULL|0)\)|_timedwait\(|_timedlock\(`),
		".h":  regexp.MustCompile(`CLOCK_REALTIME|gettimeofday\(`),
	}
}

func TestNobodyElseReadsTheClockOnTheWall(t *testing.T) {
	var found []string
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel("../..", path)
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && name != "." || slices.Contains([]string{"testdata", "tests", "examples", "bin", "build"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		pattern := wallReadings()[filepath.Ext(name)]
		if pattern == nil || strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".pb.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if reading := pattern.FindString(line); reading != "" {
				if found = append(found, name); wallReaders[name] == "" {
					t.Errorf("%s:%d reads the clock on the wall by %s", name, i+1, reading)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range wallReaders {
		if !slices.Contains(found, name) {
			t.Errorf("%s does not read the clock on the wall", name)
		}
	}
}
