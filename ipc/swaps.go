package ipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// postSwap answers when the swap has ended, or has been under way for as long as the client
// waits.
func (s *Server) postSwap(w http.ResponseWriter, r *http.Request) {
	wait, err := duration(r, "wait")
	if err != nil {
		s.fail(w, err)
		return
	}
	h := s.hold(r)
	defer h.end()
	req, err := s.readSwap(w, r, h)
	if err != nil {
		s.failBody(w, r, err)
		return
	}
	status, err := s.engine.Swap(r.Context(), peer(r), r.PathValue("executor"), req, wait)
	s.answerSwap(w, status, err)
}

// postRollback answers as postSwap does.
func (s *Server) postRollback(w http.ResponseWriter, r *http.Request) {
	wait, err := duration(r, "wait")
	if err != nil {
		s.fail(w, err)
		return
	}
	status, err := s.engine.Rollback(r.Context(), peer(r), r.PathValue("executor"), wait)
	s.answerSwap(w, status, err)
}

func (s *Server) answerSwap(w http.ResponseWriter, status api.ExecutorStatus, err error) {
	code := http.StatusOK
	if status.Swap != nil && !status.Swap.State.Ended() {
		code = http.StatusAccepted
	}
	s.answer(w, code, status, err)
}

// readSwap reads a request for a swap: its fields are matched exactly, and none is unknown.
func (s *Server) readSwap(w http.ResponseWriter, r *http.Request, h *hold) (*api.SwapRequest, error) {
	in, err := s.body(w, r)
	if err != nil {
		return nil, err
	}
	text := buffer{hold: h, most: in.limit + 1, expected: r.ContentLength}
	if err := text.readFrom(r.Context(), in); err != nil {
		return nil, err
	}
	if !task.IsJSON(text.text) {
		return nil, &requestError{code: codeInvalidJSON, field: "body", detail: "the body is not JSON in UTF-8"}
	}
	d := json.NewDecoder(bytes.NewReader(text.text))
	d.DisallowUnknownFields()
	var req *api.SwapRequest
	if err := d.Decode(&req); err != nil {
		return nil, fmt.Errorf("%w: %w", api.ErrSwapInvalid, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || req == nil {
		return nil, fmt.Errorf("%w: the body must be one object", api.ErrSwapInvalid)
	}
	return req, nil
}
