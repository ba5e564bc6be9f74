// Package client is the Go client of cpulbd.
//
//	c := client.New(client.DefaultSocket)
//	defer c.Close()
//	t, err := client.NewTask("double.py", map[string]int{"value": 21})
//	…
//	r, err := c.Run(ctx, t)
//	…
//	fmt.Println(string(r.Data), r.Err())
//
// A Client is all that most programs need. Run runs one task and returns its Result; Map
// runs many, a bounded number at a time; Submit returns once a task has been accepted, and
// Result, Wait and Events find it by its id. However many goroutines call Run, their tasks
// go over one connection, none waiting for another. Every call takes a context, whose end
// ends the call and not its task, but for Map.
//
// # A daemon that goes away
//
// When a daemon is restarted, or dies, in the middle of a call about tasks, the call goes on
// with the next one: tasks are sent again by their ids, which makes them the same tasks, and
// events are read on from the last cursor. A call waits for the next daemon as long as
// WithPatience says, anew for each restart that it outlives; a daemon that comes back but does
// not stay for a second has not been back. It fails at once, with ErrNoDaemon, if no daemon has ever answered this
// Client: most likely there is none.
//
// A task with on_worker_lost = "fail" is to run once at most, and is not sent again after it
// may have been accepted. It is looked up instead, and the call fails with ErrLost if the
// daemon does not know it.
//
// Where the daemon has no room, Map waits; other calls fail with the Problem, of which
// api.IsTemporary reports that it passes. Waits reports what calls wait for.
//
// The calls about the daemon itself (Status, Workers, Swap, …) and Rerun, which makes a new
// task each time, are made once.
//
// # Errors
//
// A script that raises, or can't be loaded, is no error of a call: it is a Result, whose Err
// is a *task.Failure. What the daemon refuses is an *api.Problem with a stable code, which
// also matches the sentinel of the same meaning:
//
//	errors.Is(err, task.ErrQueueFull)    // or ErrNotFound, ErrEvicted, ErrConflict, ErrInvalid, …
//	errors.Is(err, api.ErrDraining)      // or ErrBatchNotFound, ErrNoWorker, …
//
// Others are ErrNoDaemon, ErrNoAnswer, ErrNotEnded, ErrLost, ErrUnderWay, ErrStreamEnded, ErrCutOff,
// ErrTooLarge, ErrUnfiltered, ErrClosed and the context's: whatever ends because its context
// did has an error that matches both the context's and its cause.
//
// A Stream, as OpenStream returns it, is one connection without all that: it is not
// reconnected.
package client
