package ipc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
)

// lookAgain is how long a socket may be out of reach before that is noticed.
const lookAgain = time.Second

// Lookout looks whether clients still find a socket: its file may be removed, by a
// program that cleans up or by hand, while the daemon hears nothing of it.
type Lookout struct {
	listener net.Listener
	// found is the file of a socket that is not ours to make, as it was at first.
	found os.FileInfo
}

// errNotOurs is why the file of a socket that was handed over can't be made again.
var errNotOurs = errors.New("the socket's file was removed or replaced, so that nobody can connect any more; whoever made it has to make it again, " +
	"as by systemctl restart cpulbd.socket")

// NewLookout returns a Lookout for l, a Listener or a socket that was handed over.
func NewLookout(l net.Listener) *Lookout {
	o := &Lookout{listener: l}
	if _, ours := l.(*Listener); !ours {
		o.found, _ = os.Lstat(l.Addr().String()) // without it, there is nothing to compare
	}
	return o
}

// Look looks once. It reports whether it has made the file again, or why clients can't
// connect.
func (o *Lookout) Look() (again bool, err error) {
	if l, ours := o.listener.(*Listener); ours {
		return l.restore()
	}
	if o.found == nil {
		return false, nil
	}
	now, err := os.Lstat(o.listener.Addr().String())
	switch {
	case errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(now, o.found):
		return false, errNotOurs
	case err != nil:
		return false, fmt.Errorf("socket: %w", err)
	}
	return false, nil
}

// Keep looks until ctx is done. The log says what has happened, once.
func (o *Lookout) Keep(ctx context.Context, log hclog.Logger) {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	said := ""
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		again, err := o.Look()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil && err.Error() != said:
			log.Error("clients can't connect", "socket", o.listener.Addr().String(), "reason", err)
			said = err.Error()
		case again:
			log.Warn("the socket's file had been removed; it was made again", "socket", o.listener.Addr().String())
			said = ""
		case err == nil && said != "":
			log.Info("clients can connect again", "socket", o.listener.Addr().String())
			said = ""
		}
	}
}
