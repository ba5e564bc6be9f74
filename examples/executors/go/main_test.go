package main

import (
	"bytes"
	"os"
	"testing"

	"cpulb/plugins/conformance"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"
)

// The test binary is the executor, too.
func TestMain(m *testing.M) {
	if os.Getenv("TEMPLATES_EXECUTOR") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestTheExampleConforms(t *testing.T) {
	scripts, err := conformance.Scripts("scripts")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	executortest.RunProgram(t, supervisor.Spec{Command: own, Env: map[string]string{"TEMPLATES_EXECUTOR": "1", "GORACE": "atexit_sleep_ms=0"}}, scripts)
}

func TestTheExampleHasAtMost60Lines(t *testing.T) {
	text, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(text, []byte("\n")); lines > 60 {
		t.Errorf("%d lines", lines)
	}
}
