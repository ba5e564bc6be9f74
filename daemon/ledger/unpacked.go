package ledger

import (
	"time"

	"cpulb/daemon/task"
)

// unpacked is what a packed task is made again.
type unpacked struct {
	record  Record
	result  task.Result
	worker  task.Worker
	started time.Time
}

// gist reads the gist of a packed task.
func (c *commons) gist(u *unpacker) (g gist) {
	u.uint() // its length
	g.packed, g.flags = true, u.uint()
	copy(g.id[:], u.bytes(len(g.id)))
	g.owner, g.status, g.volatile = uint32(u.uint()), task.Status(u.uint()), g.flags&isVolatile != 0
	g.end, g.expires, g.bytes = u.uint(), time.Duration(u.int()), u.int()
	if g.flags&hasBatch != 0 {
		g.batchNumber = uint32(u.uint())
		g.batch = c.batches.value(g.batchNumber)
	}
	g.shape = uint32(u.uint())
	if g.flags&hasWorker != 0 {
		g.worker = uint32(u.uint())
	}
	if g.flags&hasKey != 0 {
		g.key = u.text()
	}
	return g
}

// unpack makes a Record of a packed task with a stamp.
func (c *commons) unpack(text []byte, stamp int64) *Record {
	u := unpacker{b: text}
	g := c.gist(&u)
	all := &unpacked{}
	r := &all.record
	*r = Record{Owner: g.owner, Volatile: g.volatile, stamp: stamp, end: g.end, batch: g.batch,
		result: &all.result, phase: Ended, status: g.status, counted: g.status}
	r.Task, r.Pool = &r.task, c.unpackTask(&u, &g, &r.task)
	r.Attempts = uint32(u.uint())
	r.submitted = stamp + u.int()
	c.unpackResult(&u, &g, all)
	if g.flags&showsWorker != 0 {
		r.Worker = all.result.Worker
	}
	r.events, r.marked = u.uint(), uint32(u.uint())
	return r
}

func (c *commons) unpackTask(u *unpacker, g *gist, t *task.Task) Pool {
	in := c.shapes.value(g.shape)
	t.ID = g.id
	t.ScriptPath, t.Function, t.Type, t.Pool = in.script, in.function, in.kind, in.pool
	t.Priority, t.Timeout = in.priority, in.timeout
	if g.flags&plainParams != 0 {
		t.Params = []byte(noParams)
	} else {
		t.Params = u.json()
	}
	if g.flags&hasRest != 0 {
		t.Labels = u.texts()
		if t.Extra = u.extras(); g.flags&hasKey != 0 {
			t.Extra.IdempotencyKey = g.key
		}
	}
	return in.runsIn
}

func (c *commons) unpackResult(u *unpacker, g *gist, all *unpacked) {
	res := &all.result
	res.ID, res.Status, res.Truncated = g.id, g.status, g.flags&isTruncated != 0
	res.Attempts = int(u.int())
	if g.flags&hasWorker != 0 {
		all.worker = c.workers.value(g.worker)
		res.Worker = &all.worker
	}
	submitted := all.record.submitted
	res.SubmittedAt, res.FinishedAt = u.when(submitted), u.when(submitted)
	if g.flags&hasStart != 0 {
		all.started = u.when(submitted)
		res.StartedAt = &all.started
	}
	for _, seconds := range []*float64{&res.QueueSeconds, &res.RunSeconds, &res.CPUSeconds, &res.LockSeconds} {
		*seconds = u.seconds()
	}
	if g.flags&plainData != 0 {
		res.Data = []byte(noData)
	} else {
		res.Data = u.json()
	}
	if g.flags&hasTexts != 0 {
		res.Stdout, res.Stderr = u.text(), u.text()
	}
	if g.flags&hasError != 0 {
		res.Error = &task.Error{Type: u.text(), Message: u.text(), Traceback: u.text(), Code: u.text(), ExitCode: int(u.int())}
	}
}
