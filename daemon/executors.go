package daemon

import (
	"context"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/plugins"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Executors reports every executor of the configuration, with what its workers
// run: the program may have been replaced since they started.
func (e *Engine) Executors() []api.ExecutorStatus {
	return slices.Clone(e.executors.get(context.Background()))
}

func (e *Engine) executorStatuses(context.Context) []api.ExecutorStatus {
	all := []api.ExecutorStatus{}
	for _, x := range e.config.Load().Executors {
		all = append(all, e.statusOf(&x))
	}
	return all
}

// sayOf fills in what the executor says of itself.
func sayOf(s *api.ExecutorStatus, d plugins.Description) {
	s.Program, s.Version, s.Capabilities = d.Name, d.Version, d.Capabilities()
	for _, o := range d.Settings {
		s.Settings = append(s.Settings, api.SettingStatus{Name: o.Name, Kind: o.Kind.String(), Description: o.Description,
			Required: o.Required, Default: o.Default, Allowed: o.Allowed})
	}
}

func (e *Engine) statusOf(x *config.Executor) api.ExecutorStatus {
	s := api.ExecutorStatus{Name: x.Name, Command: x.Command, Pools: []string{}}
	if pid, d := e.workerOf(&s); pid != 0 {
		s.SHA256, _ = e.hashRunning(x.Name)
		sayOf(&s, d)
	}
	e.do(func(*effects.List) {
		if last := e.swaps.last[x.Name]; last != nil {
			status := e.swapStatusLocked(last)
			s.Swap = &status
		}
		if o := e.overrides[x.Name]; o.Before != nil {
			s.BeforeCommand = o.Before.Command
		}
	})
	return s
}

// executorStatus reports one executor as it stands now.
func (e *Engine) executorStatus(name string) api.ExecutorStatus {
	x, err := e.executorOf(name)
	if err != nil { // a reload has taken it away meanwhile
		return api.ExecutorStatus{Name: name, Pools: []string{}}
	}
	return e.statusOf(&x)
}

// swapStatusLocked reports a swap as it stands.
func (e *Engine) swapStatusLocked(s *swap) api.SwapStatus {
	status := s.status
	if s.canary == nil {
		return status
	}
	if c, ok := s.canary.CountsLocked(e.fleet); ok {
		status.Canary = &api.CanaryStatus{Share: c.Share, Tasks: c.Tasks, Failed: c.Failed, Others: c.Others, SecondsLeft: c.Left.Seconds()}
	}
	return status
}

// workerOf fills in the pools of an executor and the runtime of one of its workers,
// of which it returns the process, or 0, and what it can do in any of the pools.
func (e *Engine) workerOf(s *api.ExecutorStatus) (pid int, d plugins.Description) {
	e.do(func(*effects.List) {
		for _, p := range e.fleet.PoolsLocked() {
			if p.Config().Executor != s.Name {
				continue
			}
			s.Pools = append(s.Pools, p.Name())
			if pid == 0 {
				pid, s.Runtime = p.Runs()
				d = p.Described()
			}
			d.Add(p.Described()) // some depends on the pool
		}
	})
	return pid, d
}

// hashRunning returns the hash of the program that an executor's workers run, empty if it is not
// known; false: none runs. A script's process executes its interpreter, so what is at the path
// says more, as long as that is the file that they were started with.
func (e *Engine) hashRunning(executor string) (hash string, runs bool) {
	var pid int
	var path string
	var id fleet.FileID
	e.do(func(*effects.List) {
		for _, p := range e.fleet.PoolsLocked() {
			if p.Config().Executor == executor && pid == 0 {
				pid, _ = p.Runs()
				path, id = p.Program()
			}
		}
	})
	if pid == 0 {
		return "", false
	}
	if now, err := fleet.Identify(path); err == nil && now == id {
		hash, err = e.programs.hashFile(path)
		return hash, err == nil
	}
	if executes(pid, path) {
		hash = e.programs.hash(pid)
	}
	return hash, true
}

// executes reports whether a process executes the file that is, or was, at path.
func executes(pid int, path string) bool {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return false
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return strings.TrimSuffix(exe, " (deleted)") == path
}

// programs remembers the hashes of program files, which are large. The zero
// programs is ready for use.
type programs struct {
	mu    sync.Mutex
	known map[fleet.FileID]string
}

// maxPrograms bounds what is remembered.
const maxPrograms = 64

// hash returns the SHA-256 of the program that a process executes; empty if the process
// has ended. It reads the file through the process, because another one may be at the
// path by now.
func (p *programs) hash(pid int) string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return ""
	}
	defer f.Close()
	hash, err := p.hashOf(f)
	if err != nil {
		return ""
	}
	return hash
}

// hashOf returns the SHA-256 of an open file.
func (p *programs) hashOf(f *os.File) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	key, err := fleet.IDOf(info)
	if err != nil {
		return "", err
	}
	p.mu.Lock() // also while it is read: several callers need it read once
	defer p.mu.Unlock()
	if known, ok := p.known[key]; ok {
		return known, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	if p.known == nil || len(p.known) >= maxPrograms {
		p.known = map[fleet.FileID]string{}
	}
	p.known[key] = hex.EncodeToString(h.Sum(nil))
	return p.known[key], nil
}
