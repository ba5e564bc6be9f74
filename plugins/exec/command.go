package exec

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cpulb/plugins"
	"cpulb/plugins/program"

	"golang.org/x/sys/unix"
)

// command is what a task executes.
type command struct {
	path   string
	argv   []string
	script int    // a descriptor to execute instead of path; -1: none
	source string // a file to remove; "": none
}

func (c *command) close() {
	if c.script >= 0 {
		unix.Close(c.script)
	}
	if c.source != "" {
		_ = os.Remove(c.source) // the next one of the slot removes it, too
	}
}

// refusal is the end of a task that has not begun.
type refusal struct{ code, kind, message string }

func (r *refusal) Error() string { return r.message }

func refuse(code, kind, format string, args ...any) error {
	return &refusal{code, kind, fmt.Sprintf(format, args...)}
}

// commandOf finds what t runs. An error that is no refusal is the executor's.
func (e *Executor) commandOf(t *plugins.Task, slot int) (*command, error) {
	if t.Function != "" && t.Function != "main" {
		return nil, refuse("no_entry_point", "LookupError", "a program has no function %q; leave function out", t.Function)
	}
	args, err := program.Arguments(t.Params)
	if err != nil {
		return nil, refuse("bad_params", "ValueError", "%s", err)
	}
	if t.ScriptPath == "" {
		return e.sourceCommand(t, slot, args)
	}
	script, err := e.open(t.ScriptPath)
	if err != nil {
		return nil, err
	}
	c := &command{path: t.ScriptPath, argv: append([]string{t.ScriptPath}, args...), script: script}
	if len(e.argv) > 0 {
		c.argv = slices.Concat(e.argv, c.argv)
		c.path = e.interpreter
		c.close()
		c.script = -1
		return c, nil
	}
	// A script's interpreter opens the path, so only a binary can be executed by the descriptor
	// that has been checked; whoever it is run for has to be able to reach it by its path.
	if t.RunAs != nil || !isBinary(c.script) {
		c.close()
		c.script = -1
	}
	return c, nil
}

// open opens a script beneath the script_dirs, or anywhere if there are none.
func (e *Executor) open(path string) (int, error) {
	fd, err := e.openBeneath(path)
	if err != nil {
		switch {
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM):
			return -1, err
		case errors.Is(err, unix.EXDEV):
			return -1, refuse("script_not_allowed", "PermissionError", "%s leads out of access.script_dirs (%s)", path, strings.Join(e.scriptDirs, ", "))
		case errors.Is(err, fs.ErrNotExist):
			return -1, refuse("script_not_found", "FileNotFoundError", "%s does not exist", path)
		}
		return -1, refuse("script_unreadable", "OSError", "%s can't be opened: %s", path, err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	kind := st.Mode & unix.S_IFMT
	switch {
	case err != nil:
	case kind == unix.S_IFDIR:
		err = refuse("script_unreadable", "IsADirectoryError", "%s is a directory", path)
	case kind != unix.S_IFREG:
		err = refuse("script_unreadable", "OSError", "%s is not a file", path)
	case len(e.argv) == 0 && st.Mode&0o111 == 0:
		err = refuse("script_unreadable", "PermissionError", "%s is not executable: chmod +x it, or name an interpreter in the executor's argv", path)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (e *Executor) openBeneath(path string) (int, error) {
	if len(e.scriptDirs) == 0 {
		return unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	err := error(unix.EXDEV)
	for _, dir := range e.scriptDirs {
		rest, rerr := filepath.Rel(dir, path)
		if rerr != nil || !filepath.IsLocal(rest) || rest == "." {
			continue
		}
		var folder, fd int
		if folder, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
			continue
		}
		fd, err = unix.Openat2(folder, rest, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS})
		unix.Close(folder)
		if err == nil {
			return fd, nil
		}
	}
	return -1, err
}

// isBinary reports whether the file is one that the kernel executes without a path.
func isBinary(fd int) bool {
	f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return false
	}
	defer f.Close()
	var first [4]byte
	n, _ := f.Read(first[:])
	return bytes.Equal(first[:n], []byte("\x7fELF"))
}

// sourceCommand makes a file of the task's source, which the command's close removes. What is in its
// first line is executed with it, as the kernel would.
func (e *Executor) sourceCommand(t *plugins.Task, slot int, args []string) (*command, error) {
	argv := e.argv
	path := e.interpreter
	if len(argv) == 0 {
		if argv = shebang(t.Source); len(argv) == 0 {
			return nil, refuse("script_syntax", "SyntaxError", "the source does not begin with #! and an interpreter, and the executor has no argv")
		}
		path = argv[0]
	}
	file, err := e.writeSource(t, slot)
	if err != nil {
		return nil, err
	}
	return &command{path: path, argv: slices.Concat(argv, []string{file}, args), script: -1, source: file}, nil
}

// shebang is what execve(2) makes of a first line: an interpreter and at most one argument.
func shebang(text string) []string {
	line, ok := strings.CutPrefix(text, "#!")
	if !ok {
		return nil
	}
	line, _, _ = strings.Cut(line, "\n")
	line = strings.Trim(line, " \t\r")
	if strings.IndexByte(line, 0) >= 0 {
		return nil
	}
	at := strings.IndexAny(line, " \t")
	switch {
	case line == "":
		return nil
	case at < 0:
		return []string{line}
	}
	return []string{line[:at], strings.TrimLeft(line[at:], " \t")}
}

// writeSource writes the file of a slot's source. It is the caller's alone where the task runs
// as that.
func (e *Executor) writeSource(t *plugins.Task, slot int) (string, error) {
	path := filepath.Join(e.conf.RuntimeDir, sourcesFolder, fmt.Sprintf("source-%d", slot))
	_ = os.Remove(path) // one that has stayed
	if err := os.WriteFile(path, []byte(t.Source), 0o600); err != nil {
		return "", err
	}
	if t.RunAs != nil {
		if err := os.Chown(path, int(*t.RunAs), -1); err != nil {
			return "", err
		}
	}
	return path, nil
}
