package ipc

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"time"

	"cpulb/internal/share"
)

const (
	// refusals bounds how many clients are told at a time that there is no place for
	// them, and refusalTimeout how long each has to send its request meanwhile.
	refusals       = 64
	refusalTimeout = time.Second
)

// refuse tells c that there is no place for it. When its user has its share of those
// that are told, it is just closed.
func (l *bounded) refuse(c *net.UnixConn, uid uint32) {
	if !l.refusing.Take(share.Caller{UID: uid}, 1) {
		c.Close()
		return
	}
	go func() {
		defer l.refusing.Give(uid, 1)
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(refusalTimeout))
		l.server.turnAway(c, l.full(uid), l.helps(uid))
	}()
}

// turnAway answers the one request of a client for whom there is no place: with health,
// whether the daemon is healthy and ready, and why there is no place to all else.
func (s *Server) turnAway(c io.ReadWriter, why error, health bool) {
	// A client that is answered while it writes may never read the answer.
	r, err := http.ReadRequest(bufio.NewReaderSize(io.LimitReader(c, headerBytes), headerBytes))
	a := &onlyAnswer{header: http.Header{}}
	switch {
	case err != nil || !health || r.Method != http.MethodGet && r.Method != http.MethodHead:
		s.fail(a, why)
	case r.URL.Path == "/healthz":
		s.getHealth(a, r)
	case r.URL.Path == "/readyz":
		s.getReady(a, r)
	default:
		s.fail(a, why)
	}
	_ = a.send(c, r) // an error: the client has gone
}

// onlyAnswer is the answer to a request that net/http does not serve.
type onlyAnswer struct {
	header http.Header
	status int
	text   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *onlyAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *onlyAnswer) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter.
func (a *onlyAnswer) Write(p []byte) (int, error) { return a.text.Write(p) }

// send writes the answer to r, which is nil where there was no request.
func (a *onlyAnswer) send(to io.Writer, r *http.Request) error {
	response := http.Response{StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: a.header, Request: r, Close: true,
		ContentLength: int64(a.text.Len()), Body: io.NopCloser(&a.text)}
	var whole bytes.Buffer
	if err := response.Write(&whole); err != nil {
		return err
	}
	_, err := to.Write(whole.Bytes())
	return err
}
