package e2e_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// spans are what a collector has been sent.
type spans struct {
	collector.UnimplementedTraceServiceServer
	mu  sync.Mutex
	all []*trace.Span
}

// Export implements the collector's service.
func (s *spans) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rs := range req.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			s.all = append(s.all, ss.Spans...)
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// of returns the spans of a task by their names.
func (s *spans) of(id any) map[string]*trace.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]*trace.Span{}
	for _, span := range s.all {
		for _, kv := range span.Attributes {
			if kv.Key == "cpulb.task_id" && kv.Value.GetStringValue() == id {
				all[span.Name] = span
			}
		}
	}
	return all
}

// collect starts a collector, and returns the block of the configuration that names it.
func collect(t *testing.T) (*spans, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, server := &spans{}, grpc.NewServer()
	collector.RegisterTraceServiceServer(server, s)
	go func() { _ = server.Serve(l) }() // until Stop
	t.Cleanup(server.Stop)
	return s, fmt.Sprintf("tracing { endpoint = \"http://%s\" }\n", l.Addr())
}

const tracedConfig = `
executor "python" { command = "cpulb-python" }
executor "exec" { command = "cpulb-exec" }
pool "cpu" {
  executor = "python"
  task_types = ["cpu_bound"]
  workers = 1
}
pool "apart" {
  executor = "python"
  task_types = ["io_bound"]
  workers = 1
  isolation = "process"
}
pool "programs" {
  executor = "exec"
  task_types = ["cpu_bound"]
  workers = 1
  isolation = "process"
}
`

const callersSpan = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// Whatever runs the task, it is told of its run, and so is what it starts.
func TestTheCallersTraceGoesOnInTheScriptAndItsChildren(t *testing.T) {
	t.Parallel()
	seen, block := collect(t)
	d := start(t, tracedConfig+block)
	shell := filepath.Join(t.TempDir(), "child.sh")
	if err := os.WriteFile(shell, []byte("#!/bin/sh\nsh -c 'echo \"$TRACEPARENT\"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	context := script(t, "def main(params, context):\n    return context.traceparent\n")
	child := script(t, "import subprocess\n\n\ndef main(params):\n    return subprocess.check_output(['sh', '-c', 'echo \"$TRACEPARENT\"'], text=True).strip()\n")
	told, runs := map[string]string{}, map[string]any{}
	for name, task := range map[string]string{
		"context":  fmt.Sprintf(`{"script_path":%q,"pool":"cpu","traceparent":%q}`, context, callersSpan),
		"isolated": fmt.Sprintf(`{"script_path":%q,"pool":"apart","task_type":"io_bound","traceparent":%q}`, child, callersSpan),
		"program":  fmt.Sprintf(`{"script_path":%q,"pool":"programs","traceparent":%q}`, shell, callersSpan),
	} {
		code, answer := d.call("POST", "/v1/tasks?wait=10m", task)
		if code != 200 || answer["status"] != "completed" {
			t.Fatalf("%s: %d %v", name, code, answer)
		}
		told[name], runs[name] = fmt.Sprint(answer["data"]), answer["task_id"]
	}
	_, next := d.call("POST", "/v1/tasks?wait=10m", fmt.Sprintf(`{"script_path":%q,"pool":"apart","task_type":"io_bound"}`, script(t, "import os\n\n\ndef main(params):\n    return os.environ['TRACEPARENT']\n")))
	d.stop() // which sends the last spans
	for name, id := range runs {
		all := seen.of(id)
		run, submit := all["run"], all["submit"]
		if run == nil || submit == nil || all["queue"] == nil {
			t.Errorf("%s: there are %v", name, all)
			continue
		}
		trace := hex.EncodeToString(run.TraceId)
		if want := "00-" + trace + "-" + hex.EncodeToString(run.SpanId) + "-01"; told[name] != want || trace != callersSpan[3:35] {
			t.Errorf("%s was told %q, its run is %s", name, told[name], want)
		}
		if hex.EncodeToString(submit.ParentSpanId) != callersSpan[36:52] || string(run.ParentSpanId) != string(submit.SpanId) {
			t.Errorf("%s: run is beneath %x, submit, %x, beneath %x", name, run.ParentSpanId, submit.SpanId, submit.ParentSpanId)
		}
	}
	if run := seen.of(next["task_id"])["run"]; run == nil || !strings.Contains(fmt.Sprint(next["data"]), hex.EncodeToString(run.SpanId)) {
		t.Errorf("the next task in the same place was told %v, its run is %v", next["data"], run)
	}
}

// A collector that is not there keeps nobody waiting, and neither does the end of the daemon.
func TestADaemonWithoutItsCollectorWorksAndEnds(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig+"tracing {\n  endpoint = \"http://127.0.0.1:1\"\n  protocol = \"http/protobuf\"\n}\n")
	for range 20 {
		if r := d.run(script(t, "def main(params):\n    return 1\n"), "1", "cpu_bound"); r["status"] != "completed" {
			t.Fatal(r)
		}
	}
	d.until("the drops are counted", func() bool { return strings.Contains(d.metrics(), "\ncpulb_spans_dropped_total 60\n") })
	if n := strings.Count(d.log.String(), "spans can't be sent"); n != 1 {
		t.Errorf("it was said %d times:\n%s", n, d.log)
	}
}
