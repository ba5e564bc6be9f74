package ipc

import (
	"context"
	"cpulb/daemon/access"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrInUse is matched when another daemon answers on the socket.
var ErrInUse = errors.New("another daemon listens")

// ListenConfig says where to listen and who may connect.
type ListenConfig struct {
	Path string
	Mode os.FileMode
	// Group owns the socket, by name or number; empty keeps the daemon's.
	Group string
}

const (
	// maxPathBytes is what a Unix socket's path may have (unix(7)).
	maxPathBytes = 107
	// dialTimeout bounds the question whether somebody answers.
	dialTimeout = time.Second
)

// Listen makes the socket. A socket that nobody answers on is replaced; one that
// is in use, or a file that is no socket, is left alone and an error. Nobody but
// the daemon's user can connect before group and mode are set. Closing the
// listener removes the socket, unless somebody else's has taken its place.
func Listen(c ListenConfig) (*Listener, error) {
	if err := checkPath(c.Path); err != nil {
		return nil, err
	}
	gid, err := groupID(c.Group)
	if err != nil {
		return nil, err
	}
	l := &Listener{config: c, gid: gid, accepted: make(chan accepted), closed: make(chan struct{})}
	dir, err := lockFolder(filepath.Dir(c.Path))
	if err != nil {
		return nil, err
	}
	defer dir.Close() // and with it the lock
	if err := l.bind(); err != nil {
		return nil, err
	}
	return l, nil
}

func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("socket path is empty")
	case strings.HasPrefix(path, "@"):
		return fmt.Errorf("socket path %s names an abstract socket, which has no owner and no mode; give a file's path", path)
	case len(path) > maxPathBytes:
		return fmt.Errorf("socket path %s has %d bytes, the most is %d", path, len(path), maxPathBytes)
	}
	return nil
}

// lockFolder makes looking, removing and binding one step against another daemon
// that does the same. The lock is on the folder itself, so it leaves no file
// behind. It is waited for: every holder lets go at once.
func lockFolder(path string) (*os.File, error) {
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("socket folder %s does not exist; make it first, for the daemon's user: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("socket folder: %w", err)
	}
	for {
		err = unix.Flock(int(dir.Fd()), unix.LOCK_EX)
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, unix.EINTR) {
			dir.Close()
			return nil, fmt.Errorf("lock socket folder %s: %w", path, err)
		}
	}
}

// removeStale removes the socket of a daemon that is dead. Only a refused
// connection proves that; in doubt the socket is left alone.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("socket: %w", err)
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s exists and is not a socket; it is left alone", path)
	}
	conn, err := net.DialTimeout("unix", path, dialTimeout)
	if err == nil {
		conn.Close()
	}
	var timeout net.Error
	switch {
	case err == nil, errors.Is(err, unix.EAGAIN), errors.As(err, &timeout) && timeout.Timeout():
		// A full backlog and a slow answer are a daemon's that lives.
		return fmt.Errorf("%w on %s", ErrInUse, path)
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, os.ErrNotExist):
		return nil // its daemon has just removed it
	default:
		return fmt.Errorf("whether a daemon listens on %s can't be told, so it is left alone: %w", path, err)
	}
}

// create creates the socket for its owner alone, and opens it to others only once
// it has its group: between bind(2) and chmod(2) nobody slips in.
func create(c ListenConfig, gid int) (*net.UnixListener, error) {
	private := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		// Linux takes the mode of the file from that of the descriptor.
		return errors.Join(raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }), err)
	}}
	l, err := private.Listen(context.Background(), "unix", c.Path)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err = publish(c, gid); err != nil {
		return nil, errors.Join(fmt.Errorf("socket's group and mode: %w", err), l.Close())
	}
	return l.(*net.UnixListener), nil // what net documents for "unix"
}

// publish gives the socket its group and mode. Scripts that run as the daemon's user can put a
// link to another file in its place at any moment, whose group the daemon may be able to
// change. So it is held by a descriptor, and has to be a socket of that user.
func publish(c ListenConfig, gid int) error {
	fd, err := unix.Open(c.Path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFSOCK || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s has been exchanged", c.Path)
	}
	if gid >= 0 {
		if err := unix.Fchownat(fd, "", -1, gid, unix.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	return os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), c.Mode) // such a descriptor takes no fchmod(2)
}

// groupID returns -1 for the empty name.
func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(id), nil
	}
	id, err := access.GroupID(name)
	if err != nil {
		return 0, fmt.Errorf("socket group %q: %w", name, err)
	}
	return int(id), nil
}
