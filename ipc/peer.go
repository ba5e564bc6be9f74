package ipc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"cpulb/daemon/access"

	"golang.org/x/sys/unix"
)

// peerKey finds the caller's identity in the context of a connection.
type peerKey struct{}

// defaultOverflowID is Linux's own, used where /proc has no other.
const defaultOverflowID = 65534

const (
	// noID is nobody's uid: to the kernel it means that there is none.
	noID = math.MaxUint32
	// allIDs is how many uids there can be, without noID.
	allIDs = math.MaxUint32
)

// strangerID is the uid that the kernel reports for users whom the daemon's user namespace does
// not have; it identifies nobody. Where the namespace has all users, as a machine's first one
// does, that is noID, and the overflow uid is that of nobody(5) alone.
func strangerID() uint32 {
	users, err := os.ReadFile("/proc/self/uid_map")
	if err == nil && hasAllUsers(string(users)) {
		return noID
	}
	return overflowID()
}

// hasAllUsers reports whether the lines of a uid_map, "first first_outside count", map all uids.
func hasAllUsers(lines string) bool {
	var mapped uint64
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return false
		}
		count, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			return false
		}
		mapped += count // the kernel lets none be mapped twice
	}
	return mapped == allIDs
}

// overflowID is what the kernel reports for a user who has no uid in a namespace.
func overflowID() uint32 {
	text, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err != nil {
		return defaultOverflowID
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return defaultOverflowID
	}
	return uint32(id)
}

// withPeer adds who is at the other end of a connection, of whom the kernel was asked
// when it was accepted.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, c.(*conn).who) // what bounded.Accept returns
}

// peer returns the caller of a request; one who is unknown has Server.overflow.
func peer(r *http.Request) access.Identity {
	return r.Context().Value(peerKey{}).(access.Identity) // which withPeer has added
}

// requireIdentity rejects callers without a uid of their own: tasks of theirs would
// be shared by all such callers.
func (s *Server) requireIdentity(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if peer(r).UID == s.overflow {
			s.refuseBody(w, r, &access.Denied{Problem: fmt.Sprintf("your user has no uid of its own where the daemon runs (the kernel reports %d there "+
				"for all whom its user namespace does not have); such callers may only see the status. Whoever really is uid %[1]d there, the daemon "+
				"itself among them, has to be another user", s.overflow)})
			return
		}
		h(w, r)
	}
}

// identify returns whoever connected, as it was then (unix(7), SO_PEERCRED), or that it
// has gone again and has asked for nothing.
func identify(c syscall.Conn) (who access.Identity, gone bool, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return access.Identity{}, false, err
	}
	var asked error
	err = raw.Control(func(fd uintptr) {
		if gone = hasGone(int(fd)); !gone {
			who, asked = credentials(int(fd))
		}
	})
	return who, gone, errors.Join(err, asked)
}

// hasGone reports whether the other end has been closed, and nothing sent before.
func hasGone(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	if n, err := unix.Poll(fds, 0); err != nil || n == 0 || fds[0].Revents&unix.POLLHUP == 0 {
		return false
	}
	sent, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	return err == nil && sent == 0
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
