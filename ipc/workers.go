package ipc

import (
	"net/http"

	"cpulb/daemon"
)

func (s *Server) getWorkers(w http.ResponseWriter, r *http.Request) {
	if err := query(r); err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, http.StatusOK, map[string][]daemon.WorkerStatus{"workers": s.engine.Workers(r.Context())}, nil)
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
