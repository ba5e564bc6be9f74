package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// own gives the worker its folder, which is in launchers, and the one that go-plugin has made
// in it for its sockets, with a way to both. Scripts can exchange by another file whatever is
// in a folder of theirs, at any moment: workers of the same user after that, those of the
// daemon's own user always. So no privilege is used on a path. What is given away is held by a
// descriptor, and is a folder that this process's user has made; the worker's own goes
// last, since what is in it is the user's to exchange from then on.
func (u *User) own(launchers, folder, sockets string) error {
	if filepath.Dir(folder) != launchers || filepath.Dir(sockets) != folder {
		return fmt.Errorf("%w: %s is not in %s, in %s", ErrUser, sockets, folder, launchers)
	}
	var open [3]int
	at := unix.AT_FDCWD
	for i, path := range []string{launchers, filepath.Base(folder), filepath.Base(sockets)} {
		fd, err := openOwn(at, path)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUser, err)
		}
		defer unix.Close(fd)
		open[i], at = fd, fd
	}
	return errors.Join(u.check("chmod", launchers, unix.Fchmod(open[0], 0o711)),
		u.check("chown", sockets, unix.Fchown(open[2], int(u.UID), int(u.GID))),
		u.check("chown", folder, unix.Fchown(open[1], int(u.UID), int(u.GID))))
}

func (u *User) check(call, path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUser, &os.PathError{Op: call, Path: path, Err: err})
}

// openOwn opens a folder of this process's user that nobody else may write to. It follows no
// link to it.
func openOwn(at int, path string) (fd int, err error) {
	fd, err = unix.Openat(at, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	var stat unix.Stat_t
	if err = unix.Fstat(fd, &stat); err == nil && (int(stat.Uid) != os.Geteuid() || stat.Mode&0o022 != 0) {
		err = fmt.Errorf("it belongs to user %d and has mode %04o; it has been exchanged", stat.Uid, stat.Mode&0o7777)
	}
	if err != nil {
		unix.Close(fd)
		return -1, &os.PathError{Op: "give away", Path: path, Err: err}
	}
	return fd, nil
}
