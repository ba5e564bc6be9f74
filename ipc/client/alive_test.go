package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// living is a daemon that answers until it hangs.
type living struct {
	hangs atomic.Bool
	asked atomic.Int32
}

// RoundTrip implements http.RoundTripper.
func (l *living) RoundTrip(r *http.Request) (*http.Response, error) {
	l.asked.Add(1)
	if l.hangs.Load() {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

func (l *living) client(prompt time.Duration) *Client {
	c := New("/s", WithAnswerTimeout(prompt))
	c.http.Transport = l
	return c
}

// answered is a call whose answer comes after wait.
func answered(wait time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(wait):
			return nil
		case <-ctx.Done():
			return ended(ctx)
		}
	}
}

func TestACallWaitsAsLongAsTheDaemonLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(living)
		c := d.client(10 * time.Second)
		if err := c.whileAlive(t.Context(), nil, answered(time.Hour)); err != nil || d.asked.Load() == 0 {
			t.Errorf("%v, looked %d times", err, d.asked.Load())
		}
		time.AfterFunc(time.Minute, func() { d.hangs.Store(true) })
		began := time.Now()
		if err := c.whileAlive(t.Context(), nil, answered(time.Hour)); !errors.Is(err, ErrNoAnswer) || time.Since(began) > 80*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		began = time.Now()
		if err := c.whileAlive(t.Context(), nil, answered(time.Hour)); !errors.Is(err, ErrNoAnswer) || time.Since(began) > 10*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestATaskThatRunsIsWaitedForWhateverTheDaemonDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(living)
		d.hangs.Store(true)
		c := d.client(10 * time.Second)
		for _, after := range []time.Duration{0, 4 * time.Second, 8 * time.Second} { // also while it is asked
			taken := new(atomic.Bool)
			time.AfterFunc(after, func() { taken.Store(true) })
			if err := c.whileAlive(t.Context(), func(int) bool { return taken.Load() }, answered(time.Hour)); err != nil {
				t.Errorf("accepted after %s: %v", after, err)
			}
		}
	})
}

func TestManyCallsAskTheDaemonOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(living)
		c := d.client(10 * time.Second)
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { _ = c.whileAlive(t.Context(), nil, answered(time.Minute)) })
		}
		if all.Wait(); d.asked.Load() > 12 {
			t.Errorf("asked %d times in a minute", d.asked.Load())
		}
	})
}

func TestADialThatIsNotWaitedForAnyLongerSaysWhy(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithDeadlineCause(t.Context(), time.Now(), ErrNoAnswer)
	defer cancel()
	if _, err := New(socket).dial(ctx); !errors.Is(err, ErrNoAnswer) {
		t.Error(err)
	}
}
