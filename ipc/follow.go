package ipc

import (
	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// followBytes is about what a task takes that is waited for without having been submitted on
// the stream: a goroutine, which its sender's share pays for.
const followBytes = 4 << 10

// follow answers a watch with the task's last event, once the task has ended, whoever has
// submitted it. Until then it holds what the line takes, room, and followBytes.
func (st *stream) follow(c *task.Command, line int, room int64) {
	id, err := idFrom(c.ID)
	if err == nil && !st.held.take(followBytes) {
		err = api.ErrTooManyWatches
	}
	if err != nil {
		st.held.give(room)
		st.reject(namedID(c), line, err)
		return
	}
	st.watched.owe(1)
	go func() {
		ev, err := st.server.engine.Ended(st.client, st.who, id)
		st.held.give(room + followBytes)
		if err != nil {
			st.reject(namedID(c), line, err)
		} else {
			x := st.server.encoders.get()
			x.event(ev)
			st.send(x)
		}
		st.watched.owe(-1)
	}()
}
