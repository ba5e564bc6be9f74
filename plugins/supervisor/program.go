package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"cpulb/plugins"
	"cpulb/plugins/reaper"
)

// ErrHash is matched when a program is not the one that the configuration names.
var ErrHash = errors.New("executor program has another SHA-256")

// openProgram opens what is to be executed, and checks its hash if there is one
// to check. What is executed later is this descriptor: replacing the file in
// between has no effect. Whoever may write into the file itself still can.
func openProgram(path, hash string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO would block
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpawn, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is not a file", ErrNotFound, path)
	}
	if err == nil {
		err = checkHash(f, hash)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkHash(f *os.File, want string) error {
	if want == "" {
		return nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); !strings.EqualFold(got, want) {
		return fmt.Errorf("%w: %s has %s, the configuration names %s", ErrHash, f.Name(), got, want)
	}
	return nil
}

// environment is what of ours a worker inherits, and what keeps numerical libraries
// and malloc from reckoning with more CPUs than the worker has; the configured one
// goes before both.
func environment(spec Spec, mark string) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		inherited := []string{"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "TMPDIR"}
		if slices.Contains(inherited, name) || strings.HasPrefix(name, "LC_") {
			env = append(env, kv)
		}
	}
	cpus := len(spec.CPUs)
	if cpus == 0 {
		cpus = runtime.NumCPU() // those of the daemon's own mask
	}
	for _, name := range []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"} {
		env = append(env, name+"="+strconv.Itoa(cpus))
	}
	// Two at least: a thread that waits for an arena costs more than the arena.
	env = append(env, "MALLOC_ARENA_MAX="+strconv.Itoa(max(2, cpus)))
	if spec.User != nil {
		env = append(env, spec.User.environment()...) // of two with one name the last counts
	}
	for name, value := range spec.Env {
		env = append(env, name+"="+value)
	}
	// Last, so that nothing configured takes their place.
	return append(env,
		reaper.MarkEnv+"="+mark,
		plugins.LifelineEnv+"="+strconv.Itoa(lifelineFD),
		plugins.ProgramEnv+"="+strconv.Itoa(programFD),
		plugins.OutputEnv+"="+strconv.Itoa(outputFD))
}
