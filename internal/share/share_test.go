package share_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"cpulb/internal/share"

	"pgregory.net/rapid"
)

func TestOneCallerLeavesRoomForTheNext(t *testing.T) {
	p := share.NewPool(100)
	for uid, most := range []int64{67, 22, 8, 2} { // each of what those before have left
		n := int64(0)
		for p.Take(share.Caller{UID: uint32(uid)}, 1) {
			n++
		}
		if n < most-1 || n > most+1 {
			t.Errorf("caller %d gets %d, not about %d", uid, n, most)
		}
	}
	if all, _ := p.Used(0); all >= 100 {
		t.Errorf("nothing is left of 100: %d", all)
	}
	for p.Take(share.Caller{UID: 9, Whole: true}, 1) {
	}
	if all, _ := p.Used(9); all != 100 {
		t.Errorf("an administrator can't take the rest: %d", all)
	}
}

func TestWhoHasNothingGetsWhateverIsFree(t *testing.T) {
	p := share.NewPool(1)
	if !p.Take(share.Caller{UID: 1}, 1) || p.Take(share.Caller{UID: 2}, 1) {
		t.Error("one place is for one caller")
	}
	p.Give(1, 1)
	if !p.Take(share.Caller{UID: 2}, 1) {
		t.Error("a place that was given back is not free")
	}
}

func TestThoseOfOneCallerWaitInOrderAndNobodyWaitsBehindAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := share.NewPool(90)
		greedy, other := share.Caller{UID: 1}, share.Caller{UID: 2}
		if !p.Take(greedy, 60) {
			t.Fatal("two thirds are one caller's")
		}
		got := make(chan int64, 9)
		wait := func(c share.Caller, n int64) {
			go func() {
				if p.Wait(t.Context(), c, n) == nil {
					got <- n
				}
			}()
			synctest.Wait()
		}
		wait(greedy, 20)
		wait(greedy, 1)
		if wait(other, 10); len(got) != 1 || <-got != 10 {
			t.Fatal("one caller waits behind another")
		}
		p.Give(other.UID, 10)
		p.Give(greedy.UID, 59)
		synctest.Wait()
		if all, own := p.Used(greedy.UID); len(got) != 2 || all != 22 || own != 22 {
			t.Errorf("not all who wait get what has become free: %d, %d", len(got), own)
		}
	})
}

func TestWhoGivesUpHasTakenNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := share.NewPool(9)
		p.Force(share.Caller{UID: 1}, 9)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Wait(ctx, share.Caller{UID: 1}, 9) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if p.Give(1, 9); !p.Take(share.Caller{UID: 1}, 9) {
			t.Error("who has gone still has something, or stands in the way")
		}
		if err := p.Wait(t.Context(), share.Caller{UID: 1}, 10); !errors.Is(err, share.ErrTooLarge) {
			t.Error(err)
		}
	})
}

// Whatever callers take and give back: never more than there is, and who has nothing gets one
// as soon as another caller alone wants more.
func TestAPoolIsNeverExhaustedByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.Int64Range(2, 200).Draw(t, "capacity")
		p := share.NewPool(capacity)
		own := map[uint32]int64{}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				uid, n := rapid.Uint32Range(1, 4).Draw(t, "uid"), rapid.Int64Range(0, 20).Draw(t, "n")
				if p.Take(share.Caller{UID: uid}, n) {
					own[uid] += n
				}
			},
			"give": func(t *rapid.T) {
				uid := rapid.Uint32Range(1, 4).Draw(t, "uid")
				n := rapid.Int64Range(0, own[uid]).Draw(t, "n")
				p.Give(uid, n)
				own[uid] -= n
			},
			"": func(t *rapid.T) {
				sum := int64(0)
				for uid, n := range own {
					sum += n
					if _, has := p.Used(uid); has != n {
						t.Fatalf("caller %d has %d, not %d", uid, has, n)
					}
				}
				if all, _ := p.Used(0); all != sum || all > capacity {
					t.Fatalf("%d of %d are taken, callers have %d", all, capacity, sum)
				}
			},
		})
	})
}
