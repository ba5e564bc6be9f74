package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

type batchCommand struct {
	File string `arg:"" help:"File with one task per line, as JSON; - for stdin."`
	Wait bool   `help:"After the id, print each result as its task ends, one per line, as JSON. Exits with 1 if a task does not complete."`
}

// Run implements the command.
func (b *batchCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	text, err := b.read(t.in)
	if err != nil {
		return usageError{fmt.Errorf("tasks: %w", err)}
	}
	tasks, lines, refused := t.tasks(text)
	if len(tasks) == 0 && refused {
		return exit(exitFailed)
	}
	if len(tasks) == 0 {
		return usageError{fmt.Errorf("tasks: %s contains no task", b.File)}
	}
	batch, err := c.SubmitBatch(ctx, tasks)
	if errors.Is(err, client.ErrNoAnswer) {
		return fmt.Errorf("%w; it may have accepted the tasks, cpulb tasks lists them; to send those again is safe that have a task_id in the file", err)
	}
	if err != nil {
		return err
	}
	for _, e := range batch.Errors {
		refused = true
		if e.Line >= 1 && e.Line <= len(lines) {
			t.refuse(lines[e.Line-1], &e.Problem)
		}
	}
	if len(batch.Errors) == len(tasks) {
		return exit(exitFailed)
	}
	if err := t.printID(batch.ID, "batch %s has been submitted"); err != nil {
		return err
	}
	if b.Wait {
		err = t.results(ctx, c, batch.ID)
	}
	if err == nil && refused {
		err = exit(exitFailed)
	}
	return err
}

func (b *batchCommand) read(in io.Reader) ([]byte, error) {
	if b.File == "-" {
		return readAll(in, maxBatchBytes)
	}
	return readFile(b.File, maxBatchBytes)
}

// maxBatchBytes is the most that limits.body_size can be, and so that any daemon takes.
const maxBatchBytes = 1 << 30

// tasks decodes one task per line; bad lines are reported and skipped. Tasks get
// their ids here, so that sending them twice is safe.
func (t *terminal) tasks(text []byte) (tasks []*task.Task, lines []int, refused bool) {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		x, err := task.Decode(line)
		if err != nil {
			t.refuse(number, err)
			refused = true
			continue
		}
		tasks, lines = append(tasks, x), append(lines, number)
	}
	return tasks, lines, refused
}

func (t *terminal) refuse(line int, why error) {
	fmt.Fprintf(t.err, "cpulb: line %d: %v\n", line, why)
}

// results prints the results of a batch as they come.
func (t *terminal) results(ctx context.Context, c *client.Client, id task.ID) error {
	ctx, stop := t.whileRead(ctx)
	defer stop()
	failed := 0
	for r, err := range c.BatchResults(ctx, id) {
		if err != nil {
			return errors.Join(interrupted(ctx, err), fmt.Errorf("the tasks of batch %s go on; cpulb cancel --batch %s cancels them", id, id))
		}
		if r.Status != task.Completed {
			failed++
		}
		if err := printJSON(t.data(), r); err != nil {
			return err
		}
	}
	if failed > 0 {
		fmt.Fprintf(t.err, "cpulb: %d tasks did not complete\n", failed)
		return exit(exitFailed)
	}
	return nil
}
