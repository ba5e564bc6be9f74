package ipc

import (
	"context"
	_ "embed"
	"net/http"
	"net/http/pprof"
	runtimeprofiles "runtime/pprof"

	"cpulb/daemon/access"
	"cpulb/daemon/api"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// profiles is the only path that ends in a slash: its page has relative links.
const profiles = "/debug/pprof/"

//go:embed openapi.json
var openAPI []byte

// getOpenAPI describes this API to programs.
func (s *Server) getOpenAPI(w http.ResponseWriter, r *http.Request) {
	if err := query(r); err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI) // an error: the client has gone
}

func (s *Server) getSchedules(w http.ResponseWriter, r *http.Request) {
	if err := query(r); err != nil {
		s.fail(w, err)
		return
	}
	all := s.engine.Schedules()
	if who := peer(r); !s.administers(r) {
		for i := range all {
			if all[i].Owner != who.UID || who.UID == s.overflow {
				all[i] = all[i].Public()
			}
		}
	}
	s.answer(w, http.StatusOK, map[string][]api.ScheduleStatus{"schedules": all}, nil)
}

func (s *Server) getExecutors(w http.ResponseWriter, r *http.Request) {
	if err := query(r); err != nil {
		s.fail(w, err)
		return
	}
	all := s.engine.Executors()
	if !s.administers(r) {
		for i := range all {
			all[i] = all[i].Public()
		}
	}
	s.answer(w, http.StatusOK, map[string][]api.ExecutorStatus{"executors": all}, nil)
}

func (s *Server) postDrain(w http.ResponseWriter, r *http.Request) {
	s.administer(w, r, func(_ context.Context, who access.Identity) error { return s.engine.Drain(who) })
}

func (s *Server) postResume(w http.ResponseWriter, r *http.Request) {
	s.administer(w, r, func(_ context.Context, who access.Identity) error { return s.engine.Resume(who) })
}

func (s *Server) postReload(w http.ResponseWriter, r *http.Request) {
	s.administer(w, r, func(ctx context.Context, who access.Identity) error { return s.engine.Reload(ctx, who) })
}

// administer runs an administrative call and answers with the engine's part of the
// status.
func (s *Server) administer(w http.ResponseWriter, r *http.Request, do func(context.Context, access.Identity) error) {
	err := query(r)
	if err == nil {
		err = do(r.Context(), peer(r))
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, http.StatusOK, s.engine.Status(r.Context()).Engine, nil)
}

// metricsBytes is about what the metrics take while they are written.
const metricsBytes = 512 << 10

// getMetrics serves Prometheus. The metrics are open to everybody who may connect, as
// the status is.
func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) {
	h := s.hold(r)
	defer h.end()
	if err := h.wait(r.Context(), metricsBytes); err != nil {
		s.fail(w, err)
		return
	}
	// Compressing them would take more memory than they are. An error is mostly that the
	// client has gone, else it is the answer.
	options := promhttp.HandlerOpts{ErrorLog: s.forClients(), DisableCompression: true}
	promhttp.HandlerFor(s.engine, options).ServeHTTP(w, r)
}

// getProfile serves the daemon's own profiles to administrators: a profile shows the
// content of memory, and takes time. It answers as net/http/pprof does.
func (s *Server) getProfile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("profile")
	handlers := map[string]http.HandlerFunc{
		"":        pprof.Index,
		"cmdline": pprof.Cmdline,
		"profile": pprof.Profile,
		"symbol":  pprof.Symbol,
		"trace":   pprof.Trace,
	}
	switch handler := handlers[name]; {
	case !s.engine.Administers(peer(r)):
		s.fail(w, &access.Denied{Problem: "profiles are for root and for the administrators listed in access"})
	case handler != nil:
		handler(w, r)
	case runtimeprofiles.Lookup(name) != nil:
		pprof.Handler(name).ServeHTTP(w, r)
	default:
		s.noRoute(w, r)
	}
}
