package otlp_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/daemon/tracing"
	"cpulb/daemon/tracing/otlp"

	"github.com/hashicorp/go-hclog"
	"go.opentelemetry.io/otel/propagation"
	api "go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func exporter(t *testing.T, endpoint, protocol string) (*otlp.Exporter, *lines) {
	t.Helper()
	log := &lines{}
	x, err := otlp.New(t.Context(), otlp.Options{Endpoint: endpoint, Protocol: protocol, Version: "v1", Log: hclog.New(&hclog.LoggerOptions{Output: log})})
	if err != nil {
		t.Fatal(err)
	}
	return x, log
}

const caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// spans are those of a task that was tried twice.
func spans() []tracing.Span {
	k := &task.Task{ID: task.NewID(), ScriptPath: "/srv/x.py", Function: "main", Type: task.CPUBound, Priority: 5}
	at := tracing.Of(caller, k.ID, 1, 1)
	began := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	w := &task.Worker{ID: "cpu-0", Executor: "python", Pool: "cpu", PID: 42, Core: 1}
	return []tracing.Span{
		{Name: tracing.Submit, Context: at.Submit(), Parent: at.Parent(), Start: began, End: began.Add(time.Millisecond), Task: k, Pool: "cpu"},
		{Name: tracing.Queue, Context: at.Queue(1), Parent: at.Submit(), Start: began, End: began.Add(time.Second), Task: k, Pool: "cpu", Attempt: 1},
		{Name: tracing.Run, Context: at.Run(1), Parent: at.Submit(), Start: began, End: began.Add(time.Second), Task: k, Pool: "cpu", Attempt: 1, Worker: w,
			Status: task.Failed, Error: &task.Error{Type: "ValueError", Message: "no", Code: "exception"}},
		{Name: tracing.Run, Context: at.Run(2), Parent: at.Submit(), Before: at.Run(1), Start: began, End: began.Add(time.Second), Task: k, Pool: "cpu", Attempt: 2, Worker: w, Status: task.Completed},
	}
}

func attributes(s *trace.Span) map[string]string {
	all := map[string]string{}
	for _, kv := range s.Attributes {
		all[kv.Key] = kv.Value.GetStringValue()
	}
	return all
}

func TestACollectorGetsTheSpansAsTheyAre(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
	for protocol, start := range map[string]func(*testing.T) (*received, string){"grpc": overGRPC, "http/protobuf": overHTTP} {
		t.Run(protocol, func(t *testing.T) {
			r, url := start(t)
			x, log := exporter(t, url, protocol)
			sent := spans()
			for _, s := range sent {
				x.Span(s)
			}
			if err := x.Shutdown(t.Context()); err != nil {
				t.Fatal(err, log)
			}
			got := r.await(t, len(sent))
			for i, s := range sent {
				g := got[i]
				if g.Name != s.Name || !bytes.Equal(g.TraceId, s.Context.Trace[:]) || !bytes.Equal(g.SpanId, s.Context.Span[:]) || !bytes.Equal(g.ParentSpanId, s.Parent.Span[:]) {
					t.Errorf("%s is %s %x beneath %x", s.Name, g.Name, g.SpanId, g.ParentSpanId)
				}
				if g.StartTimeUnixNano != uint64(s.Start.UnixNano()) || g.EndTimeUnixNano != uint64(s.End.UnixNano()) || attributes(g)["cpulb.task_id"] != s.Task.ID.String() {
					t.Errorf("%s: %v", s.Name, g)
				}
			}
			failed, again := got[2], got[3]
			if failed.Status.Code != trace.Status_STATUS_CODE_ERROR || failed.Status.Message != "ValueError: no" || attributes(failed)["error.type"] != "exception" || attributes(failed)["cpulb.worker"] != "cpu-0" {
				t.Errorf("what failed is %v", failed)
			}
			if again.Status.GetCode() != trace.Status_STATUS_CODE_UNSET || len(again.Links) != 1 || !bytes.Equal(again.Links[0].SpanId, failed.SpanId) {
				t.Errorf("the next attempt is %v", again)
			}
			if r.about["service.name"] != "cpulbd" || r.about["service.version"] != "v1" || r.about["deployment.environment.name"] != "test" || protocol != "grpc" && r.agent != "secret" {
				t.Errorf("it comes from %v, %q", r.about, r.agent)
			}
			if sent, dropped := x.Counts(); sent != 4 || dropped != 0 {
				t.Errorf("%d sent, %d dropped", sent, dropped)
			}
		})
	}
}

