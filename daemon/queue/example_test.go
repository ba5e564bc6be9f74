package queue_test

import (
	"fmt"
	"time"

	"cpulb/daemon/queue"
)

// An owner of a queue pushes what comes, pops for whoever is free, says how each
// item has ended, and after every step looks at what else has changed.
func Example() {
	now := queue.Now{Wall: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Uptime: time.Hour}
	q := queue.New[string](queue.Options{Lanes: 1, MaxTasks: 100, Ageing: 10 * time.Second})
	for _, e := range []struct {
		name string
		queue.Entry
	}{
		{"low", queue.Entry{Priority: 1}},
		{"first of its key", queue.Entry{Priority: 9, Key: "customer 7"}},
		{"second of its key", queue.Entry{Priority: 9, Key: "customer 7"}},
		{"short-lived", queue.Entry{Priority: 0, Times: queue.Times{ExpiresAt: now.Wall.Add(time.Second)}}},
	} {
		if _, err := q.Push(now, e.name, e.Entry); err != nil {
			fmt.Println(err)
		}
	}
	failed := q.Pop(now, 0)
	fmt.Println("runs:", failed.Value)
	fmt.Println("runs:", q.Pop(now, 0).Value) // the key of the second is at its limit

	q.Retry(now, failed, 0, now.Uptime+5*time.Second)
	at, due := q.Next()
	fmt.Println("next in:", at.Sub(now.Wall), "and", due-now.Uptime)
	now = queue.Now{Wall: at, Uptime: now.Uptime + time.Second}
	q.Advance(now)
	for _, c := range q.Changes() {
		switch c.To {
		case queue.Expired:
			fmt.Println("expired:", c.Item.Value)
		case queue.Parked:
			fmt.Println("waits for its key:", c.Item.Value)
		case queue.Ready:
			fmt.Println("ready:", c.Item.Value)
		}
	}
	// Output:
	// runs: first of its key
	// runs: low
	// next in: 1s and 5s
	// waits for its key: second of its key
	// ready: second of its key
	// expired: short-lived
}
