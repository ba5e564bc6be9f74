package client

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/api"
)

// loses returns a Client, and what does as a call that its daemon answers and then leaves, so
// often, after it was there for so long.
func loses(times int, there time.Duration) (c *Client, call func() error) {
	c = New("/s", WithPatience(time.Minute))
	c.reached.Store(true)
	return c, func() error {
		if times == 0 {
			return nil
		}
		times--
		c.presence.heard()
		time.Sleep(there)
		return ErrStreamEnded
	}
}

func TestEachOutageHasItsOwnPatienceWhereTheDaemonStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, call := loses(1000, stay)
		if err := c.persist(t.Context(), call); err != nil {
			t.Error(err)
		}
	})
}

func TestADaemonThatDiesWheneverItIsAskedIsNotWaitedForWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, call := loses(1000, stay*9/10)
		began := time.Now()
		if err := c.persist(t.Context(), call); !errors.Is(err, ErrStreamEnded) || time.Since(began) > time.Minute+2*stay {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// A daemon that was there for long and then drains was not about to go all the time.
func TestWhatWasTakenIsAsPatientWithTheNextDaemonThatDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		err := newRoom(time.Minute, new(waits)).through(t.Context(), func(accepted func()) error {
			switch tries.Add(1) {
			case 2, 4: // it runs for long, until that daemon has gone and the next one drains
				accepted()
				time.Sleep(time.Hour)
			case 6:
				return nil
			}
			return &api.Problem{Code: "draining"}
		})
		if err != nil {
			t.Errorf("after %d tries: %v", tries.Load(), err)
		}
	})
}
