package ipc

import (
	"net/http"

	"cpulb/daemon/access"
)

// rights lists the calls whose sender must have a right before anything of the request
// is looked at, its body above all.
func (s *Server) rights() map[string]func(access.Identity) error {
	submits := func(who access.Identity) error { return s.engine.MaySubmit(who) }
	administers := func(who access.Identity) error {
		if s.engine.Administers(who) {
			return nil
		}
		return &access.Denied{Problem: "this is for root and for the administrators listed in access"}
	}
	return map[string]func(access.Identity) error{
		"POST /v1/tasks":                         submits,
		"POST /v1/tasks/{task_id}/rerun":         submits,
		"POST /v1/batches":                       submits,
		"POST /v1/stream":                        submits,
		"POST /v1/workers/{worker_id}/restart":   administers,
		"GET /v1/workers/{worker_id}/stacks":     administers,
		"POST /v1/executors/{executor}/swap":     administers,
		"POST /v1/executors/{executor}/rollback": administers,
		"GET /v1/config":                         administers,
		"POST /v1/drain":                         administers,
		"POST /v1/resume":                        administers,
		"POST /v1/reload":                        administers,
		"GET /debug/pprof/{profile...}":          administers,
	}
}

// requireRight refuses callers for whom check returns an error, without reading a byte of
// their bodies: they are not even told to go on (100 Continue).
func (s *Server) requireRight(check func(access.Identity) error, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := check(peer(r)); err != nil {
			s.refuseBody(w, r, err)
			return
		}
		h(w, r)
	}
}

// refuseBody is fail for a request whose body, if it has one, is not read.
func (s *Server) refuseBody(w http.ResponseWriter, r *http.Request, err error) {
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
	}
	s.fail(w, err)
}
