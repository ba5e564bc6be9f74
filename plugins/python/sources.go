package python

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"cpulb/plugins"
)

const (
	// sourcesFolder is in the worker's own folder, and goes with it.
	sourcesFolder = "sources"
	// maxSources is how many texts are kept; the least recently used goes first.
	maxSources = 256
)

// sources are the scripts that came as text. Each is a file in a folder of its own,
// so that it has no siblings, and all that looks at a script's file finds one:
// tracebacks, pickling, multiprocessing.
type sources struct {
	dir string
	// open: others may read a text that they know, by whose hash its folder is called.
	open bool

	mu    sync.Mutex
	known map[string]bool // by folder
	order []string
}

// path returns the file to run for t: the script's, or that of its text.
func (s *sources) path(t *plugins.Task) (string, error) {
	if t.Source == "" {
		return t.ScriptPath, nil
	}
	sum := sha256.Sum256([]byte(t.Source))
	folder := filepath.Join(s.dir, hex.EncodeToString(sum[:]))
	path := filepath.Join(folder, "source.py")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[folder] {
		s.order = append(slices.DeleteFunc(s.order, func(other string) bool { return other == folder }), folder)
		return path, nil
	}
	err := os.Mkdir(folder, 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(t.Source), 0o600)
	}
	if err == nil && s.open {
		err = errors.Join(os.Chmod(folder, 0o755), os.Chmod(path, 0o644))
	}
	if err != nil {
		_ = os.RemoveAll(folder) // or the next try would find it half made
		return "", fmt.Errorf("source: %w", err)
	}
	if s.known == nil {
		s.known = map[string]bool{}
	}
	s.known[folder] = true
	if s.order = append(s.order, folder); len(s.order) > maxSources {
		oldest := s.order[0]
		s.order = s.order[1:]
		delete(s.known, oldest)
		_ = os.RemoveAll(oldest) // what stays goes with the worker
	}
	return path, nil
}
