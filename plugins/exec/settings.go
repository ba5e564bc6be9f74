package exec

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/program"
)

// defaultGrace is how long a program has between SIGTERM and SIGKILL, mostGrace how long it may
// be given: the Result has to be there before limits.cancel_grace is over, of which an executor
// knows the default alone.
const (
	defaultGrace = time.Second
	mostGrace    = 1500 * time.Millisecond
)

// ownSettings describes the keys of Configuration.Settings that are not the pool's.
func ownSettings() []plugins.Setting {
	return []plugins.Setting{
		{Name: "argv", Kind: plugins.ListSetting, Description: "the interpreter and its options, before the script's path; none: scripts are executed themselves"},
		{Name: "env_names", Kind: plugins.ListSetting, Default: `any; none with access.script_dirs`,
			Description: "the environment variables that tasks may set; [\"*\"]: any"},
		{Name: "kill_grace", Kind: plugins.DurationSetting, Default: defaultGrace.String(),
			Description: fmt.Sprintf("how long a program that is stopped has between SIGTERM and SIGKILL, at most %s: less than limits.cancel_grace, 2s by default", mostGrace)},
		program.OutputSetting(),
	}
}

// configure reads the settings.
func (e *Executor) configure(given map[string]string) error {
	e.grace, e.mode, e.envNames = defaultGrace, program.Auto, nil
	setters := e.setters()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		set, known := setters[name]
		if !known {
			return fmt.Errorf("%w: %s: the exec executor has no such setting (allowed: %s)", plugins.ErrBadSetting, name,
				strings.Join(slices.Sorted(maps.Keys(setters)), ", "))
		}
		if err := set(given[name]); err != nil {
			return fmt.Errorf("%w: %s: %w", plugins.ErrBadSetting, name, err)
		}
	}
	if _, named := given["env_names"]; !named && len(e.scriptDirs) == 0 {
		e.envNames = []string{anyName}
	}
	return nil
}

// anyName stands for all names among the env_names.
const anyName = "*"

func (e *Executor) setters() map[string]func(value string) error {
	return map[string]func(string) error{
		"argv":        e.setArgv,
		"env_names":   func(v string) (err error) { e.envNames, err = listOf(v); return err },
		"kill_grace":  e.setGrace,
		"output":      func(v string) (err error) { e.mode, err = program.ParseMode(v); return err },
		"script_dirs": func(v string) error { e.scriptDirs = strings.Split(v, "\n"); return nil },
		// Those of the pool. Each program has a process of its own in any case.
		"isolation": oneOf("thread", "process"),
		"max_tasks": oneOf("1"),
		"memory": func(v string) (err error) {
			e.bounds.data, err = strconv.ParseInt(v, 10, 64)
			return err
		},
		"cpu_time": func(v string) error {
			d, err := time.ParseDuration(v)
			e.bounds.cpuSeconds = int64(math.Ceil(d.Seconds()))
			return err
		},
		"user":         func(v string) error { e.asCaller = true; return oneOf("caller")(v) },
		"private_tmp":  noWall,
		"network":      noWall,
		"read_only":    noWall,
		"system_calls": noWall,
	}
}

func (e *Executor) setGrace(v string) (err error) {
	e.grace, err = time.ParseDuration(v)
	switch {
	case err != nil:
		return err
	case e.grace < 0:
		return fmt.Errorf("%q is less than nothing", v)
	case e.grace > mostGrace:
		return fmt.Errorf("%q is too long: at most %s, as the worker is replaced once limits.cancel_grace is over, 2s by default", v, mostGrace)
	}
	return nil
}

func (e *Executor) setArgv(v string) (err error) {
	if e.argv, err = listOf(v); err != nil || len(e.argv) == 0 {
		return err
	}
	if e.interpreter, err = exec.LookPath(e.argv[0]); err != nil {
		return fmt.Errorf("%q: %w", e.argv[0], err)
	}
	if !filepath.IsAbs(e.interpreter) {
		return fmt.Errorf("%q: a path must be absolute", e.argv[0])
	}
	return nil
}

func listOf(v string) (list []string, err error) {
	if err := json.Unmarshal([]byte(v), &list); err != nil {
		return nil, fmt.Errorf("%q is not a list of texts", v)
	}
	if slices.ContainsFunc(list, func(s string) bool { return s == "" || strings.IndexByte(s, 0) >= 0 }) {
		return nil, fmt.Errorf("%q has an empty text, or one with a NUL character", v)
	}
	return list, nil
}

func oneOf(allowed ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(allowed, v) {
			return fmt.Errorf("%q is not possible with the exec executor (allowed: %s)", v, strings.Join(allowed, ", "))
		}
		return nil
	}
}

// noWall refuses what the kernel would have to put around a program.
func noWall(string) error {
	return fmt.Errorf("the exec executor has no such wall; leave it out, or run the pool's workers in a systemd unit that has it")
}
