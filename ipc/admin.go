package ipc

import (
	"net/http"
	"net/http/pprof"

	"cpulb/daemon"
	"cpulb/daemon/access"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func (s *Server) getSchedules(w http.ResponseWriter, r *http.Request) {
	if err := query(r); err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, http.StatusOK, map[string][]daemon.ScheduleStatus{"schedules": s.engine.Schedules()}, nil)
}

func (s *Server) postDrain(w http.ResponseWriter, r *http.Request) {
	s.administer(w, r, s.engine.Drain)
}

func (s *Server) postResume(w http.ResponseWriter, r *http.Request) {
	s.administer(w, r, s.engine.Resume)
}

// administer carries out a call that answers with the engine's line of the status.
func (s *Server) administer(w http.ResponseWriter, r *http.Request, do func(access.Identity) error) {
	err := query(r)
	if err == nil {
		err = do(peer(r))
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, http.StatusOK, s.engine.Status(r.Context()).Engine, nil)
}

// getMetrics answers as Prometheus asks; what it tells is no secret to who may
// connect, no more than the status is.
func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) {
	promhttp.HandlerFor(s.engine, promhttp.HandlerOpts{ErrorLog: s.options.Logger.StandardLogger(nil)}).ServeHTTP(w, r)
}

// getProfile serves the daemon's own profiles to administrators: a profile shows
// what is in memory, and takes time.
func (s *Server) getProfile(w http.ResponseWriter, r *http.Request) {
	if !s.engine.Administers(peer(r)) {
		s.fail(w, &access.Denied{Problem: "profiles are for administrators"})
		return
	}
	switch r.PathValue("profile") {
	case "cmdline":
		pprof.Cmdline(w, r)
	case "profile":
		pprof.Profile(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	case "trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r) // names the others, and serves each by its name
	}
}
