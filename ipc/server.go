// Package ipc is the socket API: HTTP/1.1 with JSON on a Unix socket, and the
// upgraded NDJSON stream. It translates between clients and the engine and keeps
// nothing of its own but connections.
//
// Guarantees: every error is an RFC 9457 problem with a stable code; no client,
// however slow, delays another or a worker; a body or a line over the bound
// costs only its sender. docs/api.md describes the calls.
package ipc

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"cpulb/daemon"
	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
)

// Engine is what the API needs of the daemon.
type Engine interface {
	// Submit accepts t; w, which may be nil, is told of what follows.
	Submit(t *task.Task, w task.Watcher) (task.View, error)
	View(id task.ID) (task.View, error)
	// Result waits until the task has ended or ctx is done.
	Result(ctx context.Context, id task.ID) (*task.Result, error)
	Cancel(id task.ID) (task.View, error)
	Status(ctx context.Context) daemon.Status
	// Ready says why tasks can't run now.
	Ready() error
}

// Options is what NewServer needs beside the engine.
type Options struct {
	// BodyBytes bounds a request's body and a line of a stream.
	BodyBytes int64
	Logger    hclog.Logger
}

// Times after which an idle or slow client loses its connection.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	headerBytes   = 16 << 10
)

// Server serves the API on one listener.
type Server struct {
	engine  Engine
	options Options
	http    *http.Server

	mu      sync.Mutex
	streams map[*stream]struct{} // http.Server forgets upgraded connections
	ending  bool
}

// NewServer returns a Server for engine; Serve starts it.
func NewServer(engine Engine, o Options) *Server {
	s := &Server{engine: engine, options: o, streams: map[*stream]struct{}{}}
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
		ErrorLog: o.Logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug})}
	return s
}

// Serve answers on l until Shutdown; then it returns http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error { return s.http.Serve(l) }

// Shutdown stops accepting, tells streams to go away, and waits until every
// client has been answered or ctx is done; then it cuts off the rest.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.ending = true
	streams := s.open()
	s.mu.Unlock()
	for _, st := range streams {
		st.goAway("the daemon is stopping")
	}
	err := s.http.Shutdown(ctx)
	for _, st := range streams {
		st.end(ctx)
	}
	return errors.Join(err, s.http.Close())
}

// open returns the streams. s.mu is held.
func (s *Server) open() []*stream {
	var all []*stream
	for st := range s.streams {
		all = append(all, st)
	}
	return all
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	methods := map[string]map[string]http.HandlerFunc{
		"/v1/tasks":                  {"POST": s.postTask},
		"/v1/tasks/{task_id}":        {"GET": s.getTask, "DELETE": s.deleteTask},
		"/v1/tasks/{task_id}/result": {"GET": s.getResult},
		"/v1/stream":                 {"POST": s.postStream},
		"/v1/status":                 {"GET": s.getStatus},
		"/healthz":                   {"GET": s.getHealth},
		"/readyz":                    {"GET": s.getReady},
	}
	for path, handlers := range methods {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if h, ok := handlers[r.Method]; ok {
				h(w, r)
				return
			}
			writeProblem(w, problemFor(methodError{r.Method, path, handlers}))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, problemFor(routeError(r.URL.Path)))
	})
	return mux
}

func (s *Server) getStatus(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, s.engine.Status(r.Context()))
}

// getHealth says that the daemon's own loops live: answering proves it.
func (s *Server) getHealth(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *Server) getReady(w http.ResponseWriter, _ *http.Request) {
	if err := s.engine.Ready(); err != nil {
		writeProblem(w, Problem{Title: "Not ready", Status: http.StatusServiceUnavailable, Code: "not_ready", Detail: err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		writeProblem(w, problemFor(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // an error: the client has gone
}
