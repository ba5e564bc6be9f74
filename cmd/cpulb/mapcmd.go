package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

type mapCommand struct {
	taskFlags `embed:""`
	InFlight  int    `help:"How many lines are read at most, and their tasks submitted, whose results have not been written." default:"64" placeholder:"N"`
	KeepGoing bool   `help:"Go on after a line that is no JSON or whose task does not complete. Its result has the error. Where the daemon has no room, map waits in any case; where it drains, for --patience."`
	Resume    string `help:"Write the results to this file instead of stdout, and leave out the lines whose results it has: those of an earlier run, be it interrupted or killed." placeholder:"FILE"`
}

// Run implements the command.
func (m *mapCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	if m.InFlight < 1 {
		return usageError{fmt.Errorf("--in-flight=%d: at least 1 is needed", m.InFlight)}
	}
	if _, taken := m.Label[mapLabel]; taken {
		return usageError{fmt.Errorf("--label=%s=…: map sets this label itself", mapLabel)}
	}
	base, err := m.task(nil)
	if err != nil {
		return err
	}
	out, err := openOutput(m.Resume, t)
	if err != nil {
		return err
	}
	defer out.close()
	if n := len(out.passed); n > 0 {
		fmt.Fprintf(t.err, "cpulb: %s in %s are refusals that pass: these lines are run again\n", counted(n, "result"), m.Resume)
	}
	base.Labels = maps.Clone(base.Labels)
	if base.Labels == nil {
		base.Labels = map[string]string{}
	}
	base.Labels[mapLabel] = out.run.String()
	if err := base.Validate(); err != nil { // one label more may be too many
		return usageError{err}
	}
	r := m.mapper(t, c, base, out)
	if r.before, err = r.known(ctx); err != nil {
		return err
	}
	return errors.Join(r.run(ctx), out.close())
}

func (m *mapCommand) mapper(t *terminal, c *client.Client, base *task.Task, out *mapOutput) *mapper {
	return &mapper{command: m, terminal: t, client: c, base: base, in: newMapInput(t.in), out: out, left: out.known, failed: out.failed,
		last: out.last(), room: make(chan struct{}, m.InFlight), over: make(chan struct{})}
}

// mapper is one run of map.
type mapper struct {
	command *mapCommand
	*terminal
	client *client.Client
	base   *task.Task
	in     *mapInput
	out    *mapOutput
	bar    *bar
	// before are the tasks of the run before that have not completed, as far as the daemon
	// knows them.
	before map[task.ID]task.Status
	// left are those results in the output whose lines have not been read yet.
	left []task.ID
	// room has one entry for each line that waits, be it a task or not. over is closed when no
	// more lines are wanted.
	room chan struct{}
	over chan struct{}

	mu sync.Mutex
	// waiting are the lines that have been read and not been written, in their order.
	waiting []*mapLine
	failed  int
	last    int // the line that was written last
	// why is why nothing more is read or written.
	why error
}

// mapLine is one line of the input.
type mapLine struct {
	number int
	task   *task.Task // nil: it can't be one
	try    int
	check  [3]byte
	record *mapRecord // its result, once that is there
	old    []byte     // that, as the file has it that is mended
	result *task.Result
}

// errFailed ends a map without --keep-going, which has said why.
var errFailed = errors.New("a line failed")

// known asks for the tasks of the run before that have not completed.
func (r *mapper) known(ctx context.Context) (map[task.ID]task.Status, error) {
	if len(r.out.known) == 0 {
		return nil, nil
	}
	all := map[task.ID]task.Status{}
	f := api.Filter{Labels: map[string]string{mapLabel: r.out.run.String()}}
	for _, s := range task.Statuses() {
		if s != task.Completed {
			f.Statuses = append(f.Statuses, s)
		}
	}
	for v, err := range r.client.List(ctx, f) {
		if err != nil {
			return nil, err
		}
		all[v.ID] = v.Status
	}
	return all, nil
}

func (r *mapper) run(ctx context.Context) error {
	r.bar = r.terminal.bar()
	defer r.bar.end()
	defer close(r.over)
	r.total()
	for result, err := range r.client.Map(ctx, r.tasks, client.MapOptions{InFlight: r.command.InFlight}) {
		if r.take(ctx, result, err) != nil {
			r.cancelling(ctx)
			break
		}
	}
	r.bar.end()
	r.leftBehind(ctx)
	return r.ending(ctx)
}

// total has the bar know how many lines there are, if that can be known beforehand.
func (r *mapper) total() {
	if !r.bar.shown() {
		return
	}
	rest, ok := restOf(r.terminal.in) // before anything is read: both have the same place in the file
	if !ok {
		return
	}
	go func() {
		if n, ok := countLines(rest); ok {
			r.bar.setTotal(n)
		}
	}()
}

// tasks reads the input, line by line.
func (r *mapper) tasks(yield func(*task.Task) bool) {
	for {
		text, err := r.in.next()
		if errors.Is(err, io.EOF) {
			r.ended()
			return
		}
		if err != nil {
			r.fail(fmt.Errorf("input: line %d: %w", r.in.line+1, err))
			return
		}
		line := r.line(text)
		known, err := r.written(line)
		switch {
		case err != nil:
			r.fail(usageError{err})
			return
		case known && line.old == nil:
			r.bar.skip(1)
			continue
		}
		if !r.enter() || r.add(line) != nil || line.task == nil && !known && !r.command.KeepGoing || line.task != nil && !yield(line.task) {
			return
		}
	}
}

