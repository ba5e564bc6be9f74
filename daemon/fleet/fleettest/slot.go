package fleettest

import (
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// What a task does follows from the name of its script. Sleeps takes a duration for
// its params, which the process spends; all others take anything.
const (
	Echo          = "echo"            // returns its params at once
	Sleeps        = "sleeps"          // returns after a while, or when it is stopped
	Fails         = "fails"           // raises an error
	FailsOnce     = "fails_once"      // its first attempt does
	Blocks        = "blocks"          // until it is stopped
	Stubborn      = "stubborn"        // blocks, and does not stop
	StubbornOnce  = "stubborn_once"   // its first attempt does
	Crashes       = "crashes"         // ends its process
	CrashesOften  = "crashes_often"   // each attempt does but the third, which raises an error
	CrashesLying  = "crashes_lying"   // ends its process, whose claims then say what its params say; not among Scripts
	Freezes       = "freezes"         // has its process stand still
	Chats         = "chats"           // sends an event of each kind, and returns
	Streams       = "streams"         // sends so many values, one in 300 ms and each with a progress, and returns
	Babbles       = "babbles"         // sends a thousand values of a kilobyte at once, and runs for an hour
	NeedsAThread  = "needs_a_thread"  // is skipped on a loop
	Unrunnable    = "unrunnable"      // the executor fails it before it runs, and is sound
	Unanswerable  = "unanswerable"    // the executor fails it after it ran, and is sound
	Spoils        = "spoils"          // returns, and leaves its process as one that fails every task
	SpoilsALittle = "spoils_a_little" // returns, and leaves its process as one that fails every task but probes
	Spends        = "spends"          // returns, and has its process say that it is spent
)

// Scripts lists all but the liar, of which nobody can see to it that it runs once.
func Scripts() []string {
	return []string{Echo, Sleeps, Fails, FailsOnce, Blocks, Stubborn, StubbornOnce, Crashes, CrashesOften, Freezes, Chats, Streams, Babbles, NeedsAThread, Unrunnable, Unanswerable,
		Spoils, SpoilsALittle, Spends}
}

// slot implements fleet.Conn: one thread of a process.
type slot struct {
	process *Process
	index   int
	handler plugins.Handler
	loop    bool
	shares  bool // its claims
	lost    sync.Once

	mu       sync.Mutex
	waiting  []*job
	arrived  chan struct{} // made by run when it waits
	free     chan struct{} // made when somebody waits for it to be idle
	recalled map[uint64]bool
	claimed  map[uint64]bool // with whether it is done
	held     []plugins.Event // see Process.HoldResults
	current  *job
	loses    int      // see Process.Loses
	gone     []uint64 // which it has lost
}

// tell sends one event.
func (s *slot) tell(ev plugins.Event) {
	ev.Slot = s.index
	if s.process.holdsResults() {
		s.mu.Lock()
		s.held = append(s.held, ev)
		s.mu.Unlock()
		return
	}
	s.hand([]plugins.Event{ev})
}

// hand hands over events, as a connection does.
func (s *slot) hand(events []plugins.Event) {
	if err := s.handler.Events(events); err != nil {
		s.lose(err)
	}
}

// lose ends the connection.
func (s *slot) lose(err error) { s.lost.Do(func() { s.handler.Lost(err) }) }

// flush sends what is held.
func (s *slot) flush() {
	s.mu.Lock()
	held := s.held
	s.held = nil
	s.mu.Unlock()
	if len(held) > 0 {
		s.hand(held)
	}
}

type job struct {
	task *plugins.Task
	stop chan plugins.StopReason
}

// Send implements fleet.Conn.
func (s *slot) Send(tasks ...*plugins.Task) error {
	if s.process.Ended() {
		return errEnded
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tasks {
		if s.loses > 0 {
			s.loses--
			s.gone = append(s.gone, t.Seq)
			continue
		}
		s.waiting = append(s.waiting, &job{t, make(chan plugins.StopReason, 1)})
	}
	if s.arrived != nil {
		close(s.arrived)
		s.arrived = nil
	}
	return nil
}

// run is the thread.
func (s *slot) run() {
	for {
		j := s.next()
		if j == nil {
			s.lose(nil)
			return
		}
		run := s.process.runs.begin(j.task)
		if filepath.Base(j.task.ScriptPath) == CrashesLying {
			s.lie(j)
			s.process.runs.end(run, true)
			continue
		}
		if says := s.process.says; says != nil && !j.task.Probe {
			s.hand(says(s.index, j.task))
			<-s.process.ended
			s.process.runs.end(run, true)
			continue
		}
		s.tell(plugins.Event{Kind: plugins.EventStarted, Seq: j.task.Seq})
		o, ok := s.perform(j)
		s.process.runs.end(run, !ok)
		if ok {
			s.done(j.task.Seq)
			s.tell(plugins.Event{Kind: plugins.EventEnded, Seq: j.task.Seq, Outcome: o})
		}
	}
}

// lie ends the process before it has told of j, and leaves claims of it that are wrong.
func (s *slot) lie(j *job) {
	s.mu.Lock()
	seq := j.task.Seq
	delete(s.claimed, seq)
	switch string(j.task.Params) {
	case `"done"`:
		s.claimed[seq] = true
	case `"recalled"`:
		s.recalled = map[uint64]bool{seq: true}
	case `"another"`: // has run, and not this one
		s.claimed[seq], s.claimed[seq+1] = true, false
	}
	s.mu.Unlock()
	s.process.Die("signal: segmentation fault")
}

// next claims the next task; nil: the process has ended.
func (s *slot) next() *job {
	for s.process.still() {
		j, wait := s.look()
		if j != nil && s.claims(j) {
			return j
		}
		if j == nil {
			select {
			case <-wait:
			case <-s.process.ended:
			}
		}
	}
	return nil
}

// look takes the next task, or returns a channel that is closed when there may be one.
func (s *slot) look() (*job, <-chan struct{}) {
	if paused := s.process.paused(); paused != nil {
		return nil, paused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) > 0 {
		s.current, s.waiting = s.waiting[0], s.waiting[1:]
		return s.current, nil
	}
	if s.free != nil {
		close(s.free)
		s.free = nil
	}
	if s.arrived == nil {
		s.arrived = make(chan struct{})
	}
	return nil, s.arrived
}

// idle returns a channel that is closed once the slot has no task.
func (s *slot) idle() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil && len(s.waiting) == 0 {
		return closed()
	}
	if s.free == nil {
		s.free = make(chan struct{})
	}
	return s.free
}

// perform runs a task; false when the process ends before.
func (s *slot) perform(j *job) (plugins.Outcome, bool) {
	p := s.process
	if p.acts != nil && !j.task.Probe {
		j = &job{p.acts(p.Spec, j.task), j.stop}
	}
	var ran time.Duration
	var takes, deadline <-chan time.Time // nil: for ever
	if timeout := j.task.Timeout; timeout > 0 {
		deadline = time.After(timeout)
	}
	switch name := filepath.Base(j.task.ScriptPath); {
	case p.fails(j.task.Probe):
		return faulted(plugins.Unrun), true
	case j.task.Probe && p.hangsProbes():
		<-p.ended
		return plugins.Outcome{}, false
	case j.task.Probe:
		return plugins.Outcome{Status: task.Completed, Data: j.task.Params}, true
	case name == Unrunnable:
		return faulted(plugins.Unrun), true
	case name == Unanswerable:
		return faulted(plugins.Ran), true
	case name == Spoils, name == SpoilsALittle:
		p.spoil(name == Spoils)
		return plugins.Outcome{Status: task.Completed, Data: j.task.Params}, true
	case name == Spends:
		p.spoil(true)
		return plugins.Outcome{Status: task.Completed, Data: j.task.Params, Spent: true}, true
	case name == Crashes, name == CrashesOften && j.task.Attempt != 3:
		p.Die("signal: segmentation fault")
		return plugins.Outcome{}, false
	case name == Freezes:
		p.Freeze()
		return plugins.Outcome{Status: task.Completed, Data: j.task.Params}, p.still()
	case name == Stubborn, name == StubbornOnce && j.task.Attempt == 1:
		<-p.ended
		return plugins.Outcome{}, false
	case name == Fails, name == CrashesOften, name == FailsOnce && j.task.Attempt == 1:
		return plugins.Outcome{Status: task.Failed, Error: &task.Error{Type: "ValueError", Message: "as asked", Code: "exception"}}, true
	case name == Chats:
		s.chat(j.task.Seq)
		fallthrough
	case name == Echo, name == FailsOnce, name == StubbornOnce, name == NeedsAThread:
		return plugins.Outcome{Status: task.Completed, Data: j.task.Params, RunTime: time.Microsecond}, true
	case name == Streams:
		return s.stream(j)
	case name == Babbles:
		for n := range 1000 {
			s.tell(plugins.Event{Kind: plugins.EventPartial, Seq: j.task.Seq, Number: uint64(n + 1), Value: []byte(`"` + strings.Repeat("x", 1000) + `"`)})
		}
		takes = time.After(time.Hour)
	case name == Sleeps:
		d, err := time.ParseDuration(strings.Trim(string(j.task.Params), `" `))
		if err != nil {
			panic(err)
		}
		takes, ran = time.After(d), d
	}
	select {
	case <-takes:
		if !p.still() {
			return plugins.Outcome{}, false
		}
		return plugins.Outcome{Status: task.Completed, Data: j.task.Params, RunTime: ran}, true
	case reason := <-j.stop:
		return stopped(reason), p.still()
	case <-deadline:
		return stopped(plugins.StopTimedOut), p.still()
	case <-p.ended:
		return plugins.Outcome{}, false
	}
}

func (s *slot) chat(seq uint64) {
	s.tell(plugins.Event{Kind: plugins.EventPartial, Seq: seq, Number: 1, Value: []byte("1")})
	s.tell(plugins.Event{Kind: plugins.EventProgress, Seq: seq, Fraction: 0.5, Message: "half way"})
	s.tell(plugins.Event{Kind: plugins.EventLog, Seq: seq, Level: "info", Message: "hello"})
}

// stream sends values that count from 1, up to the params.
func (s *slot) stream(j *job) (plugins.Outcome, bool) {
	last, err := strconv.Atoi(strings.Trim(string(j.task.Params), `" `))
	if err != nil { // they are for another script
		last = 3
	}
	for n := 1; n <= last; n++ {
		select {
		case <-time.After(300 * time.Millisecond):
		case reason := <-j.stop:
			return stopped(reason), s.process.still()
		case <-s.process.ended:
			return plugins.Outcome{}, false
		}
		s.tell(plugins.Event{Kind: plugins.EventPartial, Seq: j.task.Seq, Number: uint64(n), Value: strconv.AppendInt(nil, int64(n), 10)})
		s.tell(plugins.Event{Kind: plugins.EventProgress, Seq: j.task.Seq, Message: strings.Repeat("x", 50)})
	}
	return plugins.Outcome{Status: task.Completed, Data: j.task.Params}, true
}

func faulted(f plugins.Fault) plugins.Outcome {
	return plugins.Outcome{Status: task.Failed, Fault: f, Error: &task.Error{Type: "OSError", Message: "as asked", Code: "executor"}}
}

func stopped(r plugins.StopReason) plugins.Outcome {
	if r == plugins.StopTimedOut {
		return plugins.Outcome{Status: task.TimedOut, Error: &task.Error{Type: "TaskTimeout", Code: "timed_out"}}
	}
	return plugins.Outcome{Status: task.Cancelled, Error: &task.Error{Type: "TaskCancelled", Code: "cancelled"}}
}
