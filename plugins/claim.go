package plugins

import "sync/atomic"

// Window is the most tasks that may be outstanding on one slot: sent, and not
// ended. The claim table has room for no more.
const Window = 64

// claims decides who gets a task that has been sent: the slot's thread, which
// claims it before running it, or somebody who recalls it. Each place of the
// ring holds the last seq that was decided there, with the decision in its
// lowest bit; a compare-and-swap makes one of them win. The zero value is ready.
//
// Seqs begin at 1. One that is more than Window behind has ended long ago and is
// answered as claimed.
type claims [Window]atomic.Uint64

const recalledBit = 1

// claim wins seq for the thread; false when it was recalled before.
func (c *claims) claim(seq uint64) bool {
	claim, _ := c.decide(seq, 0)
	return claim == Claimed
}

// recall takes seq back unless the thread has claimed it. won is true for the
// first only who takes it back: it is the one to tell the daemon.
func (c *claims) recall(seq uint64) (claim Claim, won bool) { return c.decide(seq, recalledBit) }

func (c *claims) decide(seq, decision uint64) (claim Claim, won bool) {
	place := &c[seq%Window]
	for {
		was := place.Load()
		switch {
		case was>>1 > seq:
			return Claimed, false // long decided and overwritten: it has ended
		case was>>1 == seq:
			return answer(was), false
		}
		if place.CompareAndSwap(was, seq<<1|decision) {
			return answer(decision), true
		}
	}
}

func answer(place uint64) Claim {
	if place&recalledBit != 0 {
		return Recalled
	}
	return Claimed
}
