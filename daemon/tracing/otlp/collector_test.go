package otlp_test

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// received is what a collector has.
type received struct {
	collector.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans []*trace.Span
	about map[string]string // of the resource
	agent string            // who has sent it last, and which header
	news  chan struct{}
	// refuses: it takes none, over HTTP, and says so on refused.
	refuses atomic.Bool
	refused chan struct{}
	// part is what it says of having taken a part alone; nil: it takes all.
	part *collector.ExportTracePartialSuccess
}

// Export implements the collector's service.
func (r *received) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range req.ResourceSpans {
		for _, kv := range rs.Resource.Attributes {
			r.about[kv.Key] = kv.Value.GetStringValue()
		}
		for _, ss := range rs.ScopeSpans {
			r.spans = append(r.spans, ss.Spans...)
		}
	}
	close(r.news)
	r.news = make(chan struct{})
	return &collector.ExportTraceServiceResponse{PartialSuccess: r.part}, nil
}

// await returns the spans once there are n.
func (r *received) await(t *testing.T, n int) []*trace.Span {
	t.Helper()
	for {
		r.mu.Lock()
		spans, news := r.spans, r.news
		r.mu.Unlock()
		if len(spans) >= n {
			return spans
		}
		select {
		case <-news:
		case <-t.Context().Done():
			t.Fatal("they do not come")
		}
	}
}

func newReceived() *received {
	return &received{about: map[string]string{}, news: make(chan struct{}), refused: make(chan struct{}, 100)}
}

// overGRPC starts a collector and returns its URL.
func overGRPC(t *testing.T) (*received, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r, s := newReceived(), grpc.NewServer()
	collector.RegisterTraceServiceServer(s, r)
	go func() { _ = s.Serve(l) }() // until Stop
	t.Cleanup(s.Stop)
	return r, "http://" + l.Addr().String()
}

// overHTTP does so with the other protocol.
func overHTTP(t *testing.T) (*received, string) {
	t.Helper()
	r := newReceived()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.refuses.Load() {
			http.Error(w, "no", http.StatusBadRequest)
			r.refused <- struct{}{}
			return
		}
		body := io.Reader(req.Body)
		if req.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unzipped
		}
		text, err := io.ReadAll(body)
		var m collector.ExportTraceServiceRequest
		if err != nil || req.URL.Path != "/v1/traces" || proto.Unmarshal(text, &m) != nil {
			t.Errorf("%s: %v", req.URL, err)
			return
		}
		r.mu.Lock()
		r.agent = req.Header.Get("X-Key")
		r.mu.Unlock()
		answer, _ := r.Export(req.Context(), &m) // never an error
		text, err = proto.Marshal(answer)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(text) // an error: the exporter has gone
	}))
	t.Cleanup(s.Close)
	return r, s.URL
}
