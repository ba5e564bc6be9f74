package python

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"cpulb/plugins"
)

// walls are what the kernel puts around the tasks of a worker in process isolation; see
// embedpy/enclose.c. The template tries them before the worker is ready.
type walls struct {
	PrivateTmp bool   `json:"private_tmp"`
	NoNetwork  bool   `json:"no_network"`
	ReadOnly   bool   `json:"read_only"`
	Filter     []byte `json:"filter"` // of system calls; empty: all are allowed

	scripts bool // system_calls = "scripts"
}

// wallSettings are the settings that set reads.
func wallSettings() []string { return []string{"private_tmp", "network", "read_only", "system_calls"} }

// set reads one of the settings. It reports whether it is one of these.
func (w *walls) set(name, value string) (known bool, err error) {
	if name == "system_calls" {
		if w.scripts = value == scriptCalls; !w.scripts {
			err = fmt.Errorf("%w: system_calls: %q is not a set of system calls (allowed: %q)", plugins.ErrBadSetting, value, scriptCalls)
		}
		return true, err
	}
	to := map[string]*bool{"private_tmp": &w.PrivateTmp, "network": &w.NoNetwork, "read_only": &w.ReadOnly}[name]
	if to == nil {
		return false, nil
	}
	on, err := strconv.ParseBool(value)
	if err != nil {
		return true, fmt.Errorf("%w: %s: %q is neither true nor false", plugins.ErrBadSetting, name, value)
	}
	*to = on != (name == "network")
	return true, nil
}

// build makes the filter, once all is set.
func (w *walls) build() (err error) {
	w.Filter, err = filterOf(w.scripts, w.NoNetwork)
	return err
}

// privateFolders are those that private_tmp gives each task anew.
func privateFolders() []string { return []string{"/tmp", "/var/tmp", "/dev/shm"} }

// check refuses what tasks would have to see in a folder that they have anew.
func (w *walls) check(folder, scriptDirs string) error {
	if !w.PrivateTmp {
		return nil
	}
	for what, paths := range map[string][]string{"the worker's folder": {folder}, "of script_dirs": strings.Split(scriptDirs, "\n")} {
		for _, path := range paths {
			if real, err := filepath.EvalSymlinks(path); err == nil {
				path = real
			}
			for _, private := range privateFolders() {
				if path == private || strings.HasPrefix(path, private+"/") {
					return fmt.Errorf("%w: private_tmp: tasks would not see %s (%s): each has a %s of its own; it has to be elsewhere",
						plugins.ErrBadSetting, path, what, private)
				}
			}
		}
	}
	return nil
}
