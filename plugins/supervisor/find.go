package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNotFound is matched when an executor's program does not exist.
var ErrNotFound = errors.New("executor program not found")

// Find returns the absolute path of an executor's program. A command with a slash is
// a path; a bare name is searched for in binDir, in ../libexec/cpulb beside it, and
// in PATH.
func Find(command, binDir string) (string, error) {
	if strings.Contains(command, "/") {
		return absolute(command)
	}
	places := []string{binDir, filepath.Join(binDir, "../libexec/cpulb")}
	for _, dir := range places {
		path, err := absolute(filepath.Join(dir, command))
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err // it exists, so no other is meant
		}
	}
	if path, err := exec.LookPath(command); err == nil {
		return filepath.Abs(path)
	}
	return "", fmt.Errorf("%w: %q is not in %s nor in PATH", ErrNotFound, command, strings.Join(places, ", "))
}

func absolute(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrNotFound, err)
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return "", fmt.Errorf("%w: %s is not an executable file", ErrNotFound, path)
	}
	return filepath.Abs(path)
}
