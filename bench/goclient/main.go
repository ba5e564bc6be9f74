// Command goclient is the driver of cpulb by its Go client; bench/drivers/drive.py says
// what a driver is.
//
//	goclient SOCKET SCRIPT
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"runtime"
	"time"

	"cpulb/bench/subject"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

func main() {
	log.SetFlags(0)
	d := driver{client: client.New(os.Args[1]), script: os.Args[2]}
	answers := json.NewEncoder(os.Stdout)
	if err := d.open(1); err != nil {
		log.Fatal(err)
	}
	answers.Encode(map[string]any{"ready": true, "versions": runtime.Version(),
		"settings": fmt.Sprintf("a stream, %d deep, for one by one, SubmitBatch and BatchResults for batches", defaultDepth)})
	for lines := bufio.NewReader(os.Stdin); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		a, err := d.perform(line)
		if err != nil {
			a.Error = err.Error()
		}
		answers.Encode(map[string]any{"seconds": a.Seconds, "ns": a.NS, "error": a.Error, "unsupported": a.Unsupported})
	}
}

// defaultDepth is how many tasks of a connection are under way.
const defaultDepth = 64

type driver struct {
	client  *client.Client
	script  string
	streams []*client.Stream
}

// open sees to n streams at least.
func (d *driver) open(n int) error {
	for len(d.streams) < n {
		s, err := d.client.OpenStream(context.Background())
		if err != nil {
			return err
		}
		d.streams = append(d.streams, s)
	}
	return nil
}

func (d *driver) perform(line []byte) (a subject.Answer, err error) {
	var c struct {
		Op             subject.Op
		Work           string
		Params         json.RawMessage
		Clients, Depth int
	}
	if err := json.Unmarshal(line, &c); err != nil {
		return a, err
	}
	all, err := spread(c.Work, c.Params)
	if err != nil {
		return a, err
	}
	if err := d.open(max(1, c.Clients)); err != nil {
		return a, err
	}
	if c.Depth == 0 {
		c.Depth = defaultDepth
	}
	results := make([]*task.Result, len(all))
	began := time.Now()
	switch c.Op {
	case subject.RoundTrip:
		a.NS, err = d.roundTrips(c.Work, all, results)
	case subject.Each:
		err = d.each(c.Work, all, results, max(1, c.Clients), c.Depth)
	case subject.Batch:
		err = d.batch(c.Work, all, results)
	default:
		err = fmt.Errorf("no operation %q", c.Op)
	}
	a.Seconds = time.Since(began).Seconds()
	if err == nil {
		err = check(all, results)
	}
	return a, err
}

func (d *driver) task(work string, p param) *task.Task {
	return &task.Task{ID: task.NewID(), ScriptPath: d.script, Function: work, Params: p.text, Type: task.CPUBound, Priority: task.DefaultPriority}
}
