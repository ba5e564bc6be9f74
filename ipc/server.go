// Package ipc is the socket API: HTTP/1.1 with JSON on a Unix socket, and the
// upgraded NDJSON stream. It translates between clients and the engine; the only
// state it keeps is its connections. docs/api.md describes the calls,
// docs/protocol.md the stream.
//
// Guarantees: every error of a call is an RFC 9457 problem with a stable code; a slow
// client delays neither other clients nor workers; a body or a line over the bound
// costs only its sender; what waits for one client is bounded.
//
// It does not guarantee that an answer arrives: a client whose connection ends finds
// its tasks and their results by id. A request that is not HTTP is answered by
// net/http, in plain text.
package ipc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"maps"
	"math"
	"net"
	"net/http"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/internal/share"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
)

// Engine is what the API needs of the daemon. who is the caller, as the kernel
// identifies it; a call that the caller may not make fails with an error of package
// access.
type Engine interface {
	Tasks
	Administration
	Status(ctx context.Context) api.Status
	Workers(ctx context.Context) []api.WorkerStatus
	Schedules() []api.ScheduleStatus
	Executors() []api.ExecutorStatus
	// Ready returns nil if tasks can run now, or the reason why not.
	Ready() error
	// Gather serves the metrics.
	prometheus.Gatherer
}

// Tasks are the calls about tasks.
type Tasks interface {
	// MaySubmit returns access.Denied if who may not submit at all. It does not wait, so
	// that nothing of what such a caller sends need be read.
	MaySubmit(who access.Identity) error
	// Submit accepts t and reports its events to w, unless that is nil, perhaps before
	// Submit returns. done is called once, from any goroutine, and does not block; it
	// may come before Submit returns, or much later: ctx says for how long the client
	// waits for room in a full queue.
	Submit(ctx context.Context, who access.Identity, t *task.Task, w task.Watcher, done func(task.View, error))
	// SubmitAll is Submit for tasks that have come together, in their order. It does not keep
	// all.
	SubmitAll(ctx context.Context, who access.Identity, all []api.Submission)
	// Unwatch takes w, which was handed to Submit, off the task that was answered: it is not
	// called any more but for what is on its way.
	Unwatch(who access.Identity, id task.ID, w task.Watcher)
	// SubmitBatch submits tasks as one batch, in one commit. done gets the batch's id,
	// which is that of an earlier one that was sent again, and for each task in order the
	// id under which it is found, which an idempotency_key may make another than its own,
	// or the error that refuses it.
	SubmitBatch(ctx context.Context, who access.Identity, id task.ID, tasks []*task.Task, done func(task.ID, []task.ID, []error))
	// View waits, as all do that take an id or filters, while it is not known yet whether
	// a task is accepted.
	View(ctx context.Context, who access.Identity, id task.ID) (task.View, error)
	// Result waits until the task has ended or ctx is done. Ended returns the task's last
	// event, which has the Result.
	Result(ctx context.Context, who access.Identity, id task.ID) (*task.Result, error)
	Ended(ctx context.Context, who access.Identity, id task.ID) (*task.Event, error)
	// Events yields what has happened, some at a time, and waits for the rest; so does
	// BatchResults. The end of ctx ends the waiting: what has happened is yielded before.
	Events(ctx context.Context, who access.Identity, id task.ID, after task.Cursor) (iter.Seq2[[]*task.Event, error], error)
	// Cancel stops a task; done is called as Submit's is.
	Cancel(who access.Identity, id task.ID, done func(task.View, error))
	Rerun(ctx context.Context, who access.Identity, id task.ID, room func(bytes int64) error, done func(task.View, error))
	// List yields a page of tasks, which it does not have at once, and returns
	// api.Listing.Next. Before an error nothing is yielded.
	List(ctx context.Context, who access.Identity, f api.Filter, p api.Page, yield func(task.View) bool) (next string, err error)
	CancelAll(ctx context.Context, who access.Identity, f api.Filter) (int, error)
	Batch(who access.Identity, id task.ID) (api.BatchView, error)
	BatchResults(ctx context.Context, who access.Identity, id task.ID) (iter.Seq2[[]*task.Result, error], error)
}

