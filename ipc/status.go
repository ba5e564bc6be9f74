package ipc

import (
	"cpulb/daemon/api"
	"errors"
	"net/http"
)

func (s *Server) getStatus(w http.ResponseWriter, r *http.Request) {
	if err := query(r); err != nil {
		s.fail(w, err)
		return
	}
	status := s.engine.Status(r.Context())
	if !s.engine.Administers(peer(r)) {
		delete(status.Components["input_queue"].Metrics, "callers")
	}
	s.answer(w, http.StatusOK, status, nil)
}

// getHealth reports that the daemon's own loops are alive: the answer proves it.
func (s *Server) getHealth(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, http.StatusOK, map[string]string{"status": "ok"}, nil)
}

// getReady reports whether a task would run now.
func (s *Server) getReady(w http.ResponseWriter, _ *http.Request) {
	err := s.engine.Ready()
	if err != nil && !errors.Is(err, api.ErrDraining) {
		err = &requestError{code: codeNotReady, detail: err.Error()}
	}
	s.answer(w, http.StatusOK, map[string]string{"status": "ready"}, err)
}
