package ipc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"cpulb/internal/rawio"
)

const (
	// pieceBytes is how much of an answer has to be taken within StallTimeout.
	pieceBytes = 1 << 20
	// refusals bounds how many clients are told at a time that there is no room for
	// them, and refusalTimeout how long each has to send its request meanwhile.
	refusals       = 16
	refusalTimeout = time.Second
)

// bounded is a listener with a bound on its connections. One too many is answered
// at once: to leave it unaccepted would look as if the daemon hung.
type bounded struct {
	net.Listener
	server   *Server
	taken    chan struct{}
	refusing chan struct{}
}

func (s *Server) bounded(l net.Listener) net.Listener {
	return &bounded{l, s, make(chan struct{}, s.options.MaxConnections), make(chan struct{}, refusals)}
}

// Accept implements net.Listener.
func (l *bounded) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, ok := accepted.(*net.UnixConn)
		if !ok {
			accepted.Close()
			return nil, fmt.Errorf("a connection of %T: the API is served on Unix sockets only", accepted)
		}
		select {
		case l.taken <- struct{}{}:
			return &conn{UnixConn: c, stall: l.server.options.StallTimeout, release: sync.OnceFunc(func() { <-l.taken })}, nil
		default:
			l.refuse(c)
		}
	}
}

// refuse tells c that there are too many connections. When even those that are
// told are many, it is just closed.
func (l *bounded) refuse(c *net.UnixConn) {
	select {
	case l.refusing <- struct{}{}:
	default:
		c.Close()
		return
	}
	go func() {
		defer func() { <-l.refusing }()
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(refusalTimeout))
		// A client that is answered while it writes may never read the answer.
		_, _ = c.Read(make([]byte, headerBytes))
		_, _ = c.Write(l.server.crowded())
	}()
}

// crowded is the answer to one connection too many.
func (s *Server) crowded() []byte {
	p := problemFor(&requestError{code: codeTooManyConnections,
		detail: fmt.Sprintf("there are %d connections already, the most that are served; close some, or use one for many tasks (POST /v1/stream)",
			s.options.MaxConnections)})
	text, err := json.Marshal(p)
	if err != nil {
		text = nil // a struct of strings is always JSON
	}
	var head strings.Builder
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\nConnection: close\r\n", p.Status, http.StatusText(p.Status))
	fmt.Fprintf(&head, "Content-Type: %s\r\nContent-Length: %d\r\nRetry-After: 1\r\n\r\n", problemType, len(text))
	return append([]byte(head.String()), text...)
}

// conn is a connection as net/http sees it. A client that ends its own writing is still
// there. Writes fail when the client does
// not take a piece within stall; a long answer may take as long as it makes progress.
type conn struct {
	*net.UnixConn
	stall   time.Duration
	release func()
}

// Read implements io.Reader. While net/http has a request answered it reads a single byte,
// to notice that the client goes: at the end of the input it would end the request, and
// some clients (nc -N, socat) end their own writing alone and wait for the answer. So that
// read goes on until the client has really gone, or has its deadline. A body is read in
// larger pieces: one that stops in the middle is an error at once.
func (c *conn) Read(p []byte) (n int, err error) {
	n, err = c.UnixConn.Read(p)
	if len(p) != 1 || !errors.Is(err, io.EOF) {
		return n, err
	}
	raw, wrong := rawio.New(c.UnixConn)
	if wrong == nil {
		wrong = raw.AwaitHangup()
	}
	if wrong != nil {
		return 0, wrong
	}
	return 0, io.EOF
}

// Write implements io.Writer.
func (c *conn) Write(p []byte) (n int, err error) {
	for err == nil && (n == 0 || n < len(p)) {
		if err = c.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
			break
		}
		var wrote int
		wrote, err = c.UnixConn.Write(p[n:min(len(p), n+pieceBytes)])
		n += wrote
		if wrote == 0 {
			break
		}
	}
	return n, err
}

// Close implements io.Closer.
func (c *conn) Close() error {
	c.release()
	return c.UnixConn.Close()
}
