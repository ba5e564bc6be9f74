package ipc

import (
	"net/http"

	"cpulb/daemon/api"
)

func (s *Server) getWorkers(w http.ResponseWriter, r *http.Request) {
	if err := query(r); err != nil {
		s.fail(w, err)
		return
	}
	all := s.engine.Workers(r.Context())
	if !s.administers(r) {
		all = api.PublicWorkers(all)
	}
	s.answer(w, http.StatusOK, map[string][]api.WorkerStatus{"workers": all}, nil)
}

func (s *Server) getStacks(w http.ResponseWriter, r *http.Request) {
	if err := query(r); err != nil {
		s.fail(w, err)
		return
	}
	id := r.PathValue("worker_id")
	text, err := s.engine.Stacks(r.Context(), peer(r), id)
	s.answer(w, http.StatusOK, map[string]string{"id": id, "stacks": text}, err)
}

// postRestart answers when the worker's successor is ready.
func (s *Server) postRestart(w http.ResponseWriter, r *http.Request) {
	if err := query(r); err != nil {
		s.fail(w, err)
		return
	}
	id := r.PathValue("worker_id")
	err := s.engine.RestartWorker(r.Context(), peer(r), id)
	if err != nil && codeFor(err) == codeInternal && r.Context().Err() == nil {
		err = &requestError{code: codeRestartFailed, detail: "its successor could not be started: " + err.Error()}
	}
	s.answer(w, http.StatusOK, map[string]string{"id": id}, err)
}

// getConfig shows what holds: with the environment that executors are given, so that it is for
// administrators.
func (s *Server) getConfig(w http.ResponseWriter, r *http.Request) {
	if err := query(r); err != nil {
		s.fail(w, err)
		return
	}
	c, err := s.engine.Configuration(r.Context(), peer(r))
	s.answer(w, http.StatusOK, c, err)
}
