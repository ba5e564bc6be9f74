// Package executors_test holds the examples in other languages to the contract: by the suite
// that every executor has to pass, and under a real daemon. What is not installed is skipped;
// .ci/setup examples installs it.
package executors_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// example is an executor of this folder.
type example struct {
	name    string
	command string
	scripts map[executortest.Behaviour]string
	// settings are those of the executor; nil: none.
	settings map[string]string
}

// python lays out the Python executor with what protoc makes of executor.proto, as its
// README has it.
func python(t *testing.T) example {
	t.Helper()
	if out, err := exec.Command("/usr/bin/python3", "-c", "import grpc, google.protobuf").CombinedOutput(); err != nil {
		t.Skipf("python3-grpcio and python3-protobuf are not installed: %v\n%s", err, out)
	}
	if _, err := exec.LookPath("protoc"); err != nil {
		t.Skipf("protobuf-compiler is not installed: %v", err)
	}
	dir := t.TempDir()
	copyFiles(t, "python/*.py", dir)
	if out, err := exec.Command("protoc", "-I", "../../plugins/proto", "--python_out="+dir, "executor.proto").CombinedOutput(); err != nil {
		t.Fatalf("protoc: %v\n%s", err, out)
	}
	return example{"python", filepath.Join(dir, "executor.py"), scripts(t, "python"), nil}
}

// node runs where it lies.
func node(t *testing.T) example {
	t.Helper()
	if out, err := exec.Command("node", "--version").CombinedOutput(); err != nil {
		t.Skipf("nodejs is not installed: %v\n%s", err, out)
	}
	command, err := filepath.Abs("node/cpulb-node")
	if err != nil {
		t.Fatal(err)
	}
	return example{"node", command, scripts(t, "node"), nil}
}

// copyFiles copies files with their modes.
func copyFiles(t *testing.T, pattern, dir string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v %v", pattern, files, err)
	}
	if out, err := exec.Command("cp", append(append([]string{"-p"}, files...), dir)...).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
}

// scripts are those of an example's testdata/scripts, by the behaviours that they are named after.
func scripts(t *testing.T, name string) map[executortest.Behaviour]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(name, "testdata/scripts/*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	known, found := executortest.FakeScripts(), map[executortest.Behaviour]string{}
	for _, file := range files {
		b := executortest.Behaviour(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
		if known[b] == "" {
			t.Errorf("%s is named after no behaviour", file)
		}
		if found[b], err = filepath.Abs(file); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// launch starts a worker of the example with a launcher of its own, which is ended by the test's end.
func (e example) launch(t *testing.T, slots int, handler func(first, count int) plugins.Handler) (*supervisor.Process, error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sup") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in the runtime folder: %v %v", left, err)
		}
		os.RemoveAll(dir)
	})
	l, err := supervisor.NewLauncher(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l.Start(t.Context(), supervisor.Spec{ID: "w", Pool: "test", Command: e.command, Settings: e.settings, Slots: slots,
		StartTimeout: 10 * time.Minute, ResultBytes: executortest.SuiteResultBytes, OutputBytes: 1 << 16}, handler)
}

// start is Suite.Start.
func (e example) start(t *testing.T, slots int, handler func(first, count int) plugins.Handler) executortest.Worker {
	t.Helper()
	p, err := e.launch(t, slots, handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		<-p.Done()
	})
	return p
}

// refused returns why a worker can't be started.
func (e example) refused(t *testing.T) error {
	t.Helper()
	p, err := e.launch(t, 1, nil)
	if err == nil {
		p.Kill()
		<-p.Done()
	}
	return err
}

func TestThePythonExampleConforms(t *testing.T) {
	t.Parallel()
	e := python(t)
	executortest.Run(t, executortest.Suite{Scripts: e.scripts, Start: e.start})
}

func TestTheNodeExampleConforms(t *testing.T) {
	t.Parallel()
	e := node(t)
	executortest.Run(t, executortest.Suite{Scripts: e.scripts, Start: e.start})
}
