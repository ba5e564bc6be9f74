package ipc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"unsafe"

	"cpulb/daemon/access"

	"golang.org/x/sys/unix"
)

// peerKey is for the context of a connection: whose it is.
type peerKey struct{}

// nobody is the identity of a caller that the kernel does not tell: the overflow
// uid, which has no rights of its own.
func nobody() access.Identity { return access.Identity{UID: overflowID, GID: overflowID} }

const overflowID = 65534

// withPeer asks the kernel once for each connection who is at its other end.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	who, err := identify(c)
	if err != nil {
		who = nobody()
	}
	return context.WithValue(ctx, peerKey{}, who)
}

// peer is who makes a request.
func peer(r *http.Request) access.Identity {
	if who, ok := r.Context().Value(peerKey{}).(access.Identity); ok {
		return who
	}
	return nobody()
}

// identify returns whoever connected, as it was then (unix(7), SO_PEERCRED).
func identify(c net.Conn) (access.Identity, error) {
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return access.Identity{}, fmt.Errorf("a %T tells no identity", c)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return access.Identity{}, err
	}
	var who access.Identity
	var asked error
	err = raw.Control(func(fd uintptr) { who, asked = credentials(int(fd)) })
	return who, errors.Join(err, asked)
}

func credentials(fd int) (access.Identity, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return access.Identity{}, err
	}
	groups, err := peerGroups(fd)
	return access.Identity{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid, Groups: groups}, err
}

// peerGroups returns the supplementary groups (SO_PEERGROUPS, Linux 4.13). The
// kernel says how many there are when there is too little room.
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 32)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(unsafe.SliceData(groups))), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == unix.ERANGE && int(size/4) > len(groups):
			groups = make([]uint32, size/4)
		case errno != 0:
			return nil, fmt.Errorf("groups of the peer: %w", errno)
		default:
			return groups[:size/4], nil
		}
	}
}
