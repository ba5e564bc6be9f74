package part_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cpulb/bench/part"
)

func TestWhatANeighbourNeedsCanBeInstalled(t *testing.T) {
	t.Parallel()
	setup, err := os.ReadFile("../../.ci/setup")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range part.Neighbours() {
		for _, name := range n.Packages() {
			module, isModule := strings.CutPrefix(name, "python3-")
			if !strings.Contains(string(setup), name) && !(isModule && strings.Contains(string(setup), " "+module+" ")) {
				t.Errorf("%s needs %s, which .ci/setup neighbours does not install", n.Name, name)
			}
		}
	}
}

func TestEveryDriverIsMeasured(t *testing.T) {
	t.Parallel()
	drivers, err := filepath.Glob("../drivers/*.py")
	if err != nil {
		t.Fatal(err)
	}
	// These are no neighbours' but cpulb's own, and started by the file that is named.
	elsewhere := map[string]string{"cpulb_engine.py": "bench.go", "cpulb_executor.py": "futures.go"}
	var measured []string
	for name, starts := range elsewhere {
		source, err := os.ReadFile(starts)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(source), `filepath.Join(b.Drivers, "`+name+`")`) {
			t.Errorf("%s does not start %s", starts, name)
		}
		measured = append(measured, name)
	}
	for _, n := range part.Neighbours() {
		measured = append(measured, n.File())
	}
	for _, path := range drivers {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		if strings.Contains(string(text), "\n    serve(") && !slices.Contains(measured, name) {
			t.Errorf("nobody measures by %s", name)
		}
	}
}
