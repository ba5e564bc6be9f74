package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"cpulb/daemon/api"
	"cpulb/ipc/client"
)

const (
	// lookInterval is how often it is looked what a command waits for.
	lookInterval = 500 * time.Millisecond
	// saidAfter is how long a wait lasts before it is worth a word.
	saidAfter = time.Second
	// saidAgain is how soon at the earliest the same is said again.
	saidAgain = time.Minute
)

// sayWaits says what a command waits for, where the daemon has no room or has gone: in the bar
// if there is one, else in a line on stderr for each wait. It returns what ends that.
func (t *terminal) sayWaits(c *client.Client) (stop func()) {
	over := make(chan struct{})
	var teller sync.WaitGroup
	teller.Go(func() {
		ticker := time.NewTicker(lookInterval)
		defer ticker.Stop()
		var said words
		for {
			select {
			case <-ticker.C:
				since, why := c.Waits()
				t.sayWait(&said, why, since)
			case <-over:
				return
			}
		}
	})
	return func() {
		close(over)
		teller.Wait()
	}
}

// sayWait says one look.
func (t *terminal) sayWait(said *words, why error, since time.Time) {
	if why != nil && time.Since(since) < saidAfter {
		why = nil
	}
	if b := t.shown.Load(); b != nil && b.setWaits(inShort(why)) {
		return
	}
	if line := said.of(why, since, time.Now()); line != "" {
		fmt.Fprintln(t.err, "cpulb:", line)
	}
}

// words are what has been said last of waits.
type words struct {
	line  string
	since time.Time // the wait
	at    time.Time
}

// of returns the line for a wait; "": it, or a like one a short time ago, has had its line.
func (w *words) of(why error, since, now time.Time) string {
	if why == nil || since.Equal(w.since) {
		return ""
	}
	line := "waiting for the daemon: " + why.Error()
	if isRoom(why) {
		line = "waiting for room: " + why.Error()
	}
	if line == w.line && now.Sub(w.at) < saidAgain {
		return ""
	}
	*w = words{line, since, now}
	return line
}

// inShort is what is waited for, for the bar.
func inShort(why error) string {
	if why == nil {
		return ""
	}
	text := "waiting for the daemon"
	if isRoom(why) {
		text = "waiting for room"
	}
	var p *api.Problem
	if errors.As(why, &p) && p.Code != "" {
		text += " [" + p.Code + "]"
	}
	return text
}

// isRoom reports whether a daemon that takes tasks has no room for one.
func isRoom(why error) bool {
	return api.IsTemporary(why) && !errors.Is(why, api.ErrDraining)
}
