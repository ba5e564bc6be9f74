package wasm

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/program"
)

// The values of the setting "engine".
const (
	engineAuto        = "auto"
	engineCompiler    = "compiler"
	engineInterpreter = "interpreter"
)

// What holds without a setting, and the least and the most memory that an instance can have.
const (
	defaultMemory    = 256 << 20
	leastMemory      = 64 << 10
	mostMemory       = 4 << 30
	defaultCacheSize = 256 << 20
)

// settings are what Configuration.Settings say.
type settings struct {
	mode       program.Mode
	memory     int64 // of an instance
	poolMemory int64 // pool.memory, where it is of a task; 0: none
	engine     string
	cacheDir   string
	cacheSize  int64
	scriptDirs []string // none: anywhere
	// maxTasks is how many tasks a sandbox has, 0: any number. cpuTime is how much of it a task may take, 0: no bound.
	maxTasks int
	cpuTime  time.Duration
}

// ownSettings describes the keys that are not the pool's.
func ownSettings() []plugins.Setting {
	return []plugins.Setting{
		program.OutputSetting(),
		{Name: "module_memory", Kind: plugins.BytesSetting, Default: "256MiB", Description: "how large the memory of an instance may become, from 64KiB to 4GiB"},
		{Name: "engine", Kind: plugins.StringSetting, Default: engineAuto, Allowed: []string{engineAuto, engineCompiler, engineInterpreter},
			Description: "how modules run: compiled to machine code, or interpreted where that is not allowed"},
		{Name: "cache_dir", Kind: plugins.StringSetting, Default: "a folder of the worker's own",
			Description: "a folder for compiled modules that outlives workers; whoever can write to it decides what runs"},
		{Name: "cache_size", Kind: plugins.BytesSetting, Default: "256MiB", Description: "how large that folder may become"},
	}
}

// readSettings reads them; an error matches plugins.ErrBadSetting.
func readSettings(given map[string]string) (settings, error) {
	s := settings{mode: program.Auto, memory: defaultMemory, engine: engineAuto, cacheSize: defaultCacheSize}
	setters := s.setters()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		set, known := setters[name]
		if !known {
			return s, fmt.Errorf("%w: %s: the wasm executor has no such setting (allowed: %s)", plugins.ErrBadSetting, name,
				strings.Join(slices.Sorted(maps.Keys(setters)), ", "))
		}
		if err := set(given[name]); err != nil {
			return s, fmt.Errorf("%w: %s: %w", plugins.ErrBadSetting, name, err)
		}
	}
	if s.poolMemory > 0 {
		s.memory = min(s.memory, s.poolMemory)
	}
	if _, process := given["isolation"]; process && s.maxTasks == 0 {
		s.maxTasks = 1
	}
	return s, nil
}

func (s *settings) setters() map[string]func(value string) error {
	return map[string]func(string) error{
		"output":        func(v string) (err error) { s.mode, err = program.ParseMode(v); return err },
		"module_memory": func(v string) error { return bytesOf(v, leastMemory, mostMemory, &s.memory) },
		"engine":        func(v string) error { s.engine = v; return oneOf(engineAuto, engineCompiler, engineInterpreter)(v) },
		"cache_dir": func(v string) error {
			if s.cacheDir = v; !filepath.IsAbs(v) {
				return fmt.Errorf("%q is not an absolute path", v)
			}
			return nil
		},
		"cache_size":  func(v string) error { return bytesOf(v, 0, 1<<50, &s.cacheSize) },
		"script_dirs": func(v string) error { s.scriptDirs = strings.Split(v, "\n"); return nil },
		// Those of the pool. No module has files or a network, walls or not.
		"isolation": oneOf("process"),
		"memory":    func(v string) error { return bytesOf(v, leastMemory, 1<<62, &s.poolMemory) },
		"max_tasks": func(v string) (err error) {
			if s.maxTasks, err = strconv.Atoi(v); err == nil && s.maxTasks < 1 {
				err = fmt.Errorf("%q is not a number of tasks, at least 1", v)
			}
			return err
		},
		"cpu_time":    func(v string) (err error) { s.cpuTime, err = time.ParseDuration(v); return err },
		"network":     oneOf("false"),
		"private_tmp": oneOf("true"),
		"read_only":   oneOf("true"),
		"user": func(string) error {
			return fmt.Errorf("a module runs as nobody in particular, as it can open nothing; leave user = \"caller\" out")
		},
		"system_calls": func(string) error {
			return fmt.Errorf("a module makes no system calls, and its sandbox has a filter of its own; leave system_calls out")
		},
	}
}

func bytesOf(v string, least, most int64, to *int64) error {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < least || n > most {
		return fmt.Errorf("%q is not a number of bytes from %d to %d", v, least, most)
	}
	*to = n
	return nil
}

func oneOf(allowed ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(allowed, v) {
			return fmt.Errorf("%q is not possible with the wasm executor (allowed: %s)", v, strings.Join(allowed, ", "))
		}
		return nil
	}
}
