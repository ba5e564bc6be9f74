package client

import (
	"context"
	"errors"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// query returns the query parameters of f. The zero Filter selects all tasks of the
// caller.
func query(f *api.Filter) url.Values {
	q := url.Values{}
	for _, s := range f.Statuses {
		q.Add("status", s.String())
	}
	for _, name := range slices.Sorted(maps.Keys(f.Labels)) {
		q.Add("label", name+"="+f.Labels[name])
	}
	if f.Batch != (task.ID{}) {
		q.Set("batch", f.Batch.String())
	}
	if !f.Since.IsZero() {
		q.Set("since", f.Since.Format(time.RFC3339Nano))
	}
	return q
}

// List returns the tasks that f selects, by submission. It fetches them page by page,
// as the caller goes on; after an error it yields nothing more.
func (c *Client) List(ctx context.Context, f api.Filter) iter.Seq2[task.View, error] {
	return c.list(ctx, query(&f))
}

// Newest is List in the other direction: what was submitted last comes first.
func (c *Client) Newest(ctx context.Context, f api.Filter) iter.Seq2[task.View, error] {
	q := query(&f)
	q.Set("order", "newest")
	return c.list(ctx, q)
}

func (c *Client) list(ctx context.Context, q url.Values) iter.Seq2[task.View, error] {
	return func(yield func(task.View, error) bool) {
		for {
			var page api.Listing
			q.Set("limit", strconv.Itoa(api.MaxPage))
			fetch := func() error { return c.ask(ctx, http.MethodGet, "/v1/tasks?"+q.Encode(), nil, &page) }
			if err := c.persist(ctx, fetch); err != nil {
				yield(task.View{}, err)
				return
			}
			for _, v := range page.Tasks {
				if !yield(v, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.Set("after", page.Next)
		}
	}
}

// ErrUnfiltered is returned by CancelTasks for a Filter that selects all tasks.
var ErrUnfiltered = errors.New("the filter is empty, which would cancel all tasks: set one of its fields, or call CancelAll")

// CancelTasks cancels all tasks that f selects and returns how many had not ended. A Filter in
// which nothing is set, e.g. since the id of its batch was never filled in, is ErrUnfiltered.
func (c *Client) CancelTasks(ctx context.Context, f api.Filter) (int, error) {
	q := query(&f)
	if len(q) == 0 {
		return 0, ErrUnfiltered
	}
	return c.cancelTasks(ctx, q)
}

// CancelAll cancels all tasks of the caller, for an administrator those of all users, and
// returns how many had not ended.
func (c *Client) CancelAll(ctx context.Context) (int, error) {
	return c.cancelTasks(ctx, url.Values{"all": {"true"}})
}

func (c *Client) cancelTasks(ctx context.Context, q url.Values) (int, error) {
	var answer struct{ Cancelled int }
	err := c.persist(ctx, func() error { return c.ask(ctx, http.MethodDelete, "/v1/tasks?"+q.Encode(), nil, &answer) })
	return answer.Cancelled, err
}

// Rerun submits a task again, as a new one, which it returns.
func (c *Client) Rerun(ctx context.Context, id task.ID) (task.View, error) {
	var v task.View
	err := c.callOnce(ctx, http.MethodPost, "/v1/tasks/"+id.String()+"/rerun", nil, &v)
	return v, err
}
