package top

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// recent is how far back the tasks go that scripts are judged by.
const recent = 15 * time.Minute

// mostFetched is how many tasks are asked for one by one in a look.
const mostFetched = 40

// tasks asks for those that run, the oldest first, and for some that have ended: those that
// were submitted last, and those that ran at the look before. Of the former the slow ones may
// be no part, as others were submitted while they ran.
func (c *Collector) tasks(ctx context.Context, s *Snapshot) error {
	running, all, err := page(c.source.List(ctx, api.Filter{Statuses: []task.Status{task.Running}}))
	if err != nil {
		return err
	}
	s.Sample.Since = s.At.Add(-recent)
	ended, rest, err := page(c.source.Newest(ctx, api.Filter{Statuses: hasRun(), Since: s.Sample.Since}))
	if err != nil {
		return err
	}
	fetched, err := c.follow(ctx, running, ended)
	if err != nil {
		return err
	}
	c.seen = slices.DeleteFunc(c.seen, func(v task.View) bool { return v.FinishedAt.Before(s.Sample.Since) || has(ended, v.ID) })
	ended = append(ended, c.seen...)
	c.ran = running
	s.Sample.Tasks, s.Sample.Whole = len(ended), all && rest && fetched
	s.Scripts = scripts(running, ended, s.At)
	assign(s.Workers, running, s.At)
	return nil
}

// hasRun are the states of tasks that may have run to their end.
func hasRun() []task.Status { return []task.Status{task.Completed, task.Failed, task.TimedOut} }

// follow asks for the tasks that ran before, and are now neither among those that run nor
// among those that have ended. all: they were not too many.
func (c *Collector) follow(ctx context.Context, running, ended []task.View) (all bool, err error) {
	known := map[task.ID]bool{}
	for _, v := range slices.Concat(running, ended, c.seen) {
		known[v.ID] = true
	}
	asked := 0
	for _, v := range c.ran {
		if known[v.ID] {
			continue
		}
		if asked++; asked > mostFetched {
			return false, nil
		}
		now, err := c.source.Task(ctx, v.ID)
		switch {
		case errors.Is(err, task.ErrNotFound), errors.Is(err, task.ErrEvicted): // it is not kept
		case err != nil:
			return false, err
		case now.FinishedAt != nil && slices.Contains(hasRun(), now.Status):
			c.seen = append(c.seen, now)
		}
	}
	c.seen = c.seen[max(0, len(c.seen)-api.MaxPage):]
	return true, nil
}

func has(all []task.View, id task.ID) bool {
	return slices.ContainsFunc(all, func(v task.View) bool { return v.ID == id })
}

// page returns the first tasks of a list, as many as one call gives, and whether these are all.
func page(list iter.Seq2[task.View, error]) (some []task.View, all bool, err error) {
	for v, err := range list {
		if err != nil {
			return nil, false, err
		}
		if some = append(some, v); len(some) == api.MaxPage {
			return some, false, nil
		}
	}
	return some, true, nil
}
