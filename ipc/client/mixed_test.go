package client_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

// Whoever waits reads for the others, or somebody reads for all: whichever way, everybody
// gets its own result, and those who gave up harm nobody.
func TestEverybodyGetsItsResultHoweverTheOthersWait(t *testing.T) {
	engine, c, _ := serve(t)
	s := openStream(t, c)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 5))
			for range 200 {
				if err := waitSomehow(t.Context(), engine, s, r.IntN(6)); err != nil {
					t.Errorf("%v", err)
				}
				if r.IntN(20) == 0 {
					time.Sleep(time.Millisecond) // so that at times nobody is under way
				}
			}
		})
	}
	all.Wait()
}

func waitSomehow(ctx context.Context, engine *ipctest.Engine, s *client.Stream, how int) error {
	x := newTask(ipctest.Echo)
	got := func(r *task.Result, err error) error {
		if err == nil && (r.ID != x.ID || string(r.Data) != `{"n":1}`) {
			err = errors.New("the result of another")
		}
		return err
	}
	switch how {
	case 0: // it gives up
		short, cancel := context.WithTimeout(ctx, 100*time.Microsecond)
		defer cancel()
		x.ScriptPath = ipctest.Held
		if _, err := s.Do(short, x); !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return s.Cancel(ctx, x.ID)
	case 1: // it does not wait
		p, err := s.Submit(ctx, x)
		if err == nil {
			p.Forget()
		}
		return err
	case 2:
		p, err := s.Submit(ctx, x)
		if err == nil {
			<-p.Done()
			err = got(p.Result(ctx))
		}
		return err
	case 3:
		with, cancel := context.WithCancel(ctx)
		defer cancel()
		return got(s.Do(with, x))
	default:
		return got(s.Do(ctx, x))
	}
}

// The daemon cuts off whoever does not read what it gets.
func TestResultsAreReadAlsoWhenNobodyWaits(t *testing.T) {
	engine, c, _ := serve(t)
	s := openStream(t, c)
	var all []*client.Pending
	for range 3 {
		p, err := s.Submit(t.Context(), newTask(ipctest.Held))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := engine.AwaitTasks(t.Context(), len(all)); err != nil {
		t.Fatal(err)
	}
	for _, p := range all[1:] {
		engine.End(p.ID, task.Result{Status: task.Completed, Stdout: strings.Repeat("x", 1<<20)})
	}
	engine.End(all[0].ID, task.Result{Status: task.Completed})
	for _, p := range all {
		<-p.Done() // asked after the fact, or before: it is all the same
	}
}

// Whoever waits for its own task alone may be the one who reads for the others.
func TestAWaitThatIsGivenUpGoesOnForTheOthers(t *testing.T) {
	engine, c, _ := serve(t)
	s := openStream(t, c)
	mine, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	go func() {
		_, err := s.Do(mine, newTask(ipctest.Held))
		gaveUp <- err
	}()
	if err := engine.AwaitTasks(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	x := newTask(ipctest.Held)
	other := make(chan error, 1)
	go func() {
		_, err := s.Do(t.Context(), x)
		other <- err
	}()
	if err := engine.AwaitTasks(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	engine.End(x.ID, task.Result{Status: task.Completed})
	if err := <-other; err != nil {
		t.Error(err)
	}
}

func TestTheReasonForTheEndIsHeardByWhoCallsNext(t *testing.T) {
	_, c, server := serve(t)
	s := openStream(t, c)
	if _, err := s.Do(t.Context(), newTask(ipctest.Echo)); err != nil {
		t.Fatal(err)
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Do(t.Context(), newTask(ipctest.Echo)); !errors.Is(err, client.ErrStreamEnded) {
		t.Errorf("%v", err)
	}
}