// line makes what was read a task.
func (r *mapper) line(text []byte) *mapLine {
	l := &mapLine{number: r.in.line}
	if bad := r.in.badParams(text); bad != nil {
		l.check = checkOf(text)
		l.record = &mapRecord{Line: l.number, ID: r.out.run.id(l.number, 0, l.check), Status: statusRefused, Error: bad}
		return l
	}
	t := *r.base
	t.ID, t.Params = task.ID{}, compact(text)
	l.check = checkOf(t.AppendJSON(nil))
	l.task = &t
	r.name(l)
	return l
}

// name gives a task the id of its first try that has not ended without completing.
func (r *mapper) name(l *mapLine) {
	for ; ; l.try++ {
		l.task.ID = r.out.run.id(l.number, l.try, l.check)
		if s, known := r.before[l.task.ID]; !known || !s.Terminal() || l.try == maxMapTries {
			return
		}
	}
}

// written reports whether the output has the result of l already, or l then has it from the
// file that is mended.
func (r *mapper) written(l *mapLine) (bool, error) {
	if len(r.left) == 0 {
		return false, nil
	}
	const remedy = "resume with the same input and options, or give it another file"
	id := r.left[0]
	_, line, try, _ := mapRunOf(id)
	switch {
	case line != l.number:
		return false, fmt.Errorf("line %d of the input has no result in %s, but line %d has: this is another input; %s", l.number, r.out.name, line, remedy)
	case id != r.out.run.id(line, try, l.check):
		return false, fmt.Errorf("line %d of the input, or the options, are not those of its result in %s: %s", line, r.out.name, remedy)
	}
	r.left = r.left[1:]
	text, again, err := r.out.kept(id)
	if err != nil || again {
		return false, err
	}
	if text != nil {
		l.task, l.record, l.old = nil, &mapRecord{Line: line, ID: id}, text
	}
	return true, nil
}

// ended is called at the end of the input.
func (r *mapper) ended() {
	if len(r.left) > 0 {
		_, line, _, _ := mapRunOf(r.left[0])
		r.fail(usageError{fmt.Errorf("%s has a result of line %d, but the input has only %d: this is another input", r.out.name, line, r.in.line)})
	}
}

// fail ends the run.
func (r *mapper) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == nil {
		r.why = err
	}
}

// enter waits until there is room for one more line; false: none is wanted.
func (r *mapper) enter() bool {
	select {
	case r.room <- struct{}{}:
		return true
	case <-r.over:
		return false
	}
}

// add takes a line that was read, and writes it at once if it is no task.
func (r *mapper) add(l *mapLine) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, l)
	return r.writeLocked()
}

// ending is what the run ends with.
func (r *mapper) ending(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	resume := ""
	if r.why != nil {
		resume = r.resumeLocked()
	}
	switch {
	case r.why == nil && r.failed == 0:
		return nil
	case r.why == nil:
		fmt.Fprintf(r.err, "cpulb: %d lines did not complete\n", r.failed)
		return exit(exitFailed)
	case errors.Is(r.why, errFailed):
		fmt.Fprintf(r.err, "cpulb: stopped at this line; --keep-going goes on after such a line%s\n", resume)
		return exit(exitFailed)
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted%s%s", r.placeLocked(" after line %d", " before the first result"), resume)
	}
	var usage usageError
	if errors.As(r.why, &usage) {
		return r.why
	}
	return fmt.Errorf("%w%s%s", r.why, r.placeLocked("; line %d was the last", "; no result was written"), resume)
}

// placeLocked says which line was written last, also by an earlier run. r.mu is held.
func (r *mapper) placeLocked(after, none string) string {
	if r.last == 0 {
		return none
	}
	return fmt.Sprintf(after, r.last)
}

// resumeLocked returns how to go on with a run that has ended, if that is possible. r.mu is
// held.
func (r *mapper) resumeLocked() string {
	name := r.out.resumable(r.terminal, r.last > 0)
	if name == "" {
		return ""
	}
	return fmt.Sprintf("; the same command with --resume=%s goes on from there", quoted(name))
}

// cancelling says, when the run is left, what Map cancels now.
func (r *mapper) cancelling(ctx context.Context) {
	flights := len(r.flying())
	r.mu.Lock()
	left := r.mayGoOn() + r.resumeLocked()
	r.mu.Unlock()
	what := ""
	if ctx.Err() != nil && flights > 0 {
		what = counted(flights, "task")
	}
	r.terminal.cancelling(what, left)
}

// leftBehind says, if the run was left, that its tasks could not be cancelled: Map does not. It
// cancels those of them alone: others with the label may be those of a map that goes on with
// this one.
func (r *mapper) leftBehind(ctx context.Context) {
	if !r.client.Reached() {
		return
	}
	for _, id := range r.flying() {
		if err := abandon(ctx, r.client, id); err != nil {
			fmt.Fprintf(r.err, "cpulb: what is in flight could not be cancelled (%v): %s\n", err, r.mayGoOn())
			return
		}
	}
}

// flying returns the tasks that were in flight when the run was left.
func (r *mapper) flying() (all []task.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.waiting {
		if r.why != nil && l.task != nil && l.record == nil {
			all = append(all, l.task.ID)
		}
	}
	return all
}

// mayGoOn says how to cancel the tasks of this run later.
func (r *mapper) mayGoOn() string {
	return fmt.Sprintf("tasks of this map may go on; cpulb cancel --label %s=%s cancels them", mapLabel, r.out.run)
}

// counted is a number of things, as text.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
