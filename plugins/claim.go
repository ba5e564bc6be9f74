package plugins

import "sync/atomic"

// Window is the most tasks that may be outstanding on one slot: sent, and not
// ended. The claim table has room for no more.
const Window = 64

// claims decides who gets a task that has been sent: the slot's thread, which
// claims it before running it, or somebody who recalls it. Each place of the
// ring holds the last seq that was decided there, with what has become of it in its
// two lowest bits; a compare-and-swap makes one of them win. The zero value is ready.
//
// Seqs begin at 1. One whose place has a later one has been decided long ago: who recalls
// it is answered that it was claimed and is done. The thread, which claims each once, can't
// have had it: it was recalled, as were all that followed unread.
//
// A table may be shared with another process, which may write anything into it at
// any time. Whatever it holds, each method answers within a bounded number of steps.
type claims [Window]atomic.Uint64

// The states of a place.
const (
	placeClaimed  = 0
	placeRecalled = 1
	placeDone     = 2
	placeState    = 3 // mask
	placeBits     = 2
)

// mostSwaps is how often a decision is tried. Of one seq a place changes at most twice,
// and as often of the one that had it before: who needs more tries deals with a peer
// that does not keep to the rules.
const mostSwaps = 16

// claim wins seq for the thread, which asks once; false when it was recalled before.
func (c *claims) claim(seq uint64) bool {
	_, won := c.decide(seq, placeClaimed)
	return won
}

// recall takes seq back unless the thread has claimed it. won is true for the
// first only who takes it back: it is the one to tell the daemon.
func (c *claims) recall(seq uint64) (claim Claim, won bool) { return c.decide(seq, placeRecalled) }

// done notes that the thread has run seq, which it had claimed.
func (c *claims) done(seq uint64) {
	c[seq%Window].CompareAndSwap(seq<<placeBits|placeClaimed, seq<<placeBits|placeDone)
}

// fate says what has become of seq.
func (c *claims) fate(seq uint64) Fate {
	place := c[seq%Window].Load()
	switch of := place >> placeBits; {
	case of > seq:
		return FateDone // and overwritten
	case of < seq:
		return FateOpen
	case place&placeState == placeRecalled:
		return FateRecalled
	case place&placeState == placeDone:
		return FateDone
	}
	return FateClaimed
}

func (c *claims) decide(seq, decision uint64) (claim Claim, won bool) {
	place := &c[seq%Window]
	for range mostSwaps {
		was := place.Load()
		switch {
		case was>>placeBits > seq:
			return Claimed, false // long decided and overwritten
		case was>>placeBits == seq:
			return answer(was), false
		}
		if place.CompareAndSwap(was, seq<<placeBits|decision) {
			return answer(decision), true
		}
	}
	return Claimed, false
}

func answer(place uint64) Claim {
	if place&placeState == placeRecalled {
		return Recalled
	}
	return Claimed
}
