package daemon

import "cpulb/daemon/task"

// unserved lists the fields of a task that the engine does not act on yet.
func unserved() []string {
	return []string{"env", "cwd"}
}

// refuseUnserved refuses a task that has such a field: whoever sets one relies
// on it. They are all among the extras, which most tasks have none of.
func refuseUnserved(t *task.Task) error {
	if t.Extra == nil {
		return nil
	}
	return t.Refuse(unserved()...)
}