// Who does not answer costs nobody time: what there is no room for is dropped and counted.
func TestACollectorThatDoesNotAnswerCostsACount(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it is never accepted from
	x, _ := exporter(t, "http://"+l.Addr().String(), "grpc")
	all := spans()
	const rounds = 3000 // more than there is room for
	for range rounds {
		for _, s := range all {
			x.Span(s)
		}
	}
	if _, dropped := x.Counts(); dropped < rounds*4-5000 {
		t.Errorf("only %d were dropped at once", dropped)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = x.Shutdown(ctx) // it can't send them
	if sent, _ := x.Counts(); sent != 0 {
		t.Errorf("%d were sent", sent)
	}
}

// What a collector refuses is counted, and said once until it takes spans again.
func TestACollectorThatRefusesIsSaidOnceAndWhenItIsWell(t *testing.T) {
	r, url := overHTTP(t)
	r.refuses.Store(true)
	x, log := exporter(t, url, "http/protobuf")
	const batches, batch = 3, 512 // which is sent at once
	for range batches * batch / 4 {
		for _, s := range spans() {
			x.Span(s)
		}
	}
	for range batches {
		<-r.refused
	}
	r.refuses.Store(false)
	for range batch / 4 {
		for _, s := range spans() {
			x.Span(s)
		}
	}
	r.await(t, batch)
	if err := x.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	sent, dropped := x.Counts()
	if sent != batch || dropped != batches*batch {
		t.Errorf("%d sent, %d dropped", sent, dropped)
	}
	if said := log.String(); strings.Count(said, "spans can't be sent") != 1 || !strings.Contains(said, "spans are sent again: dropped=1536") {
		t.Errorf("said was\n%s", said)
	}
}

// A collector may take a part of what it is sent, or only have something to say.
func TestOfABatchThatIsTakenInPartTheRestIsCounted(t *testing.T) {
	for protocol, start := range map[string]func(*testing.T) (*received, string){"grpc": overGRPC, "http/protobuf": overHTTP} {
		for refuses, part := range map[uint64]*collector.ExportTracePartialSuccess{
			0: {ErrorMessage: "use another attribute"}, 1: {RejectedSpans: 1, ErrorMessage: "too old"}, 4: {RejectedSpans: 400}} {
			r, url := start(t)
			r.part = part
			x, log := exporter(t, url, protocol)
			for _, s := range spans() {
				x.Span(s)
			}
			if err := x.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if sent, dropped := x.Counts(); sent != 4-refuses || dropped != refuses {
				t.Errorf("%s, %v: %d sent, %d dropped", protocol, part, sent, dropped)
			}
			if said := log.String(); strings.Contains(said, "dropped") != (refuses > 0) || refuses > 0 && !strings.Contains(said, part.ErrorMessage) {
				t.Errorf("%s, %v: %s", protocol, part, said)
			}
		}
	}
}

// Package tracing reads a traceparent as the SDK does.
func FuzzTraceparent(f *testing.F) {
	f.Add(caller)
	f.Add("cc" + caller[2:] + "-more")
	f.Add(caller[:53] + "30") // flags that version 00 has not
	f.Add("cc" + caller[2:53] + "30")
	f.Add("ff" + caller[2:])
	f.Add("00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01")
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := tracing.Parse(text)
		theirs := api.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": text}))
		trace, span := theirs.TraceID(), theirs.SpanID()
		if ok != theirs.IsValid() || ok && (hex.EncodeToString(c.Trace[:]) != trace.String() || hex.EncodeToString(c.Span[:]) != span.String() || c.Sampled() != theirs.IsSampled()) {
			t.Errorf("%q is %s %v, to the SDK %s %s", text, c, ok, trace, span)
		}
	})
}
