package ledger_test

import (
	"testing"

	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

// listener is one watcher of many.
type listener struct{ name int }

func (*listener) Verbose() bool       { return true }
func (*listener) Outlet() task.Outlet { return nil }
func (*listener) Hear(*task.Event)    {}
func (*listener) PassOn()             {}

// Those that come after many have left can leave, too.
func TestAWatcherThatComesAfterManyHaveLeftCanLeave(t *testing.T) {
	var r ledger.Record
	var all []*listener
	for i := range 40 {
		all = append(all, &listener{i})
		r.Watch(ledger.Watching{Watcher: all[i]})
	}
	for _, x := range all[2:] {
		r.Unwatch(x)
	}
	late := &listener{99}
	r.Watch(ledger.Watching{Watcher: late})
	if !r.Watches(late) {
		t.Error("it does not watch")
	}
	if _, ok := r.Unwatch(late); !ok {
		t.Error("it can't leave")
	}
}
