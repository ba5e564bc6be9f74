package supervisor_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"cpulb/plugins"
	"cpulb/plugins/executortest"

	"github.com/hashicorp/go-hclog"
)

// forged are lines that a script may write to the descriptor of its executor's log.
func forged() []string {
	return []string{
		`{"@level":"error","@message":"forged 0","@module":"cpulbd.ipc","@timestamp":"2001-01-01T00:00:00.000000Z","@caller":"engine.go:1"}`,
		`{"@level":"info","@message":"forged 1\n2001-01-01T00:00:00.000Z [ERROR] cpulbd: line two","a\nb":"\u001b[31m","` + strings.Repeat("k", 3000) + `":1}`,
		`{"@level":"emergency","@message":"forged 2"}`,
		`{"@level":"error","@message":3}`,
		`{"@level":4,"@message":"forged 4"}`,
		`{"@level":"error","@message":"forged 5","@timestamp":5}`,
		`{"@level":"error","@message":null}`,
		`<0>forged 7`,
		`2001-01-01T00:00:00.000Z [ERROR] cpulbd: forged 8`,
		"[ERROR] forged 9\r[ERROR] cpulbd: again\x1b[2K\x07\xff",
		`{"@level":"trace","@message":"forged 10"}`,
		`null`, `[]`, `{}`, ``,
		`{"@level":"error","@message":"forged 15","level":"info","@module ":"x","text":"y"}`,
	}
}

// A script finds the descriptor of the executor's log in its process. What it writes there
// is logged as what the worker has said, whatever it looks like.
func TestWhatAWorkerWritesIsNeverARecordOfTheDaemons(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var log bytes.Buffer
		b := newBoxLogging(t, hclog.New(&hclog.LoggerOptions{Name: "cpulbd", Output: &log, Level: hclog.Debug, JSONFormat: asJSON}).Named("worker"))
		b.start(b.spec("forges"), recorders).Stop(t.Context())
		found := 0
		for line := range strings.Lines(log.String()) {
			if !strings.Contains(line, "forged") {
				continue
			}
			found++
			if !asJSON {
				if _, said, ok := strings.Cut(line, "]"); !ok || !strings.HasPrefix(strings.TrimLeft(said, " "), "cpulbd.worker.w: the executor says:") {
					t.Errorf("%q", line)
				}
				continue
			}
			var entry map[string]any
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			for name := range entry {
				switch name {
				case "@level", "@message", "@module", "@timestamp", "text", "fields":
				default:
					t.Errorf("the field %q in %s", name, line)
				}
			}
			if entry["@module"] != "cpulbd.worker.w" || entry["@message"] != "the executor says" || strings.HasPrefix(entry["@timestamp"].(string), "2001") {
				t.Errorf("%s", line)
			}
			if level := entry["@level"]; level != "error" && level != "info" && level != "debug" {
				t.Errorf("level %v: %s", level, line)
			}
		}
		if found < 9 {
			t.Errorf("JSON %v: %d lines of %d: %s", asJSON, found, len(forged()), log.String())
		}
	}
}

// floods writes 20 MB to the log before it serves, and an error behind them.
func floods() {
	line := strings.Repeat("y", 1000) + "\n"
	for range 20 {
		fmt.Fprint(os.Stderr, strings.Repeat(line, 1000))
	}
	fmt.Fprintln(os.Stderr, `{"@level":"error","@message":"what matters"}`)
	plugins.Serve(executortest.Fake{})
}

func TestAFloodLeavesRoomForTheExecutorsErrors(t *testing.T) {
	var log bytes.Buffer
	b := newBoxLogging(t, hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Debug}))
	b.start(b.spec("floods"), recorders).Stop(t.Context())
	if n := log.Len(); n > 1<<20 {
		t.Errorf("%d bytes of 20 MB were logged", n)
	}
	for _, want := range []string{`text="what matters"`, `of="the executor's log" bytes=19`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in %.300s … %s", want, log.String(), log.String()[max(0, log.Len()-1000):])
		}
	}
}
