package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// DefaultSocket is where cpulbd listens by default.
const DefaultSocket = "/run/cpulb/cpulb.sock"

// DefaultPatience is how long a call waits for a daemon that has gone away in the middle of
// it: twice as long as running tasks have, by default, when a daemon stops.
const DefaultPatience = time.Minute

// ErrNoDaemon is matched when nobody answers on the socket.
var ErrNoDaemon = errors.New("no daemon answers")

// ErrNoAnswer is matched where WithAnswerTimeout was not enough: there is a daemon, or something
// else, that hangs. What was being submitted may have been accepted; to submit it again is safe, since
// it has its id.
var ErrNoAnswer = errors.New("no answer")

// Client calls one daemon. It is safe for concurrent use.
type Client struct {
	socket   string
	prompt   time.Duration // see WithAnswerTimeout; 0: without bound
	patience time.Duration
	http     *http.Client
	// httpOnce is for calls that are not to be made twice: each has a connection of its own,
	// since net/http makes a call again where one that it has kept is dead.
	httpOnce *http.Client
	shared   shared
	room     *room
	waits    *waits
	alive    alive
	presence *presence
	// reached: a connection was made. answered: a call succeeded.
	reached, answered atomic.Bool
}

// Option changes how a Client behaves.
type Option func(*Client)

// WithPatience sets how long a call waits for a daemon that has gone away in the middle of
// it, instead of DefaultPatience: for each restart that it outlives. With 0 it fails at once.
func WithPatience(d time.Duration) Option { return func(c *Client) { c.patience = d } }

// WithAnswerTimeout has calls fail with ErrNoAnswer where a daemon hangs for d. It bounds those that
// a daemon answers at once: those that look at tasks, at batches and at the daemon itself, and those that
// cancel. The others may rightly wait, e.g. for room in the queue; while they do the daemon is asked
// whether it lives, and they fail when it does not answer that either. How long a task runs, once it has
// been accepted, is not bounded. Without it calls are bounded by their contexts alone.
func WithAnswerTimeout(d time.Duration) Option {
	return func(c *Client) { c.prompt, c.alive.each = d, d/2 }
}

// idleConnections is how many connections are kept for calls that are made beside each other.
const idleConnections = 16

// New returns a Client of the daemon on socket; it connects when first used.
func New(socket string, options ...Option) *Client {
	c := &Client{socket: socket, patience: DefaultPatience, shared: newShared(), waits: new(waits)}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := c.dial(ctx)
		if err != nil {
			return nil, err // not a nil *net.UnixConn in an interface
		}
		return conn, nil
	}
	c.http = &http.Client{Transport: gate{&c.shared, &http.Transport{MaxIdleConnsPerHost: idleConnections, DisableCompression: true, DialContext: dial}}}
	c.httpOnce = &http.Client{Transport: gate{&c.shared, &http.Transport{DisableKeepAlives: true, DisableCompression: true, DialContext: dial}}}
	for _, set := range options {
		set(c)
	}
	c.room = newRoom(c.patience, c.waits)
	c.presence = newPresence(c.patience)
	return c
}

// Reached reports whether a connection to a daemon was ever made.
func (c *Client) Reached() bool { return c.reached.Load() }

// Close ends the connections. What has been accepted goes on; calls of Run and Map that wait
// fail with ErrClosed, and so does every later call.
func (c *Client) Close() {
	c.shared.close()
	c.http.CloseIdleConnections()
}

// maxPathBytes is what a Unix socket's path may have (unix(7)).
const maxPathBytes = 107

// The pauses between two tries to connect while too many others do.
const minPause, maxPause = time.Millisecond, 50 * time.Millisecond

func (c *Client) dial(ctx context.Context) (*net.UnixConn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
	// Where a socket that blocks would wait for its turn, one of Go's fails: so many have
	// connected whom the daemon has not accepted yet.
	for pause := minPause; errors.Is(err, syscall.EAGAIN); pause = min(2*pause, maxPause) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ended(ctx)
		}
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
	}
	if _, bounded := ctx.Deadline(); bounded && errors.Is(err, os.ErrDeadlineExceeded) {
		<-ctx.Done() // net has a clock of its own for it, which may be a moment ahead
	}
	switch {
	case err != nil && ctx.Err() != nil: // which net calls a timeout
		return nil, ended(ctx)
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w on %s: is cpulbd running?", ErrNoDaemon, c.socket)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%s may not be used by this user: is it in the socket's group? %w", c.socket, err)
	}
	if errors.Is(err, syscall.EINVAL) && len(c.socket) > maxPathBytes {
		return nil, fmt.Errorf("%w: the path %s has %d bytes, and a socket's may have at most %d: use a shorter one, for example of a link to its folder",
			ErrNoDaemon, c.socket, len(c.socket), maxPathBytes)
	}
	if err != nil {
		return nil, err
	}
	c.reached.Store(true)
	return conn.(*net.UnixConn), nil
}
