// Package trust says whether a folder, or a file, is its user's alone: nobody else owns it,
// can write in it, or can put another in its place.
//
// Guarantees: after Folder or File returned nil, only the user and root can change what the
// path leads to. It holds as long as these two leave the modes as they are.
package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

var (
	// ErrFolder is matched when the folder itself belongs to another user, or others can
	// write in it.
	ErrFolder = errors.New("the folder can't be trusted")
	// ErrOpen is matched as well in the second case.
	ErrOpen = errors.New("others can write in it")
	// ErrWay is matched when others control a folder or a symbolic link on the way there.
	ErrWay = errors.New("the way to the folder can't be trusted")
	// ErrFile is matched when a file belongs to somebody else than the user and root, or
	// others can write in it.
	ErrFile = errors.New("the file can't be trusted")
)

// maxLinks is how many symbolic links a path may have, as for the kernel.
const maxLinks = 40

// Folder checks the folder at path for this user. One that does not exist yet is
// trusted, if the way to it is. The errors say what is wrong, for people.
func Folder(path string, uid int) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	w := walk{uid: uid, at: "/", rest: split(path)}
	for len(w.rest) > 0 {
		if err := w.step(); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
	}
	return w.end()
}

// File checks the file at path, which must exist, for this user: only he and root can write
// in it, or put another one there.
func File(path string, uid int) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	w := walk{uid: uid, at: "/", rest: split(path)}
	for len(w.rest) > 0 {
		if err := w.passes(); err != nil {
			return err
		}
		file, err := w.file()
		if err != nil || file {
			return err
		}
		if err := w.step(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %s is a folder", ErrFile, w.at)
}

// file checks the file that the next name is, if it is one and the last.
func (w *walk) file() (is bool, err error) {
	path := filepath.Join(w.at, w.rest[0])
	info, err := os.Lstat(path)
	if err != nil || len(w.rest) > 1 || !info.Mode().IsRegular() {
		return false, err
	}
	if owner := ownerOf(info); owner != 0 && owner != w.uid {
		return true, fmt.Errorf("%w: %s belongs to uid %d, neither to uid %d nor to root", ErrFile, path, owner, w.uid)
	}
	if info.Mode().Perm()&0o022 != 0 && !w.mine(info) {
		return true, fmt.Errorf("%w: %s: %w, its mode is %04o", ErrFile, path, ErrOpen, info.Mode().Perm())
	}
	return true, nil
}

// Itself checks the folder alone, wherever the way there leads. One that does not exist
// is trusted.
func Itself(path string, uid int) error {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	w := walk{uid: uid, at: real}
	return w.end()
}

// walk is on its way to a folder, one name after the other, as the kernel goes.
type walk struct {
	uid   int
	at    string // a folder, no link
	rest  []string
	links int
}

func (w *walk) step() error {
	if err := w.passes(); err != nil {
		return err
	}
	name := w.rest[0]
	w.rest = w.rest[1:]
	if name == ".." {
		w.at = filepath.Dir(w.at)
		return nil
	}
	next := filepath.Join(w.at, name)
	info, err := os.Lstat(next)
	if err != nil {
		return err
	}
	if info.Mode().Type() == fs.ModeSymlink {
		return w.follow(next, info)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder: %w", next, syscall.ENOTDIR)
	}
	w.at = next
	return nil
}

// passes checks a folder on the way. In a sticky one others may make names of their own,
// but not change those of others.
func (w *walk) passes() error {
	info, err := os.Lstat(w.at)
	if err != nil {
		return err
	}
	if owner := ownerOf(info); owner != 0 && owner != w.uid {
		return fmt.Errorf("%w: %s belongs to uid %d, neither to uid %d nor to root", ErrWay, w.at, owner, w.uid)
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 && !w.mine(info) {
		return fmt.Errorf("%w: others can write in %s (mode %04o) and put something else there", ErrWay, w.at, info.Mode().Perm())
	}
	return nil
}

// mine reports whether only a group can write that the daemon's user has to himself, as
// where each user has a group of his own, or that is root's.
func (w *walk) mine(info fs.FileInfo) bool {
	group := groupOf(info)
	return info.Mode().Perm()&0o002 == 0 && (group == 0 || group == os.Getegid() && group == w.uid)
}

func (w *walk) follow(link string, info fs.FileInfo) error {
	if owner := ownerOf(info); owner != 0 && owner != w.uid {
		return fmt.Errorf("%w: the symbolic link %s belongs to uid %d, neither to uid %d nor to root", ErrWay, link, owner, w.uid)
	}
	if w.links++; w.links > maxLinks {
		return fmt.Errorf("%s: %w", link, syscall.ELOOP)
	}
	target, err := os.Readlink(link)
	if err != nil {
		return err
	}
	if filepath.IsAbs(target) {
		w.at = "/"
	}
	w.rest = append(split(target), w.rest...)
	return nil
}

// end checks the folder itself.
func (w *walk) end() error {
	info, err := os.Lstat(w.at)
	if err != nil {
		return err
	}
	if owner := ownerOf(info); owner != w.uid {
		return fmt.Errorf("%w: %s belongs to uid %d, not to uid %d", ErrFolder, w.at, owner, w.uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%w: %s: %w, its mode is %04o; 0700 is right (chmod go-rwx)", ErrFolder, w.at, ErrOpen, info.Mode().Perm())
	}
	return nil
}

// split returns the names of a path. It keeps "..", which leads elsewhere behind a link.
func split(path string) []string {
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && name != "." {
			names = append(names, name)
		}
	}
	return names
}

func ownerOf(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) } // what package os documents for Unix

func groupOf(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Gid) }
