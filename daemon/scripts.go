package daemon

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"cpulb/daemon/task"

	"golang.org/x/sys/unix"
)

// scripts refuses early what could not be opened later. The executor opens the
// file again, so this protects nothing; the caller only learns of it sooner.
//
// A script that was there a moment ago is not looked at again: the look costs as
// much as handing the task to a worker, and a caller who sends a thousand tasks
// a second mostly sends the same few scripts.
type scripts struct {
	mu   sync.Mutex
	seen map[string]time.Duration // by the uptime
}

const (
	// freshScript is how long a look at a script holds.
	freshScript = 10 * time.Millisecond
	// maxScriptsSeen bounds seen, which is emptied when it is reached.
	maxScriptsSeen = 1024
)

// check returns a task.FieldError for a script that can't be run.
func (s *scripts) check(path string, now time.Duration) error {
	s.mu.Lock()
	seen, ok := s.seen[path]
	s.mu.Unlock()
	if ok && now-seen < freshScript {
		return nil
	}
	if err := checkScript(path); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil || len(s.seen) >= maxScriptsSeen {
		s.seen = map[string]time.Duration{}
	}
	s.seen[path] = now
	return nil
}

// reason is err without the path, which may be long.
func reason(err error) string {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}

func checkScript(path string) error {
	wrong := func(code, problem string) error {
		return &task.FieldError{Field: "script_path", Code: code, Problem: fmt.Sprintf("%.256q %s", path, problem)}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return wrong("script_not_found", "does not exist")
	case err != nil:
		return wrong("script_not_readable", "can't be looked at: "+reason(err))
	case info.IsDir():
		return wrong("script_is_directory", "is a folder, not a script")
	case !info.Mode().IsRegular():
		return wrong("script_not_readable", "is not a regular file")
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.R_OK, unix.AT_EACCESS); err != nil {
		return wrong("script_not_readable", "is not readable by the daemon: "+err.Error())
	}
	return nil
}
