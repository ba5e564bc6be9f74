package python

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cpulb/embedpy"
	"cpulb/plugins"
)

// venvExecutable returns the python of the virtual environment in dir, which has to
// be of the minor version that is linked: its packages may hold compiled code.
func venvExecutable(dir, linked string) (string, error) {
	bad := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("%w: venv: %s", plugins.ErrBadSetting, fmt.Sprintf(format, args...))
	}
	if !filepath.IsAbs(dir) {
		return bad("%q is not an absolute path", dir)
	}
	version, err := venvVersion(filepath.Join(dir, "pyvenv.cfg"))
	if err != nil {
		return bad("%s is not a virtual environment: %v", dir, err)
	}
	if minorVersion(version) != minorVersion(linked) {
		return bad("%s is for Python %s, this executor embeds %s; make it anew with python%s -m venv", dir, version, linked,
			minorVersion(linked))
	}
	executable := filepath.Join(dir, "bin", "python")
	if info, err := os.Stat(executable); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return bad("%s has no program bin/python", dir)
	}
	return executable, nil
}

// venvVersion reads the version from a pyvenv.cfg: "version" as venv writes it, or
// "version_info" as virtualenv does.
func venvVersion(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), "=")
		if key = strings.TrimSpace(key); key == "version" || key == "version_info" {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("%s names no version", path)
}

// minorVersion cuts "3.11.2" to "3.11".
func minorVersion(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// preload imports modules before any task needs them, and logs what each took.
func (e *Executor) preload(modules []string) error {
	load, err := e.attr("cpulb.process", "preload")
	if err != nil {
		return err
	}
	for _, name := range modules {
		began := time.Now()
		e.interp.Main(func(t *embedpy.Thread) { _, err = t.Call(load, embedpy.Str(name)) })
		if err != nil {
			return fmt.Errorf("%w: preload: %s: %w", plugins.ErrBadSetting, name, err)
		}
		if e.conf.Log != nil {
			e.conf.Log.Info("module is loaded", "module", name, "took", time.Since(began).Round(time.Microsecond).String())
		}
	}
	return nil
}
