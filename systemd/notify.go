// Package systemd is the daemon's side of its service manager: readiness, status
// and watchdog messages, the socket that the manager hands over, and, beside the
// Go files, the units themselves.
//
// Outside systemd everything here does nothing and succeeds. The variables that
// systemd sets are taken out of the environment as they are read, so that no
// worker and no script inherits them: a script that could write to the notify
// socket could declare the daemon ready, or keep its watchdog fed.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notifier sends messages to the service manager. The zero value sends none. It
// is safe for concurrent use.
type Notifier struct {
	// address of the manager's datagram socket; empty when there is none.
	address string
	// watchdog is how long the manager waits for a sign of life; 0 means for ever.
	watchdog time.Duration
}

// NewNotifier reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and removes
// them from the environment. Call it before anything else is started.
func NewNotifier() (*Notifier, error) {
	watchdog, err := daemon.SdWatchdogEnabled(true)
	n := &Notifier{address: os.Getenv("NOTIFY_SOCKET"), watchdog: watchdog}
	if err := errors.Join(err, os.Unsetenv("NOTIFY_SOCKET")); err != nil {
		return nil, fmt.Errorf("environment from systemd: %w", err)
	}
	return n, nil
}

// Ready ends the start-up: systemctl start returns, and units that are ordered
// after this one start.
func (n *Notifier) Ready(status string) error {
	return n.send(daemon.SdNotifyReady, statusLine(status))
}

// Stopping says that the shutdown has begun.
func (n *Notifier) Stopping(status string) error {
	return n.send(daemon.SdNotifyStopping, statusLine(status))
}

// Status sets the one line that systemctl status shows.
func (n *Notifier) Status(status string) error { return n.send(statusLine(status)) }

// send writes one datagram. It connects each time: the manager may have been
// re-executed since the last one.
func (n *Notifier) send(lines ...string) error {
	if n.address == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.address, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}

// statusLine keeps a text of several lines from becoming several messages.
func statusLine(s string) string { return "STATUS=" + strings.Join(strings.Fields(s), " ") }

// KeepAlive feeds the watchdog until ctx is done, three times in each of its
// intervals, each time if alive says so. While alive says no, or blocks, nothing is
// sent, and after one interval systemd kills and restarts the service: alive must
// look at what a stuck daemon would be stuck in, and at nothing that a script or a
// client could delay. What could not be sent is told to missed and tried again at the
// next turn: whether the service goes on is the manager's to say. Without a watchdog
// it waits for ctx.
func (n *Notifier) KeepAlive(ctx context.Context, alive func() bool, missed func(error)) {
	if n.watchdog == 0 || n.address == "" {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(n.watchdog / 3)
	defer tick.Stop()
	for {
		if alive() {
			if err := n.send(daemon.SdNotifyWatchdog); err != nil {
				missed(err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
