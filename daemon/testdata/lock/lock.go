// Package lock breaks every rule for what happens under the engine's lock, once
// each; the comment says how it is reported.
package lock

import (
	"log"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
)

type engine struct {
	logger  hclog.Logger
	mu      sync.Mutex
	once    sync.Once
	group   sync.WaitGroup
	journal *journal.Journal
	ch      chan int
}

func (e *engine) do(f func(fx *effects.List)) {}

func (e *engine) operations(w task.Watcher, f func()) {
	e.do(func(fx *effects.List) {
		e.logger.Info("x")      // hclog.Logger.Info
		_, _ = os.ReadFile("x") // os.ReadFile
		time.Sleep(1)           // time.Sleep
		e.mu.Lock()             // sync.Mutex.Lock
		e.group.Wait()          // sync.WaitGroup.Wait
		e.journal.Stats()       // journal.Journal.Stats
		w.Hear(nil)             // is kept for PassOn
		w.PassOn()              // task.Watcher.PassOn
		e.ch <- 1               // send
		<-e.ch                  // receive
		for range e.ch {        // receive
		}
		select { // select
		case <-e.ch:
		}
		go f()                                       // go
		e.do(func(*effects.List) {})                 // do
		e.once.Do(f)                                 // sync.Once.Do
		_, _ = filepath.Glob("x")                    // filepath.Glob
		log.Print("x")                               // log.Print
		_, _ = http.Get("x")                         // http.Get
		fx.Log(hclog.Info, "x", "y", os.Remove("x")) // os.Remove
		fx.Process(e.made(os.Getuid()))              // os.Getuid
		e.helper()                                   // leads to what helper does
		e.journal.Append(0, e.blocks)                // takes it without waiting, calls back later
		fx.Answer(func() { <-e.ch })                 // comes after the lock
		time.AfterFunc(1, e.fromNone)                // too
		fx.Process(e.fromNone)                       // too
		_ = os.Getpid()                              // is allowed
		select {                                     // does not block
		case e.ch <- 1:
		default:
		}
	})
	e.logger.Info("x") // is not under the lock
}

func (e *engine) blocks(error) { <-e.ch }

func (e *engine) made(int) func() { return nil }

func (e *engine) helper() { _ = os.Remove("x") } // os.Remove

func (e *engine) stateLocked() { _ = os.Chdir("x") } // os.Chdir

func (e *engine) finish(fx *effects.List) { _ = os.Mkdir("x", 0) } // os.Mkdir

func (e *engine) fromNone() { <-e.ch } // nobody calls it under the lock
