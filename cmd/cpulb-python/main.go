// Command cpulb-python is the executor with an embedded CPython. cpulbd starts it as
// a go-plugin; started by hand it only prints its version.
package main

import (
	"fmt"
	"os"

	"cpulb/cmd/version"
	"cpulb/plugins"
	"cpulb/plugins/python"
)

func main() {
	if len(os.Args) == 2 && (os.Args[1] == "-version" || os.Args[1] == "--version") {
		fmt.Println("cpulb-python", version.Text())
		return
	}
	plugins.Serve(python.New(version.Text()))
}
