package dashboard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// told is a daemon of which a test says what it answers.
type told struct {
	ended   int
	failing bool // its lists
	asked   []string
}

func (d *told) Get(_ context.Context, path string) ([]byte, error) {
	d.asked = append(d.asked, path)
	switch {
	case path == "/v1/status":
		return []byte(`{"engine":{"pid":1,"tasks":{}},"components":{"process_pool":{"metrics":{}}}}`), nil
	case path == "/metrics":
		return fmt.Appendf(nil, "cpulb_tasks_ended_total{pool=\"cpu\",status=\"completed\"} %d\n", d.ended), nil
	case d.failing:
		return nil, errors.New("not just now")
	}
	return []byte(`{"tasks":[]}`), nil
}

// lists are the lists that were asked for since the last call.
func (d *told) lists() (lists []string) {
	for _, path := range d.asked {
		if strings.HasPrefix(path, "/v1/tasks?") {
			lists = append(lists, path)
		}
	}
	d.asked = nil
	return lists
}

func TestTasksThatEndedWhileAListFailedAreAskedForAtTheNextLook(t *testing.T) {
	d := &told{ended: 10}
	o := newObserver("", d)
	look := func() []string {
		o.take(o.look(t.Context()))
		return d.lists()
	}
	look()
	if lists := look(); lists != nil {
		t.Fatalf("nothing has ended, and it asks for %q", lists)
	}
	d.ended, d.failing = 13, true
	look()
	d.failing = false
	if lists := look(); len(lists) != 1 || !strings.Contains(lists[0], "limit=26") || !strings.Contains(lists[0], "completed") {
		t.Errorf("three have ended, and it asks for %q", lists)
	}
	if lists := look(); lists != nil {
		t.Errorf("it asks again for %q", lists)
	}
}
