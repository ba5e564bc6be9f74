package ipc

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"cpulb/daemon/access"
	"cpulb/internal/rawio"
	"cpulb/internal/share"
)

const (
	// pieceBytes is how much of an answer has to be taken within StallTimeout.
	pieceBytes = 1 << 20
	// reservedPlaces are for administrators, when all other places are taken: who has to
	// mend that gets in.
	reservedPlaces = 32
	// fewPlaces are those of which nobody expects more than their number.
	fewPlaces = 16
	// MoreConnections is how many there may be beyond those that Options allows, of
	// administrators and of clients who are told that there is no place for them.
	MoreConnections = reservedPlaces + refusals
	// ConnectionDescriptors is how many file descriptors one takes.
	ConnectionDescriptors = rawio.Descriptors
)

// bounded is a listener with a bound on its connections, of which each user has its
// share. One too many is answered at once: to leave it unaccepted would look as if the
// daemon hung.
type bounded struct {
	net.Listener
	server *Server
	// refusing has the clients who are told that there is no place for them.
	places, reserved, refusing *share.Pool
}

func (s *Server) bounded(l net.Listener) net.Listener {
	return &bounded{Listener: l, server: s, places: share.NewPool(int64(s.options.Connections())), reserved: share.NewPool(reservedPlaces),
		refusing: share.NewPool(refusals)}
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
		who, gone, err := identify(c)
		if gone { // so whoever connects and leaves again, as fast as it can, is not in the way of others
			c.Close()
			continue
		}
		if err != nil {
			l.server.options.Logger.Warn("a client's user is unknown", "error", err)
			who = access.Identity{UID: l.server.overflow}
		}
		pool := l.place(who)
		if pool == nil {
			l.refuse(c, who.UID)
			continue
		}
		return &conn{UnixConn: c, who: who, stall: l.server.options.StallTimeout, release: sync.OnceFunc(func() { pool.Give(who.UID, 1) })}, nil
	}
}

// place takes a place for one connection more and returns where; nil: there is none.
func (l *bounded) place(who access.Identity) *share.Pool {
	if n := int64(l.server.options.Connections()); n != l.places.Capacity() {
		l.places.Resize(n)
	}
	administers := l.server.engine.Administers(who)
	switch caller := (share.Caller{UID: who.UID, Whole: administers}); {
	case l.places.Take(caller, 1):
		return l.places
	case administers && l.helps(who.UID) && l.reserved.Take(share.Caller{UID: who.UID}, 1): // of several, none takes all
		return l.reserved
	}
	return nil
}

// helps reports whether what is in reserve is for a user, too: not for who has taken all of
// a few places itself.
func (l *bounded) helps(uid uint32) bool {
	_, own := l.places.Used(uid)
	return own < l.places.Capacity() || own > fewPlaces
}

// full describes why there is no place for a user.
func (l *bounded) full(uid uint32) error {
	detail := "there are %d connections already, the most that are served; try again later"
	n, own := l.places.Used(uid)
	if n < l.places.Capacity() {
		detail = "your user has %d connections already, its share of limits.connections; close some, or use one for many tasks (POST /v1/stream)"
		n = own
	}
	return &requestError{code: codeTooManyConnections, detail: fmt.Sprintf(detail, n)}
}

// conn is a connection as net/http sees it. A client that ends its own writing is still
// there. Writes fail when the client does not take a piece within stall; a long answer may take as long as it makes progress.
type conn struct {
	*net.UnixConn
	who     access.Identity
	stall   time.Duration
	release func()
	// answers: net/http has read the head of a request, and has not answered it yet.
	answers atomic.Bool
}

// connState is http.Server.ConnState.
func connState(c net.Conn, now http.ConnState) {
	c.(*conn).answers.Store(now == http.StateActive) // what bounded.Accept returns
}

// Read implements io.Reader. While net/http has a request answered it reads a single byte,
// to notice that the client goes: at the end of the input it would end the request, and
// some clients (nc -N, socat) end their own writing alone and wait for the answer; and once
// it has got the first byte of a further request it would notice nothing. So that read
// takes nothing, and goes on until the client has really gone, or has its deadline. All
// else is read in larger pieces: a body that stops in the middle is an error at once.
func (c *conn) Read(p []byte) (n int, err error) {
	if len(p) != 1 || !c.answers.Load() {
		return c.UnixConn.Read(p)
	}
	if err := rawio.AwaitHangup(c.UnixConn); err != nil {
		return 0, err
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
