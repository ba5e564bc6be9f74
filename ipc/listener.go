package ipc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// Listener is the daemon's own socket. Its file can be made again while it listens.
type Listener struct {
	config   ListenConfig
	gid      int
	accepted chan accepted
	closed   chan struct{}
	once     sync.Once

	mu sync.Mutex
	// current is the socket that made is the file of. before is the one of a file that
	// was taken away, kept until those have been accepted who had connected to it.
	current, before *net.UnixListener
	made            os.FileInfo
}

// accepted is what one of the sockets has accepted, or why it could not.
type accepted struct {
	conn net.Conn
	err  error
}

// bind makes the socket and accepts on it. The caller holds the folder's lock.
func (l *Listener) bind() error {
	if err := removeStale(l.config.Path); err != nil {
		return err
	}
	socket, err := create(l.config, l.gid)
	if err != nil {
		return err
	}
	made, err := os.Lstat(l.config.Path)
	if err != nil {
		return errors.Join(fmt.Errorf("socket: %w", err), socket.Close())
	}
	socket.SetUnlinkOnClose(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		return errors.Join(net.ErrClosed, os.Remove(l.config.Path), socket.Close())
	default:
	}
	l.before, l.current, l.made = l.current, socket, made
	go l.take(socket)
	return nil
}

// take accepts on one socket until that is closed.
func (l *Listener) take(socket *net.UnixListener) {
	for {
		conn, err := socket.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case l.accepted <- accepted{conn, err}:
		case <-l.closed:
			if conn != nil {
				conn.Close()
			}
			return
		}
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case a := <-l.accepted:
		return a.conn, a.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: l.config.Path, Net: "unix"} }

// Close implements net.Listener. The socket's file goes first: as long as the descriptor
// is open, no other file can have its inode's number.
func (l *Listener) Close() (err error) {
	l.once.Do(func() {
		// The folder's lock comes before our own, as in restore.
		if dir, err := lockFolder(filepath.Dir(l.config.Path)); err == nil { // else it is gone, and the file with it
			defer dir.Close()
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.stands() {
			_ = os.Remove(l.config.Path) // what stays is stale, and the next daemon replaces it
		}
		close(l.closed)
		err = l.current.Close()
		l.letGo()
	})
	return err
}

// stands reports whether the path leads to the socket.
func (l *Listener) stands() bool {
	now, err := os.Lstat(l.config.Path)
	return err == nil && os.SameFile(now, l.made)
}

func (l *Listener) letGo() {
	if l.before != nil {
		_ = l.before.Close() // nobody is there any more
		l.before = nil
	}
}

// restore makes the socket's file again if it is gone, and reports whether it did. An
// error says why nobody can connect.
func (l *Listener) restore() (bool, error) {
	l.mu.Lock()
	l.letGo()
	stands := l.stands()
	l.mu.Unlock()
	if stands {
		return false, nil
	}
	dir, err := lockFolder(filepath.Dir(l.config.Path))
	if err != nil {
		return false, err
	}
	defer dir.Close()
	if err := l.bind(); err != nil {
		return false, err
	}
	return true, nil
}
