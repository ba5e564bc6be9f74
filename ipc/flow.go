package ipc

import (
	"context"
	"io"
	"net/http"
	"time"

	"cpulb/daemon/task"
)

// flow is a long answer, of which each piece is sent at once, and is counted in hold as
// long as it is written.
type flow struct {
	pen     pen
	control *http.ResponseController
	hold    *hold
	ctx     context.Context // of the waits for room
}

// flow begins an answer; what follows can't be an error any more. nil: there is nothing to
// follow, HEAD asks for the beginning alone.
func (s *Server) flow(w http.ResponseWriter, r *http.Request, kind string) *flow {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	f := &flow{pen{w: w}, http.NewResponseController(w), s.hold(r), r.Context()}
	_ = f.control.Flush() // an error: the client has gone, and the first write says so
	return f
}

// piece sends what write writes of a value that takes size bytes, and reports whether there
// is still somebody to send to.
func (f *flow) piece(size int64, write func(*pen)) bool {
	if size < penBytes { // it is there beside many others
		size = 0
	}
	f.hold.renew()
	if err := f.hold.wait(f.ctx, size); err != nil {
		f.cut() // as if it had been cut off: the client goes on from what it has
	}
	defer f.hold.end()
	write(&f.pen)
	return f.pen.flush() && f.control.Flush() == nil
}

// cut ends an answer that is not complete, so that it does not look complete: the
// connection is closed without the end of the body.
func (f *flow) cut() { panic(http.ErrAbortHandler) }

// body is a request's body: bounded, and given up when nothing of it comes for
// stall.
type body struct {
	from    io.Reader
	stall   time.Duration
	control *http.ResponseController
	limit   int64
	read    int64
}

// body returns an error for a body that is announced to be too large: its sender is not
// even told to go on (100 Continue).
func (s *Server) body(w http.ResponseWriter, r *http.Request) (*body, error) {
	b := &body{from: r.Body, stall: s.options.StallTimeout, control: http.NewResponseController(w), limit: s.options.BodyBytes}
	if r.ContentLength > b.limit {
		return nil, tooLarge(b.limit)
	}
	return b, nil
}

// failBody answers with the err for which a body was not taken.
func (s *Server) failBody(w http.ResponseWriter, r *http.Request, err error) {
	if code := codeFor(err); code == codeBodyTooLarge || code == codeTooManyInFlight { // the rest is not read
		s.refuseBody(w, r, err)
		return
	}
	s.fail(w, err)
}

// Read implements io.Reader. Its errors are for the client.
func (b *body) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.stall)) // an error: the read has one, too
	n, err := b.from.Read(p)
	if b.read += int64(n); b.read > b.limit {
		err = tooLarge(b.limit)
	}
	if err == nil {
		return n, nil
	}
	// From here on the deadline would be that of the wait for the answer.
	_ = b.control.SetReadDeadline(time.Time{})
	if err != io.EOF && b.read <= b.limit {
		err = &task.FieldError{Field: "body", Code: codeInvalidJSON, Problem: "could not be read: " + err.Error()}
	}
	return n, err
}
