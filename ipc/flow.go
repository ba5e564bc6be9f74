package ipc

import (
	"io"
	"net/http"
	"time"

	"cpulb/daemon/task"
)

// flow is a long answer, of which each piece is sent at once.
type flow struct {
	w       http.ResponseWriter
	control *http.ResponseController
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
	f := &flow{w, http.NewResponseController(w)}
	_ = f.control.Flush() // an error: the client has gone, and the first write says so
	return f
}

// write sends pieces, and reports whether there is still somebody to send to.
func (f *flow) write(pieces ...[]byte) bool {
	for _, piece := range pieces {
		if _, err := f.w.Write(piece); err != nil {
			return false
		}
	}
	return f.control.Flush() == nil
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

func (s *Server) body(w http.ResponseWriter, r *http.Request) *body {
	return &body{from: r.Body, stall: s.options.StallTimeout, control: http.NewResponseController(w), limit: s.options.BodyBytes}
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
