// Package api is what the engine, the socket and its Go client say to each other
// beside tasks: filters and pages, views, status, problems, and the errors of the
// calls that are not about one task. Both ends use these types, so the wire has one
// description in Go; docs/output_interpretation.md and openapi.json are held to it by tests.
package api

import "errors"

// Sentinels at the engine's boundary; match them with errors.Is. Those about a task
// are in package task.
var (
	// ErrDraining: the daemon is stopping or draining and accepts nothing new.
	ErrDraining = errors.New("the daemon is draining")
	// ErrBatchNotFound: no batch has this id, or it belongs to someone else.
	ErrBatchNotFound = errors.New("no such batch")
	// ErrBadCursor: the text is not a Listing.Next.
	ErrBadCursor = errors.New("not a place in the list")
	// ErrTooManyWatches: the caller waits for as many tasks as it may at a time.
	ErrTooManyWatches = errors.New("too many watches")
	// ErrNoWorker: no worker has this name.
	ErrNoWorker = errors.New("no such worker")
	// ErrNoStacks: the worker can't report what its threads do, now or ever.
	ErrNoStacks = errors.New("the worker's stacks are not available")
	// ErrReload: the new configuration can't be used and the old one holds, or it does
	// not hold in every worker, which the error says.
	ErrReload = errors.New("the configuration was not reloaded")
)
