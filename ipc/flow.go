package ipc

import (
	"net/http"
	"time"
)

// stallTimeout is for how long a client may leave a long answer unread.
const stallTimeout = time.Minute

// flow is a long answer, of which each piece is sent at once. A client that does
// not read it is cut off, and holds up nobody meanwhile.
type flow struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// flow begins an answer; what follows can't be an error any more.
func (s *Server) flow(w http.ResponseWriter, kind string) *flow {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	f := &flow{w, http.NewResponseController(w)}
	_ = f.control.Flush() // an error: the client has gone, and the first write says so
	return f
}

// write sends pieces, and reports whether there is still somebody to send to.
func (f *flow) write(pieces ...[]byte) bool {
	if f.control.SetWriteDeadline(time.Now().Add(stallTimeout)) != nil {
		return false
	}
	for _, piece := range pieces {
		if _, err := f.w.Write(piece); err != nil {
			return false
		}
	}
	return f.control.Flush() == nil
}
