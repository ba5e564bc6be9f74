package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// stopSignals turns SIGTERM and SIGINT into contexts: stop is done at the first
// of them, hurry at the second. SIGHUP comes through reload, several as one.
type stopSignals struct {
	stop, hurry context.Context
	reload      chan os.Signal
	stopNow     context.CancelFunc
	// release gives the signals back their usual meaning and ends both contexts.
	release func()
}

func catchSignals() *stopSignals {
	stop, stopNow := context.WithCancel(context.Background())
	hurry, hurryNow := context.WithCancel(context.Background())
	arrived, reload := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(arrived, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(reload, syscall.SIGHUP)
	var watcher sync.WaitGroup
	released := make(chan struct{})
	watcher.Go(func() {
		for _, act := range []func(){stopNow, hurryNow} {
			select {
			case <-arrived:
				act()
			case <-released:
				return
			}
		}
	})
	return &stopSignals{stop: stop, hurry: hurry, reload: reload, stopNow: stopNow, release: func() {
		signal.Stop(arrived)
		signal.Stop(reload)
		close(released)
		watcher.Wait()
		stopNow()
		hurryNow()
	}}
}

// stopAtEnd ends stop when r does, or can't be read: whoever held its other end is
// gone. The read can't be interrupted; it ends with the process at the latest.
func (s *stopSignals) stopAtEnd(r io.Reader) {
	go func() {
		_, _ = io.Copy(io.Discard, r)
		s.stopNow()
	}()
}
