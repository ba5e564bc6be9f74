package python

import (
	"embed"
	"fmt"

	"cpulb/embedpy"
)

//go:embed runtime/*.py
var runtimeFiles embed.FS

// runtimeModules lists the runtime's modules in the order in which they load:
// each imports only those before it.
func runtimeModules() []string {
	return []string{"cpulb", "held", "modules", "errors", "report", "owner", "state", "loggers", "signals", "table", "streams", "keeper", "values", "context", "confine",
		"loader", "scripts", "exits", "plain", "exclusive", "siblings", "children", "shared", "process", "stacks", "slot"}
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
	source, err := runtimeFiles.ReadFile("runtime/" + name + ".py")
	if err != nil {
		return err
	}
	module := "cpulb." + name
	if name == "cpulb" {
		module = name
	}
	if err := in.Load(module, "<cpulb>/"+name+".py", string(source)); err != nil {
		return fmt.Errorf("runtime module %s: %w", module, err)
	}
	return nil
}
