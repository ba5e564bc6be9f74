// Package dashboard serves a page that shows a daemon in a browser, and passes the page's
// calls on to the daemon's socket.
//
// Guarantees: it listens on loopback addresses alone. Whoever does not know the token of a
// Dashboard gets the page's own files and nothing else, and no other site that a browser
// shows can use it. Of the daemon's calls it passes on those that the page needs, with the
// rights of the user who runs it. It keeps an hour of figures in memory, and nothing on disk.
//
// It does not keep the token from who can read the memory, the terminal or the browser of the
// user who runs it.
package dashboard

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"cpulb/ipc/client"
)

// Bounds on clients that are idle, slow or verbose.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	headerBytes   = 16 << 10
	// goodbye is how long answers that have begun have at the end.
	goodbye = time.Second
)

// Dashboard shows one daemon.
type Dashboard struct {
	daemon    *client.Client
	transport http.RoundTripper // to the daemon
	observer  *observer
	token     string
}

// New returns a Dashboard of the daemon on socket, with a token of its own. The daemon need
// not run.
func New(socket string) *Dashboard {
	daemon := client.New(socket)
	return &Dashboard{daemon: daemon, transport: daemon.Transport(), observer: newObserver(socket, daemon), token: rand.Text()}
}

// Address is where a browser finds the page that l serves. The token is behind the #, which
// browsers send to nobody.
func (d *Dashboard) Address(l net.Listener) string {
	return "http://" + l.Addr().String() + "/#token=" + d.token
}

// Serve watches the daemon and answers on l, which it closes, until ctx is done. Then it
// returns nil. It is called once.
func (d *Dashboard) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	server := &http.Server{Handler: d.handler(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	defer d.daemon.Close()
	var both sync.WaitGroup
	defer both.Wait()
	defer cancel()
	both.Go(func() { d.observer.run(ctx) })
	both.Go(func() {
		<-ctx.Done()
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer stop()
		_ = server.Shutdown(last) // an error: events are still sent, and are cut off
		_ = server.Close()
	})
	err := server.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
