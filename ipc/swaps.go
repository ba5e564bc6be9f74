package ipc

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

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
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text.text, &fields); err != nil || fields == nil {
		return nil, fmt.Errorf("%w: the body must be one object", api.ErrSwapInvalid)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) { // encoding/json would take COMMAND, too
		if !slices.Contains(swapFields(), name) {
			return nil, fmt.Errorf("%w: unknown field %.64q (allowed: %s)", api.ErrSwapInvalid, name, strings.Join(swapFields(), ", "))
		}
	}
	var req api.SwapRequest
	if err := json.Unmarshal(text.text, &req); err != nil {
		return nil, fmt.Errorf("%w: %w", api.ErrSwapInvalid, err)
	}
	return &req, nil
}

// swapFields are the fields of an api.SwapRequest.
func swapFields() []string { return []string{"command", "sha256", "canary", "for", "probe"} }
