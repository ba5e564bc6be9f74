package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/coreos/go-systemd/v22/activation"
)

// ErrSocket is matched when the daemon can't use the socket of the socket unit.
var ErrSocket = errors.New("the socket from systemd can't be used")

// Listener returns the socket that systemd's socket unit handed over, or nil when
// it handed over none. It removes LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES from
// the environment. The socket's file, mode and owner are the unit's: closing the
// listener leaves the file, and clients that connect then wait for the next start.
func Listener() (net.Listener, error) {
	files := activation.Files(true)
	for _, f := range files {
		defer f.Close() // net.FileListener works on a copy
	}
	switch len(files) {
	case 0:
		return nil, nil
	case 1:
		return unixStream(files[0])
	default:
		return nil, fmt.Errorf("%w: there are %d sockets; one ListenStream= is allowed", ErrSocket, len(files))
	}
}

func unixStream(f *os.File) (net.Listener, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSocket, f.Name(), err)
	}
	if network := l.Addr().Network(); network != "unix" {
		l.Close()
		return nil, fmt.Errorf("%w: %s is a %s socket; ListenStream= with an absolute path is allowed", ErrSocket, f.Name(), network)
	}
	return l, nil
}
