package python

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The behaviours timers_are_exact and script_timers_are_exact have the other half.
func TestOnlyTheHostsOwnThreadsHaveInexactTimers(t *testing.T) {
	p := openProcess(t, testResultBytes)
	wantData(t, p.run(script("returns_params.py"), "1"), "1")
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(p.PID()) + "/task/*")
	if err != nil || len(threads) == 0 {
		t.Fatal(len(threads), err)
	}
	found := map[string]int{}
	for _, thread := range threads {
		text, err := os.ReadFile("/proc/" + filepath.Base(thread) + "/timerslack_ns")
		if errors.Is(err, os.ErrPermission) {
			t.Skip(err)
		}
		found[strings.TrimSpace(string(text))]++
	}
	if found["1000000"] == 0 || found["50000"] == 0 {
		t.Fatal("threads by their timer slack:", found)
	}
}
