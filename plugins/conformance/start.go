package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cpulb/plugins"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// Program returns a Suite.Start that starts workers as the daemon does, each in a folder of
// its own. What spec says of slots, bounds and names does not count. What a worker logs goes to log.
func Program(spec supervisor.Spec, log hclog.Logger) func(T, Options, func(first, count int) plugins.Handler) (Worker, error) {
	spec.ID, spec.Pool, spec.ResultBytes, spec.OutputBytes = "w", "test", SuiteResultBytes, SuiteOutputBytes
	own := spec.Settings
	return func(t T, o Options, handler func(first, count int) plugins.Handler) (Worker, error) {
		t.Helper()
		dir, err := os.MkdirTemp("", "cpulb") // short: sockets are made in it
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		l, err := supervisor.NewLauncher(dir, log)
		if err != nil {
			return nil, err
		}
		t.Cleanup(l.Close)
		spec := spec
		spec.Slots, spec.LoopSlots, spec.Limits.MemoryBytes = o.Slots, o.LoopSlots, o.MemoryBytes
		spec.OutputInterval = o.OutputInterval
		spec.Settings = maps.Clone(own)
		if spec.Settings == nil {
			spec.Settings = map[string]string{}
		}
		maps.Copy(spec.Settings, o.Settings)
		p, err := l.Start(t.Context(), spec, handler)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() {
			p.Kill()
			<-p.Done()
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left in the runtime folder: %v %v", left, err)
			}
		})
		return p, nil
	}
}

// Scripts returns the scripts in a folder, which are named after their Behaviours, with any
// extension: echo.sh, blocks_until_stopped.py.
func Scripts(folder string) (map[Behaviour]string, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	scripts := map[Behaviour]string{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || e.IsDir() {
			continue
		}
		name, _, _ := strings.Cut(e.Name(), ".")
		b := Behaviour(strings.ReplaceAll(name, "_", "-"))
		if !slices.ContainsFunc(Behaviours(), func(d Description) bool { return d.Behaviour == b }) {
			continue // a module beside them
		}
		if other := scripts[b]; other != "" {
			return nil, fmt.Errorf("%w: %s: both %s and %s", ErrScripts, b, filepath.Base(other), e.Name())
		}
		scripts[b] = filepath.Join(folder, e.Name())
	}
	if len(scripts) == 0 {
		return nil, fmt.Errorf("%w: %s has no file that is named after a behaviour, such as echo.sh", ErrScripts, folder)
	}
	return scripts, nil
}

// ErrScripts is matched by an error of Scripts that the folder's content causes.
var ErrScripts = errors.New("scripts")

// Given splits settings, as Configure is to get them, into those that the executor's schema is
// held against and those that pools have.
func Given(settings map[string]string) (given map[string]plugins.Given, pools map[string]string) {
	given, pools = map[string]plugins.Given{}, map[string]string{}
	for name, value := range settings {
		switch name {
		case "isolation", "max_tasks", "memory", "cpu_time", "user", "private_tmp", "network", "read_only", "system_calls", "script_dirs":
			pools[name] = value
		default:
			given[name] = plugins.Given{Where: "the command line", Key: "--settings " + name, Form: formOf(value), Text: value}
		}
	}
	return given, pools
}

// formOf guesses how a configuration would write a value.
func formOf(value string) plugins.Form {
	if value == "true" || value == "false" {
		return plugins.BooleanForm
	}
	if _, err := strconv.ParseInt(value, 10, 64); err == nil {
		return plugins.NumberForm
	}
	if json.Unmarshal([]byte(value), &[]string{}) == nil {
		return plugins.ListForm
	}
	if json.Unmarshal([]byte(value), &map[string]string{}) == nil {
		return plugins.MapForm
	}
	return plugins.TextForm
}
