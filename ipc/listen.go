package ipc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ErrInUse is matched when another daemon answers on the socket.
var ErrInUse = errors.New("another daemon listens")

// ListenConfig says where to listen and who may connect.
type ListenConfig struct {
	Path string
	Mode os.FileMode
	// Group owns the socket; empty keeps the daemon's.
	Group string
}

// maxPath is what a Unix socket's path may have (unix(7)).
const maxPath = 107

// Listen makes the socket. A socket that nobody answers on is replaced; one that
// is in use, or a file that is no socket, is left alone and an error. Closing
// the listener removes the socket.
func Listen(c ListenConfig) (net.Listener, error) {
	if len(c.Path) > maxPath {
		return nil, fmt.Errorf("socket path %s has %d bytes, the most is %d", c.Path, len(c.Path), maxPath)
	}
	gid, err := groupID(c.Group)
	if err != nil {
		return nil, err
	}
	// Checking, removing and binding must be one step against another daemon that
	// does the same: the folder's lock makes them one, and leaves no file behind.
	dir, err := os.Open(filepath.Dir(c.Path))
	if err != nil {
		return nil, fmt.Errorf("socket folder: %w", err)
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir.Name(), err)
	}
	if err := removeStale(c.Path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", c.Path)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := errors.Join(os.Chown(c.Path, -1, gid), os.Chmod(c.Path, c.Mode)); err != nil {
		return nil, errors.Join(fmt.Errorf("socket owner and mode: %w", err), l.Close())
	}
	return l, nil
}

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
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%w on %s", ErrInUse, path)
	}
	if !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%w on %s, or it can't be told: %w", ErrInUse, path, err)
	}
	return os.Remove(path)
}

func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("socket group: %w", err)
	}
	return strconv.Atoi(g.Gid)
}
