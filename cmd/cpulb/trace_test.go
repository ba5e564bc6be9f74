package main

import (
	"strings"
	"testing"

	"cpulb/ipc/ipctest"
)

func TestTasksAreInTheTraceOfTheEnvironment(t *testing.T) {
	engine := administrator(t)
	const valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, command := range []string{"run", "submit"} {
		for text, want := range map[string]string{valid: valid, "": "", "none": "", "cc" + valid[2:] + "-" + strings.Repeat("x", 300): ""} {
			t.Setenv("TRACEPARENT", text)
			if got := cpulb(t.Context(), "", command, ipctest.Echo); got.code != 0 {
				t.Fatalf("%s %q: %+v", command, text, got)
			}
			x := engine.Last()
			if got := x.Extra; want == "" && got != nil && got.Traceparent != "" || want != "" && (got == nil || got.Traceparent != want) {
				t.Errorf("%s with %q: %+v", command, text, got)
			}
		}
	}
}