// Administration are the calls that only administrators may make.
type Administration interface {
	Stacks(ctx context.Context, who access.Identity, worker string) (string, error)
	Configuration(ctx context.Context, who access.Identity) (api.Configuration, error)
	// RestartWorker returns once a worker's successor is ready, or with the reason why
	// there is none.
	RestartWorker(ctx context.Context, who access.Identity, worker string) error
	// Reload returns once the new configuration holds, or with the reason why the old
	// one still does.
	Reload(ctx context.Context, who access.Identity) error
	// Swap has an executor's workers run another program, Rollback the one before. Both
	// return at the end, or after wait.
	Swap(ctx context.Context, who access.Identity, executor string, req *api.SwapRequest, wait time.Duration) (api.ExecutorStatus, error)
	Rollback(ctx context.Context, who access.Identity, executor string, wait time.Duration) (api.ExecutorStatus, error)
	Drain(who access.Identity) error
	Resume(who access.Identity) error
	// Administers reports whether who is an administrator.
	Administers(who access.Identity) bool
}

// Options is what NewServer needs beside the engine.
type Options struct {
	// BodyBytes bounds a request's body and a line of a stream.
	BodyBytes int64
	// BacklogBytes bounds what waits to be read by one stream's client; beyond it the
	// client is cut off. It must exceed the largest result; 0 means 64 MiB more than
	// BodyBytes.
	BacklogBytes int64
	// InFlight returns how many bytes may be held for all clients together. It is asked for
	// each request; nil means without bound.
	InFlight func() int64
	// Connections returns how many connections there may be at a time, streams included,
	// beside MoreConnections. It is asked for each; nil means DefaultConnections.
	Connections func() int
	// StallTimeout is for how long a client may leave an answer unread, or a body
	// unsent, without a byte of progress; 0 means a minute. It is not for streams,
	// which BacklogBytes bounds.
	StallTimeout time.Duration
	Logger       hclog.Logger
}

// DefaultConnections is how many there may be where Options.Connections is nil.
const DefaultConnections = 4096

// Bounds on clients that are idle, slow or verbose.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	stallTimeout  = time.Minute
	headerBytes   = 16 << 10
	// headerSlack is what net/http reads beyond what it is told.
	headerSlack = 4 << 10
	// lingerTimeout is how long the sender of a body that is not read has to read why.
	lingerTimeout   = time.Second
	backlogHeadroom = 64 << 20
)

// Server serves the API on one listener.
type Server struct {
	engine  Engine
	options Options
	http    *http.Server
	// overflow is the uid of callers without one of their own; see strangerID.
	overflow uint32
	// inFlight is what is held for clients, in bytes.
	inFlight *share.Pool
	// turns are those of requests whose long texts are looked through.
	turns *share.Pool
	// holds numbers those who take of it.
	holds atomic.Int64

	// unanswered are the submissions and cancels of streams that the engine has not answered
	// yet, see maxUnanswered.
	unanswered *share.Pool
	encoders   encoders

	mu      sync.Mutex
	streams map[*stream]struct{} // http.Server forgets upgraded connections
	ending  bool
	// settled is closed by Settle.
	settled chan struct{}
	settle  sync.Once
}

// NewServer returns a Server for engine; Serve starts it.
func NewServer(engine Engine, o Options) *Server {
	o.StallTimeout = cmp.Or(o.StallTimeout, stallTimeout)
	if o.Connections == nil {
		o.Connections = func() int { return DefaultConnections }
	}
	o.BacklogBytes = cmp.Or(o.BacklogBytes, o.BodyBytes+backlogHeadroom)
	if o.InFlight == nil {
		o.InFlight = func() int64 { return math.MaxInt64 }
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	s := &Server{engine: engine, options: o, overflow: strangerID(), inFlight: share.NewPool(o.InFlight()), turns: share.NewPool(turns()),
		unanswered: share.NewPool(maxUnanswered), streams: map[*stream]struct{}{}, settled: make(chan struct{})}
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes - headerSlack,
		ConnContext: withPeer, ConnState: connState, ErrorLog: s.forClients()}
	return s
}

// forClients is the log of what clients do to themselves: they could fill it, as often as
// they like.
func (s *Server) forClients() *log.Logger {
	return s.options.Logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug})
}

// Serve answers on l, which it closes, until Shutdown; then it returns
// http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error { return s.http.Serve(s.bounded(l)) }

// Shutdown stops accepting and tells streams to go away. It returns once every
// request has been answered and every stream has received the results of its tasks.
// When ctx is done first, it cuts off the rest and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.ending = true
	streams := slices.Collect(maps.Keys(s.streams))
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, st := range streams {
		st.goAway(reasonStopping)
		wg.Go(func() { st.end(ctx) })
	}
	err := s.http.Shutdown(ctx)
	wg.Wait()
	return errors.Join(err, s.http.Close())
}

