package python

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"cpulb/embedpy"
)

//go:embed runtime/*.py
var runtimeFiles embed.FS

// compiledFiles has what compiled/compile.py has made of them at the build; it may be
// nothing, or be out of date.
//
//go:embed compiled
var compiledFiles embed.FS

// runtimeModules lists the runtime's modules in the order in which they load:
// each imports only those before it.
func runtimeModules() []string {
	return []string{"cpulb", "held", "rules", "modules", "errors", "report", "owner", "state", "loggers", "signals", "table", "streams", "keeper", "values", "context", "confine",
		"loader", "entry", "scripts", "exits", "plain", "exclusive", "siblings", "children", "shared", "process", "stacks", "slot"}
}

// loopModule is loaded for an event loop alone: it brings asyncio.
const loopModule = "loop"

// loadRuntime brings the Python half of this package up. Its files carry names
// by which a traceback tells them from the script's.
func loadRuntime(in *embedpy.Interpreter) error {
	for _, name := range runtimeModules() {
		if err := loadModule(in, name); err != nil {
			return err
		}
	}
	return nil
}

func loadModule(in *embedpy.Interpreter, name string) error {
	m, err := moduleOf(name)
	if err != nil {
		return err
	}
	if err := in.LoadCompiled(m.Name, m.File, m.Source, m.Compiled); err != nil {
		return fmt.Errorf("runtime module %s: %w", m.Name, err)
	}
	return nil
}

// moduleOf is one of the runtime's modules, as it is loaded.
func moduleOf(name string) (embedpy.Module, error) {
	source, err := runtimeFiles.ReadFile("runtime/" + name + ".py")
	if err != nil {
		return embedpy.Module{}, err
	}
	module := "cpulb." + name
	if name == "cpulb" {
		module = name
	}
	code, _ := compiledFiles.ReadFile("compiled/" + name + ".code") // there may be none
	return embedpy.Module{Name: module, File: "<cpulb>/" + name + ".py", Source: string(source), Compiled: codeOf(source, code)}, nil
}

// writeRules puts the rules of loading into the worker's folder, where the interpreters find
// them that scripts start by multiprocessing, as whoever they run: the text, and its code for
// those of the version that is linked.
func (e *Executor) writeRules() error {
	m, err := moduleOf("rules")
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{"rules.py": []byte(m.Source), "rules.code": m.Compiled} {
		path := filepath.Join(e.conf.RuntimeDir, name)
		if err := errors.Join(os.WriteFile(path, data, 0o644), os.Chmod(path, 0o644)); err != nil {
			return err
		}
	}
	return nil
}

// codeOf returns what compile.py has made of source, without the hash of what it was made
// of; nil if that was another text.
func codeOf(source, compiled []byte) []byte {
	hash := sha256.Sum256(source)
	if code, ok := bytes.CutPrefix(compiled, hash[:]); ok {
		return code
	}
	return nil
}
