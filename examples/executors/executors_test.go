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
	return example{"python", filepath.Join(dir, "executor.py"), scripts(t, "python")}
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

// start starts workers of the example for the suite, each with a launcher of its own.
func (e example) start(t *testing.T, slots int, handler func(first, count int) plugins.Handler) executortest.Worker {
	t.Helper()
	dir, err := os.MkdirTemp("", "sup") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	log := hclog.NewNullLogger()
	if testing.Verbose() {
		log = hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: t.Output()})
	}
	l, err := supervisor.NewLauncher(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Start(t.Context(), supervisor.Spec{ID: "w", Pool: "test", Command: e.command, Slots: slots, StartTimeout: 10 * time.Minute,
		ResultBytes: executortest.SuiteResultBytes, OutputBytes: 1 << 16}, handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		<-p.Done()
		l.Close()
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in the runtime folder: %v %v", left, err)
		}
		os.RemoveAll(dir)
	})
	return p
}

func TestThePythonExampleConforms(t *testing.T) {
	t.Parallel()
	e := python(t)
	executortest.Run(t, executortest.Suite{Scripts: e.scripts, Start: e.start})
}
