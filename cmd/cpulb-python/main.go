// Command cpulb-python is the executor with an embedded CPython. cpulbd starts it
// as a go-plugin; by hand it only tells its version.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"cpulb/plugins"
	"cpulb/plugins/python"
)

func main() {
	if len(os.Args) == 2 && (os.Args[1] == "-version" || os.Args[1] == "--version") {
		fmt.Println("cpulb-python", version())
		return
	}
	plugins.Serve(python.New(version()))
}

// version is that of the module as it was built.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