// Settle tells the Server that no task will end any more: Shutdown then waits only
// until clients have read what has been written.
func (s *Server) Settle() { s.settle.Do(func() { close(s.settled) }) }

// calls lists every path, its methods and their handlers.
func (s *Server) calls() map[string]map[string]http.HandlerFunc {
	return map[string]map[string]http.HandlerFunc{
		"/v1/tasks":                         {"POST": s.postTask, "GET": s.getTasks, "DELETE": s.deleteTasks},
		"/v1/tasks/{task_id}":               {"GET": s.getTask, "DELETE": s.deleteTask},
		"/v1/tasks/{task_id}/result":        {"GET": s.getResult},
		"/v1/tasks/{task_id}/events":        {"GET": s.getEvents},
		"/v1/tasks/{task_id}/rerun":         {"POST": s.postRerun},
		"/v1/batches":                       {"POST": s.postBatch},
		"/v1/batches/{batch_id}":            {"GET": s.getBatch},
		"/v1/batches/{batch_id}/results":    {"GET": s.getBatchResults},
		"/v1/stream":                        {"POST": s.postStream},
		"/v1/status":                        {"GET": s.getStatus},
		"/v1/workers":                       {"GET": s.getWorkers},
		"/v1/workers/{worker_id}/stacks":    {"GET": s.getStacks},
		"/v1/workers/{worker_id}/restart":   {"POST": s.postRestart},
		"/v1/executors":                     {"GET": s.getExecutors},
		"/v1/executors/{executor}/swap":     {"POST": s.postSwap},
		"/v1/executors/{executor}/rollback": {"POST": s.postRollback},
		"/v1/schedules":                     {"GET": s.getSchedules},
		"/v1/config":                        {"GET": s.getConfig},
		"/v1/drain":                         {"POST": s.postDrain},
		"/v1/resume":                        {"POST": s.postResume},
		"/v1/reload":                        {"POST": s.postReload},
		"/v1/openapi.json":                  {"GET": s.getOpenAPI},
		"/metrics":                          {"GET": s.getMetrics},
		"/debug/pprof/{profile...}":         {"GET": s.getProfile},
		"/healthz":                          {"GET": s.getHealth},
		"/readyz":                           {"GET": s.getReady},
	}
}

// publicPaths need no identity: what they show belongs to nobody.
func publicPaths() []string {
	return []string{"/v1/status", "/v1/workers", "/v1/executors", "/v1/schedules", "/v1/openapi.json", "/metrics", "/healthz", "/readyz"}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for path, handlers := range s.calls() {
		for method, handler := range handlers {
			if check := s.rights()[method+" "+path]; check != nil {
				handler = s.requireRight(check, handler)
			}
			if !slices.Contains(publicPaths(), path) {
				handler = s.requireIdentity(handler)
			}
			mux.HandleFunc(method+" "+path, handler)
		}
		mux.HandleFunc(path, s.otherMethod(allowed(handlers)))
	}
	mux.HandleFunc("/", s.noRoute)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path.Clean(r.URL.Path) && r.URL.Path != profiles || r.URL.Path+"/" == profiles { // the mux would redirect, in HTML
			s.noRoute(w, r)
			return
		}
		mux.ServeHTTP(w, r)
		if r.ContentLength != 0 { // net/http reads the rest of the body, or some of it if it then closes the connection
			patience := s.options.StallTimeout
			if w.Header().Get("Connection") == "close" {
				patience = lingerTimeout
			}
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience))
		}
	})
}

// allowed lists the methods of a path. The mux has HEAD wherever there is GET.
func allowed(handlers map[string]http.HandlerFunc) []string {
	methods := slices.Sorted(maps.Keys(handlers))
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	return methods
}

func (s *Server) noRoute(w http.ResponseWriter, r *http.Request) {
	s.fail(w, &requestError{code: codeNoSuchRoute,
		detail: fmt.Sprintf("%.128q is not a path of this API; docs/api.md and /v1/openapi.json list them", r.URL.Path)})
}

func (s *Server) otherMethod(allowed []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, &requestError{code: codeMethodNotAllowed, field: "method", allowed: allowed,
			detail: fmt.Sprintf("%.128s does not take %.16s", r.URL.Path, r.Method)})
	}
}
