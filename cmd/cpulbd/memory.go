package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"cpulb/daemon/config"
)

// boundMemory has Go's collector keep to what the daemon may take by its configuration:
// else it would let the heap double before it looks. GOMEMLIMIT in the environment holds
// instead.
func boundMemory(c *config.Config) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(c.MostMemory())
	}
}

// mostMemory says for people what MostMemory is.
func mostMemory(c *config.Config) string {
	const mib = 1 << 20
	return fmt.Sprintf("memory: the daemon takes %d MiB at the most, its workers not counted; docs/operations.md says of what", (c.MostMemory()+mib-1)/mib)
}
