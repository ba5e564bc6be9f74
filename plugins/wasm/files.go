package wasm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/program"

	"golang.org/x/sys/unix"
)

// mostModule bounds a module's file, in bytes.
const mostModule = 64 << 20

// refusal is the end of a task of which nothing has run.
type refusal struct {
	outcome plugins.Outcome
	certain bool // it is the module's own, and the same whenever it is tried
}

func (r *refusal) Error() string { return r.outcome.Error.Message }

func refuse(code, kind, format string, args ...any) *refusal {
	return &refusal{outcome: program.Failed(code, kind, fmt.Sprintf(format, args...))}
}

func certainly(r *refusal) *refusal { r.certain = true; return r }

// unbegun is the outcome of a task that err has kept from running.
func unbegun(err error) plugins.Outcome {
	var r *refusal
	if errors.As(err, &r) {
		return r.outcome
	}
	return program.Fault(plugins.Unrun, "OSError", err.Error())
}

// open opens the file at path, which has to be beneath one of dirs, if there are any.
func open(path string, dirs []string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY // a FIFO is not waited for
	fd, err := -1, error(unix.EXDEV)
	if len(dirs) == 0 {
		fd, err = unix.Open(path, flags, 0)
	}
	for _, dir := range dirs {
		rest, rerr := filepath.Rel(dir, path)
		if rerr != nil || !filepath.IsLocal(rest) || rest == "." {
			continue
		}
		folder, ferr := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if ferr != nil {
			err = ferr
			continue
		}
		fd, err = unix.Openat2(folder, rest, &unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS})
		unix.Close(folder)
		if err == nil {
			break
		}
	}
	switch {
	case err == nil:
		return os.NewFile(uintptr(fd), path), nil
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM):
		return nil, err // not the script's fault
	case errors.Is(err, unix.EXDEV):
		return nil, refuse("script_not_allowed", "PermissionError", "%s is not beneath access.script_dirs (%s)", path, strings.Join(dirs, ", "))
	case errors.Is(err, fs.ErrNotExist):
		return nil, refuse("script_not_found", "FileNotFoundError", "%s does not exist", path)
	}
	return nil, refuse("script_unreadable", "OSError", "%s can't be opened: %s", path, err)
}

// identity is what says whether a file may have changed.
type identity struct {
	device, inode       uint64
	size                int64
	modified, changedAt unix.Timespec
}

// identityOf returns f's, and whether it can be believed: a file that has changed just now may
// change again within the same tick of its file system's clock.
func identityOf(f *os.File) (id identity, settled bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return id, false, err
	}
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return id, false, refuse("script_unreadable", "IsADirectoryError", "%s is a directory", f.Name())
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return id, false, refuse("script_unreadable", "OSError", "%s is not a file", f.Name())
	case st.Size > mostModule:
		return id, false, refuse("script_syntax", "WasmError", "%s has %d bytes, and a module may have %d", f.Name(), st.Size, mostModule)
	}
	id = identity{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}
	return id, time.Since(time.Unix(st.Ctim.Unix())) > time.Second, nil
}

// sum is a module's name: the SHA-256 of what it consists of.
func sum(module []byte) string {
	s := sha256.Sum256(module)
	return hex.EncodeToString(s[:])
}

// readModule reads the whole of f.
func readModule(f *os.File) ([]byte, error) {
	module, err := io.ReadAll(io.LimitReader(f, mostModule+1))
	switch {
	case err != nil:
		return nil, refuse("script_unreadable", "OSError", "%s can't be read: %s", f.Name(), err)
	case len(module) > mostModule:
		return nil, refuse("script_syntax", "WasmError", "%s has more than the %d bytes that a module may have", f.Name(), mostModule)
	}
	return module, nil
}
