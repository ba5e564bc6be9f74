// Command cpulb-exec is the executor that runs a program for each task. cpulbd starts it as a
// go-plugin; started by hand it only prints its version.
package main

import (
	"fmt"
	"os"
	"runtime"

	"cpulb/cmd/version"
	"cpulb/plugins"
	"cpulb/plugins/exec"
)

// Its other roles take the process's first thread.
func init() {
	if exec.HasRole() {
		runtime.LockOSThread()
	}
}

func main() {
	if exec.HasRole() {
		exec.Role()
		return
	}
	if len(os.Args) == 2 && (os.Args[1] == "-version" || os.Args[1] == "--version") {
		fmt.Println("cpulb-exec", version.Text())
		return
	}
	plugins.Serve(exec.New(version.Text()))
}
