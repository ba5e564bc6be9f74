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
	if !s.administers(r) {
		status = status.Public()
	}
	s.answer(w, http.StatusOK, status, nil)
}

// administers reports whether the caller of a call that is open to everybody sees all of
// it.
func (s *Server) administers(r *http.Request) bool {
	who := peer(r)
	return who.UID != s.overflow && s.engine.Administers(who)
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
