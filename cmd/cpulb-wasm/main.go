// Command cpulb-wasm is the executor that runs WebAssembly modules. cpulbd starts it as a
// go-plugin, and it starts itself as the sandboxes that the modules run in; started by hand it only
// prints its version.
package main

import (
	"fmt"
	"os"

	"cpulb/cmd/version"
	"cpulb/plugins"
	"cpulb/plugins/wasm"
	"cpulb/plugins/wasm/sandbox"
)

func main() {
	switch {
	case len(os.Args) == 2 && (os.Args[1] == "-version" || os.Args[1] == "--version"):
		fmt.Println("cpulb-wasm", version.Text())
	case len(os.Args) > 1 && os.Args[1] == sandbox.Role:
		if err := sandbox.Serve(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		plugins.Serve(wasm.New(version.Text()))
	}
}
