package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// param is a task's, with what it must return, both as JSON.
type param struct{ text, want []byte }

// spread returns what the params of a command stand for.
func spread(work string, params json.RawMessage) ([]param, error) {
	var short struct {
		Range, Objects, Repeat, Bytes, Times int
		Value                                json.RawMessage
	}
	var all []param
	add := func(text []byte) { all = append(all, param{text, expected(work, text)}) }
	if params[0] == '[' {
		var list []json.RawMessage
		err := json.Unmarshal(params, &list)
		for _, text := range list {
			add(text)
		}
		return all, err
	}
	err := json.Unmarshal(params, &short)
	for i := range short.Range {
		add(strconv.AppendInt(nil, int64(i), 10))
	}
	for i := range short.Objects {
		add(fmt.Appendf(nil, `{"value":%d,"name":"ada"}`, i))
	}
	for range short.Repeat {
		add(short.Value)
	}
	text := []byte(`"` + strings.Repeat("x", short.Bytes) + `"`)
	for range short.Times {
		add(text)
	}
	return all, err
}

// expected is what works.py says.
func expected(work string, text []byte) []byte {
	if work != "count" && work != "total" && work != "frame" {
		return text
	}
	n, _ := strconv.ParseInt(string(text), 10, 64)
	return strconv.AppendInt(nil, n*(n-1)/2, 10)
}

func check(all []param, results []*task.Result) error {
	for i, r := range results {
		if r == nil {
			return fmt.Errorf("task %d has no result", i)
		}
		if r.Status != task.Completed || !same(r.Data, all[i].want) {
			return fmt.Errorf("task %d ended %s: %.100s, not %.100s; %+v", i, r.Status, r.Data, all[i].want, r.Error)
		}
	}
	return nil
}

// same compares JSON text, which may be written with spaces or without.
func same(got, want []byte) bool {
	if bytes.Equal(got, want) {
		return true
	}
	var b bytes.Buffer
	return json.Compact(&b, got) == nil && bytes.Equal(b.Bytes(), want)
}

func (d *driver) roundTrips(work string, all []param, results []*task.Result) ([]float64, error) {
	var ns []float64
	for i, p := range all {
		began := time.Now()
		r, err := d.streams[0].Do(context.Background(), d.task(work, p))
		ns = append(ns, float64(time.Since(began)))
		if err != nil {
			return nil, err
		}
		results[i] = r
	}
	return ns, nil
}

// each divides the tasks among the first streams.
func (d *driver) each(work string, all []param, results []*task.Result, clients, depth int) error {
	var under sync.WaitGroup
	failed := make(chan error, clients)
	for i := range clients {
		from, to := i*len(all)/clients, (i+1)*len(all)/clients
		under.Go(func() { failed <- d.pipeline(d.streams[i], work, all[from:to], results[from:to], depth) })
	}
	under.Wait()
	for range clients {
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}

// pipeline keeps depth tasks under way on a stream: for each that was sent first and has
// ended, it sends another.
func (d *driver) pipeline(s *client.Stream, work string, all []param, results []*task.Result, depth int) error {
	ctx := context.Background()
	var pending []*client.Pending
	fetch := func(i int) (err error) {
		results[i], err = pending[i].Result(ctx)
		pending[i] = nil
		return err
	}
	for i, p := range all {
		if i >= depth {
			if err := fetch(i - depth); err != nil {
				return err
			}
		}
		sent, err := s.Submit(ctx, d.task(work, p))
		if err != nil {
			return err
		}
		pending = append(pending, sent)
	}
	for i := max(0, len(all)-depth); i < len(all); i++ {
		if err := fetch(i); err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) batch(work string, all []param, results []*task.Result) error {
	ctx := context.Background()
	tasks, place := make([]*task.Task, len(all)), make(map[task.ID]int, len(all))
	for i, p := range all {
		tasks[i] = d.task(work, p)
		place[tasks[i].ID] = i
	}
	b, err := d.client.SubmitBatch(ctx, tasks)
	if err != nil {
		return err
	}
	if len(b.Errors) > 0 {
		return fmt.Errorf("task %d of the batch: %v", b.Errors[0].Line, b.Errors[0].Problem)
	}
	for r, err := range d.client.BatchResults(ctx, b.ID) {
		if err != nil {
			return err
		}
		i, known := place[r.ID]
		if !known {
			return fmt.Errorf("a result of a task %s, which was not submitted", r.ID)
		}
		results[i] = r
	}
	return nil
}
