package task

// entryBytes is about what one entry of a map of texts takes beside its texts.
const entryBytes = 64

// Size is about how many bytes the values of t take: all that its sender decides. What
// every task takes beside that is not in it.
func (t *Task) Size() int64 {
	n := len(t.ScriptPath) + len(t.Function) + len(t.Params) + len(t.Type) + len(t.Pool)
	size := int64(n) + mapSize(t.Labels)
	if x := t.Extra; x != nil {
		n = len(x.Source) + len(x.IdempotencyKey) + len(x.ConcurrencyKey) + len(x.OnWorkerLost) + len(x.Cwd) + len(x.Executor) + len(x.Traceparent)
		size += int64(n) + mapSize(x.Env)
	}
	return size
}

// Size is about how many bytes the values of r take: all that a script or its executor
// decides.
func (r *Result) Size() int64 {
	size := int64(len(r.Data) + len(r.Stdout) + len(r.Stderr))
	if e := r.Error; e != nil {
		size += int64(len(e.Type) + len(e.Message) + len(e.Traceback) + len(e.Code))
	}
	return size
}

func mapSize(m map[string]string) (size int64) {
	for name, value := range m {
		size += int64(entryBytes + len(name) + len(value))
	}
	return size
}
