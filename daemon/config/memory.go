package config

import (
	"runtime"

	"cpulb/daemon/tracing"
)

// What each of a kind takes beside the bytes that callers and scripts decide, which have
// bounds of their own. They are measured: tests hold the daemon to them.
const (
	// TaskBytes is for each task that the daemon knows: its record, its place in the queue,
	// in the indexes and in the journal's.
	TaskBytes = 2 << 10
	// BatchesBytes is what a task that waits takes more when it is in as many batches as it
	// may be; once it has ended these are counted as its Result is.
	BatchesBytes = 4 << 10
	// ResultBytes is what a Result takes more.
	ResultBytes = 1 << 10
	// ConnectionBytes is for each connection: net/http's buffers, the most headers that fit
	// into their bound, a stream's line buffer, and its goroutines.
	ConnectionBytes = 384 << 10
	// WatchBytes is for each task that is waited for.
	WatchBytes = 1 << 10
	// TombstoneBytes is for each task whose Result is no longer kept and which is remembered.
	TombstoneBytes = 1 << 10

	// baseBytes is an idle daemon, workerBytes what it keeps for each worker, and slotBytes
	// for each slot: buffers, a source on its way there, and what is small of what comes.
	baseBytes   = 64 << 20
	workerBytes = 1 << 20
	slotBytes   = 2 << 20
	// tombstones is how many are remembered, journalBytes what the journal has on its way to the
	// disk, beside Results that wait for room there. What is written in one piece, it has
	// journalCopies times.
	tombstones    = 100_000
	journalBytes  = 64 << 20
	journalCopies = 3
	// spanBytes is what a span takes that waits for the collector, with the texts that it keeps.
	spanBytes = 16 << 10
	// A quarter of it all is left to Go: what has been let go and is not collected yet.
	goPart = 4
)

// MostMemory returns how much memory the daemon takes at the most, in bytes, whatever
// callers and scripts do. docs/operations.md has the same in words. The workers are not in
// it: each is a process of its own.
func (c *Config) MostMemory() int64 { return c.mostMemory(runtime.NumCPU()) }

func (c *Config) mostMemory(cpus int) int64 {
	workers, slots := c.size(cpus)
	l := &c.Limits
	most := baseBytes + workers*workerBytes + int64(l.Connections)*ConnectionBytes + tombstones*TombstoneBytes
	// What is on its way in and out, from workers, too.
	most += l.InFlight() + l.Incoming() + int64(l.Watches)*WatchBytes
	// Tasks that wait and that run.
	most += c.Queue.MaxBytes + (int64(c.Queue.MaxTasks)+slots)*(TaskBytes+BatchesBytes)
	// What slots have beside: what tasks have printed stands in a header.
	most += slots * (slotBytes + 2*l.OutputBytes)
	// Results that are kept, with the events of tasks that run, and as much that waits for
	// the disk.
	most += c.Results.MaxBytes + int64(c.Results.Max)*(TaskBytes+ResultBytes)
	if c.Journal.Sync != "off" {
		most += c.Results.MaxBytes + journalBytes + journalCopies*max(l.BodyBytes, l.ResultBytes)
	}
	if c.Tracing.Endpoint != "" {
		most += tracing.MostWaiting * spanBytes
	}
	return most + most/goPart
}

// size returns how many workers there may be, those that stand by included, and how many
// slots they have.
func (c *Config) size(cpus int) (workers, slots int64) {
	for i := range c.Pools {
		p := &c.Pools[i]
		n := max(p.Workers, p.MaxWorkers)
		if n == 0 {
			n = cpus
		}
		n += p.Spare + p.Relief
		workers += int64(n)
		slots += int64(n) * int64(p.Threads+p.AsyncConcurrency)
	}
	return workers, slots
}
