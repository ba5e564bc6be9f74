// Command cpulb-python is the executor with an embedded CPython. cpulbd starts it as
// a go-plugin; started by hand it only prints its version.
package main

import (
	"fmt"
	"os"
	"runtime"

	"cpulb/cmd/version"
	"cpulb/plugins"
	"cpulb/plugins/python"
)

// The main goroutine keeps the process's first thread, to which the kernel sends
// signals if it can: it is to be Python's main thread.
func init() { runtime.LockOSThread() }

func main() {
	if len(os.Args) == 2 && (os.Args[1] == "-version" || os.Args[1] == "--version") {
		fmt.Println("cpulb-python", version.Text())
		return
	}
	main := make(chan func())
	go func() {
		plugins.Serve(python.New(version.Text(), func(f func()) { main <- f }))
		os.Exit(0)
	}()
	(<-main)()
	select {} // CPython could not be started; the answer to the daemon ends the process
}
