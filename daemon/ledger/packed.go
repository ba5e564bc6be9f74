package ledger

import (
	"time"

	"cpulb/daemon/task"
)

// Tasks that have ended are most of what a daemon knows, and hardly anybody looks at them
// again. As Records they would be some ten objects each, about 900 bytes, which Go's collector
// would follow at each collection. So a small one is packed a little after its end: what may
// still be asked for of its Record, its task and its Result becomes one text among those of
// its page, of about 70 bytes for a task without output. Whoever looks at it gets a Record
// that is made of that, and is a copy: two of the same task are told to be so by their stamp.
//
//	length | flags | gist | task | result | cursor
//
// Numbers are varints. The gist is what eviction needs, so that it need not read the rest.
// Paths, functions, pools and the like, which many tasks have in common, are numbers of values
// that are held once; so are workers and batches. What only an attempt needs is left out.
//
// A task stays whole while a slot, a reader or a schedule may hold its Record, if it has
// events, and if it is large, since nothing would be gained.

// mostPacked is how large the texts of a task may be together that is packed.
const mostPacked = 2 << 10

// wholeEnds is how many of the tasks that ended last are whole: those who wait for them
// look at them now.
const wholeEnds = 512

// shape is what many tasks have in common.
type shape struct {
	script, function string
	kind             task.Type
	pool             string
	priority         int
	timeout          task.Duration
	runsIn           Pool
}

// commons are the values of the packed tasks of one Store that these have in common.
type commons struct {
	shapes  shared[shape]
	workers shared[task.Worker]
	batches shared[*Batch]
}

// gist is what is known of a task that has ended without a look at all of it.
type gist struct {
	id       task.ID
	owner    uint32
	status   task.Status
	volatile bool
	end      uint64
	expires  time.Duration
	bytes    int64 // as counted when it ended
	batch    *Batch
	key      string // its idempotency key
	schedule string
	packed   bool
	// Of one that is packed: its numbers among the commons.
	shape, worker, batchNumber uint32
	flags                      uint64
}

// gistOf is that of a task that is whole.
func gistOf(r *Record) gist {
	g := gist{id: r.Task.ID, owner: r.Owner, status: r.counted, volatile: r.Volatile, end: r.end, batch: r.batch, schedule: r.Schedule}
	if x := r.Task.Extra; x != nil {
		g.key = x.IdempotencyKey
	}
	if r.kept != nil {
		g.expires, g.bytes = r.kept.expires, r.kept.bytes
	}
	return g
}

// The flags of a packed task.
const (
	isVolatile = 1 << iota
	hasKey
	hasBatch
	hasWorker   // as its Result says
	showsWorker // as its view does
	hasRest     // of the task: labels and what few have
	hasStart
	hasTexts
	hasError
	isTruncated
	plainParams // {}
	plainData   // null
)

const (
	noParams = "{}"
	noData   = "null"
)

// fits reports whether r, which has ended, may be packed.
func fits(r *Record) bool {
	res := r.result
	return r.phase == Ended && r.Item == nil && r.log == nil && r.Schedule == "" && r.watchers == nil && r.kept != nil &&
		r.kept.bytes <= mostPacked && res.ID == r.Task.ID && res.Status == r.status &&
		(r.Worker == nil || res.Worker != nil && *r.Worker == *res.Worker) &&
		exact(res.SubmittedAt) && exact(res.FinishedAt) && (res.StartedAt == nil || exact(*res.StartedAt))
}

// pack appends r, which fits, to b.
func (c *commons) pack(b []byte, r *Record) []byte {
	w := packer{b: b}
	res, t := r.result, r.Task
	flags := flagsOf(r)
	w.uint(flags)
	w.b = append(w.b, t.ID[:]...)
	w.uint(uint64(r.Owner))
	w.uint(uint64(r.status))
	w.uint(r.end)
	w.int(int64(r.kept.expires))
	w.int(r.kept.bytes)
	if flags&hasBatch != 0 {
		w.uint(uint64(c.batches.use(r.batch)))
	}
	w.uint(uint64(c.shapes.use(shape{t.ScriptPath, t.Function, t.Type, t.Pool, t.Priority, t.Timeout, r.Pool})))
	if flags&hasWorker != 0 {
		w.uint(uint64(c.workers.use(*res.Worker)))
	}
	if flags&hasKey != 0 {
		w.text(t.Extra.IdempotencyKey)
	}
	if flags&plainParams == 0 {
		w.json(t.Params)
	}
	if flags&hasRest != 0 {
		w.texts(t.Labels)
		w.extras(t.Extra)
	}
	w.uint(uint64(r.Attempts))
	w.int(r.submitted - r.stamp)
	packResult(&w, res, r.submitted, flags)
	w.uint(r.events)
	w.uint(uint64(r.marked))
	return w.b
}

func flagsOf(r *Record) (flags uint64) {
	set := func(flag uint64, yes bool) {
		if yes {
			flags |= flag
		}
	}
	res, t := r.result, r.Task
	set(isVolatile, r.Volatile)
	set(hasKey, t.Extra != nil && t.Extra.IdempotencyKey != "")
	set(hasBatch, r.batch != nil)
	set(hasWorker, res.Worker != nil)
	set(showsWorker, r.Worker != nil)
	set(hasRest, t.Labels != nil || t.Extra != nil)
	set(hasStart, res.StartedAt != nil)
	set(hasTexts, res.Stdout != "" || res.Stderr != "")
	set(hasError, res.Error != nil)
	set(isTruncated, res.Truncated)
	set(plainParams, string(t.Params) == noParams)
	set(plainData, string(res.Data) == noData)
	return flags
}

func packResult(w *packer, res *task.Result, submitted int64, flags uint64) {
	w.int(int64(res.Attempts))
	w.when(res.SubmittedAt, submitted)
	w.when(res.FinishedAt, submitted)
	if flags&hasStart != 0 {
		w.when(*res.StartedAt, submitted)
	}
	for _, seconds := range []float64{res.QueueSeconds, res.RunSeconds, res.CPUSeconds, res.LockSeconds} {
		w.seconds(seconds)
	}
	if flags&plainData == 0 {
		w.json(res.Data)
	}
	if flags&hasTexts != 0 {
		w.text(res.Stdout)
		w.text(res.Stderr)
	}
	if e := res.Error; e != nil {
		w.text(e.Type)
		w.text(e.Message)
		w.text(e.Traceback)
		w.text(e.Code)
		w.int(int64(e.ExitCode))
	}
}

// drop lets go of what a packed task has in common with others.
func (c *commons) drop(g *gist) {
	c.shapes.drop(g.shape)
	if g.flags&hasWorker != 0 {
		c.workers.drop(g.worker)
	}
	if g.flags&hasBatch != 0 {
		c.batches.drop(g.batchNumber)
	}
}
