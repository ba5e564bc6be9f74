package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

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

// reserveBytes is counted by Go's collector as if it were in use, so that the heap of a daemon
// that knows little grows by that much between two collections, rather than by the few MB
// that are its own: each costs the same whatever there is to collect. The pages are never
// touched, so that they are not in memory.
const reserveBytes = 16 << 20

// reserve keeps reserveBytes until release is called.
func reserve() (release func()) {
	kept := make([]byte, reserveBytes)
	return func() { runtime.KeepAlive(kept) }
}

const (
	// restEvery is how often it is looked whether the daemon is at rest, which it is if it has
	// allocated less than restBytes since.
	restEvery = 5 * time.Second
	restBytes = 8 << 20
	// worthBytes is how much has to be gained: Go collects what is in use, all of it.
	worthBytes = 16 << 20
)

// giveBack returns memory to the system that the daemon does not need, once it is at rest
// after a load. Go would keep what a peak has left for minutes: it collects only when
// something is allocated, and at rest once in two minutes.
func giveBack(ctx context.Context) {
	tick := time.NewTicker(restEvery)
	defer tick.Stop()
	for before := look(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := look()
		if now.idle(before) {
			debug.FreeOSMemory()
			now = look()
		}
		before = now
	}
}

// footprint is what Go says of its memory, in bytes.
type footprint struct {
	// allocated is all that ever was; used is what is on the heap, live what was after the
	// last collection, free what the heap has beside and has not given back.
	allocated, used, live, free uint64
}

func look() footprint {
	all := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(all)
	return footprint{all[0].Value.Uint64(), all[1].Value.Uint64(), all[2].Value.Uint64(), all[3].Value.Uint64()}
}

// idle reports whether the daemon is at rest since before, and has enough to give back: a
// quarter of what is live at least, which is what that costs.
func (now footprint) idle(before footprint) bool {
	if now.allocated-before.allocated > restBytes {
		return false
	}
	garbage := now.used - min(now.used, now.live)
	return garbage+now.free >= max(worthBytes, now.live/4)
}
