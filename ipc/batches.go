package ipc

import (
	"fmt"
	"iter"
	"net/http"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// ndjson is the media type of one JSON value per line.
const ndjson = "application/x-ndjson"

func (s *Server) postBatch(w http.ResponseWriter, r *http.Request) {
	if err := query(r); err != nil {
		s.failBody(w, r, err)
		return
	}
	h := s.hold(r)
	h.turn = s.turnFor(r, h)
	defer h.turn.leave()
	body, err := s.readBatch(w, r, h)
	if err != nil {
		h.turn.leave()
		h.end()
		s.failBody(w, r, err)
		return
	}
	// What is needed for the answer, which may be long and not be read, is the request's;
	// the tasks are the engine's once it has answered.
	a := &batchAnswer{lines: body.lines(), bad: body.bad}
	rest := s.hold(r)
	defer rest.end()
	rest.force(int64(len(a.lines))*answerBytes + int64(len(a.bad))*badBytes)
	tasks, ids := body.good()
	a.sent = ids
	answered := make(chan *batchAnswer, 1)
	s.engine.SubmitBatch(r.Context(), peer(r), task.NewID(), tasks, func(id task.ID, ids []task.ID, errs []error) {
		h.end()
		a.id, a.ids, a.errs = id, ids, errs
		answered <- a
	})
	h.turn.leave()
	select {
	case a := <-answered:
		rest.force(a.moreBytes())
		s.writeBatch(w, a)
	case <-r.Context().Done():
		panic(http.ErrAbortHandler) // the client has gone
	}
}

// answerBytes is about what the answer for one task of a batch takes: its ids and line,
// and the error that it may have.
const answerBytes = 256

// batchAnswer is what became of the tasks of a batch.
type batchAnswer struct {
	id task.ID
	// lines has where each task came from, bad the problems of those that were not
	// submitted; the others have been sent with these ids, and were answered with ids and
	// errs.
	lines []int
	bad   []badTask
	sent  []task.ID
	ids   []task.ID
	errs  []error
}

// moreBytes is what errors take that are longer than answerBytes allows for.
func (a *batchAnswer) moreBytes() (more int64) {
	for _, err := range a.errs {
		if err != nil {
			more += max(0, int64(len(err.Error()))-answerBytes/2)
		}
	}
	return more
}

// writeBatch writes a as an api.Batch, one piece after the other.
func (s *Server) writeBatch(w http.ResponseWriter, a *batchAnswer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	p := &pen{w: w}
	p.raw(`{"batch_id":`)
	p.id(a.id)
	p.raw(`,"task_ids":[`)
	first := true
	for _, n := range a.each() {
		p.next(&first)
		if n < 0 || a.errs[n] != nil {
			p.raw("null")
		} else {
			p.id(a.ids[n])
		}
	}
	p.raw(`],"errors":[`)
	first = true
	bad := a.bad
	for i, n := range a.each() {
		switch {
		case n < 0:
			p.next(&first)
			p.value(api.BatchError{Line: bad[0].line, Problem: *bad[0].problem})
			bad = bad[1:]
		case a.errs[n] != nil:
			p.next(&first)
			p.value(api.BatchError{Line: a.lines[i], TaskID: &a.sent[n], Problem: *s.problem(a.errs[n])})
		}
	}
	p.raw("]}\n")
	p.flush()
}

// each yields, for each task in order, its place and which of those sent it is, -1 for a bad one.
func (a *batchAnswer) each() iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		bad, sent := a.bad, 0
		for i, line := range a.lines {
			n := -1
			if len(bad) > 0 && bad[0].line == line {
				bad = bad[1:]
			} else {
				n, sent = sent, sent+1
			}
			if !yield(i, n) {
				return
			}
		}
	}
}

func batchID(r *http.Request) (task.ID, error) {
	if err := query(r); err != nil {
		return task.ID{}, err
	}
	id, err := task.ParseID(r.PathValue("batch_id"))
	if err != nil {
		return id, fmt.Errorf("%w: %.64q is not a UUID", api.ErrBatchNotFound, r.PathValue("batch_id"))
	}
	return id, nil
}

func (s *Server) getBatch(w http.ResponseWriter, r *http.Request) {
	id, err := batchID(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	view, err := s.engine.Batch(peer(r), id)
	s.answer(w, http.StatusOK, view, err)
}

func (s *Server) getBatchResults(w http.ResponseWriter, r *http.Request) {
	id, err := batchID(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	results, err := s.engine.BatchResults(r.Context(), peer(r), id)
	if err != nil {
		s.fail(w, err)
		return
	}
	out := s.flow(w, r, ndjson)
	if out == nil {
		return
	}
	for some, err := range results {
		if err != nil {
			out.cut() // the client has gone, or the daemon ends: the results can be asked for again
		}
		size := int64(0)
		for _, r := range some {
			size += r.Size()
		}
		sent := out.piece(size, func(p *pen) {
			for _, r := range some {
				p.result(r)
				p.raw("\n")
			}
		})
		if !sent {
			return
		}
	}
}
