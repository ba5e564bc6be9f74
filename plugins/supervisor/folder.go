package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

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

// letThrough has every user reach what they know the name of in a folder of this process's user.
// What is there has permissions of its own.
func letThrough(folder string) error {
	fd, err := openOwn(unix.AT_FDCWD, folder)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUser, err)
	}
	defer unix.Close(fd)
	return (*User)(nil).check("chmod", folder, unix.Fchmod(fd, 0o711))
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

// remove removes a worker's folder. What is in it the user's scripts have made: it is removed
// as that user, nil for the daemon's own.
func (u *User) remove(folder string) error {
	if u != nil {
		_ = u.as(func() error { return empty(folder) }) // what is left the last call names
	}
	return os.RemoveAll(folder)
}

// RemoveFolder removes the folder of a worker of an earlier daemon, which has been the user's
// whose it is.
func RemoveFolder(folder string) error {
	info, err := os.Lstat(folder)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() || owner.Uid == 0 {
		return os.RemoveAll(folder)
	}
	return (&User{UID: owner.Uid, GID: owner.Gid}).remove(folder)
}

// empty removes what is in a folder of the calling thread's user, also where that has no
// permission to. The folder stays: it is in one of the daemon's, which the user can't list.
func empty(folder string) error {
	if removeAllIn(folder) == nil {
		return nil
	}
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	return errors.Join(err, removeAllIn(folder))
}

func removeAllIn(folder string) error {
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(folder, e.Name())))
	}
	return err
}

// as calls f on a thread that may do to files what u may, and nothing else: whatever scripts
// of u have put in a path's place, they can reach it themselves. It changes that thread's
// user for file systems alone (credentials(7)): with any other of the ids u could signal it.
// f stays on its goroutine.
func (u *User) as(f func() error) error {
	return onOwnThread(func() error {
		groups := u.Groups
		if len(groups) == 0 {
			groups = []uint32{u.GID}
		}
		// Of this thread alone, where syscall.Setgroups is for all.
		if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0); errno != 0 {
			return fmt.Errorf("%w: setgroups: %w", ErrUser, errno)
		}
		_ = unix.Setfsgid(int(u.GID)) // neither reports an error (setfsuid(2))
		_ = unix.Setfsuid(int(u.UID))
		uid, _ := unix.SetfsuidRetUid(-1)
		gid, _ := unix.SetfsgidRetGid(-1)
		if uid != int(u.UID) || gid != int(u.GID) {
			return fmt.Errorf("%w: setfsuid: %w", ErrUser, unix.EPERM)
		}
		if err := dropEffective(); err != nil {
			return fmt.Errorf("%w: capset: %w", ErrUser, err)
		}
		return f()
	})
}
