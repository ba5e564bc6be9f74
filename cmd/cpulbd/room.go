package main

import (
	"cpulb/daemon"
	"cpulb/ipc"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// leastShare is the part of the descriptors, one in so many, that clients may have connections
// for, however few there are: all workers are hardly ever exchanged at once.
const leastShare = 16

// room is how many connections clients may have: what limits.connections says, if the
// process may have the descriptors for as many beside those that the engine may need.
// Otherwise clients could keep workers from being replaced. Either may change.
type room struct {
	engine *daemon.Engine
	log    hclog.Logger
	// told is what the log was last told of.
	told, toldOf int
}

// connections is ipc.Options.Connections. It is not safe for concurrent use.
func (r *room) connections() int {
	wanted := r.engine.Config().Limits.Connections
	var limit unix.Rlimit // Go has made the soft limit the hard one
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return wanted // no kernel refuses it
	}
	kept := r.engine.Descriptors() + ipc.MoreConnections*ipc.ConnectionDescriptors
	n := wanted
	if limit.Cur < uint64(wanted*ipc.ConnectionDescriptors+kept) {
		n = max(1, int(limit.Cur)/leastShare, (int(limit.Cur)-kept)/ipc.ConnectionDescriptors)
	}
	if n < wanted && (n != r.told || wanted != r.toldOf) {
		r.log.Warn("fewer connections than limits.connections are served: the process may not have as many descriptors, and workers need some",
			"connections", n, "limits.connections", wanted, "descriptors", limit.Cur, "kept", kept)
	}
	r.told, r.toldOf = n, wanted
	return n
}
