package plugins

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// errStranger is what who is not the daemon gets.
var errStranger = errors.New("this socket is for the daemon alone")

// only is the process whose connections an executor answers: the one that has started it.
// Scripts can reach the sockets of their worker, and with one of those forge its answers.
// The kernel keeps the pid that connected (unix(7), SO_PEERCRED); while the daemon lives
// nobody else has it, and a worker does not outlive it.
type only struct {
	pid int
	uid uint32
}

// parent is the process that has started this one. Whose it is can't always be seen; it
// counts as root's then, whom everybody trusts anyway.
func parent() *only {
	o := &only{pid: os.Getppid()}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.pid)) // its folder is root's if it is not dumpable
	if err != nil {
		return o
	}
	for line := range strings.Lines(string(status)) {
		if ids, ok := strings.CutPrefix(line, "Uid:"); ok {
			_, _ = fmt.Sscan(ids, new(uint32), &o.uid) // the effective one
		}
	}
	return o
}

// check returns why the one who has connected is not served.
func (o *only) check(conn net.Conn) error {
	if o == nil {
		return nil
	}
	return checkPeer(conn, o.pid, errStranger)
}

// ErrNotWorker is matched by the error of CheckServer.
var ErrNotWorker = errors.New("this socket is not the worker's")

// CheckServer returns why the daemon may not speak on a connection that it has made: it is
// not the process pid, which has not been reaped, that serves the socket.
func CheckServer(conn net.Conn, pid int) error { return checkPeer(conn, pid, ErrNotWorker) }

// checkPeer returns an error that matches other if it is not process pid that is at the other
// end: that has connected, or listens.
func checkPeer(conn net.Conn, pid int, other error) error {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("%w: %s is not a Unix socket", other, conn.LocalAddr())
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	cerr := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(cerr, err); err != nil {
		return err
	}
	if int(peer.Pid) != pid {
		return fmt.Errorf("%w: process %d of uid %d is at its other end", other, peer.Pid, peer.Uid)
	}
	return nil
}

// serveAlone makes the server of the control plane.
func (o *only) serveAlone(options []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(options, grpc.Creds(guarded{insecure.NewCredentials(), o}))...)
}

// guarded are credentials that are checked before a connection is used, and add nothing to
// it.
type guarded struct {
	credentials.TransportCredentials
	only *only
}

// ServerHandshake implements credentials.TransportCredentials.
func (g guarded) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if err := g.only.check(conn); err != nil {
		return nil, nil, err
	}
	return g.TransportCredentials.ServerHandshake(conn)
}

// Clone implements credentials.TransportCredentials.
func (g guarded) Clone() credentials.TransportCredentials {
	return guarded{g.TransportCredentials.Clone(), g.only}
}
