package plugins

import (
	"sync"
	"testing"
)

func TestARecalledTaskNeverRunsAndAClaimedOneIsNeverRecalled(t *testing.T) {
	var c claims
	const tasks, recallers = 20_000, 3
	claimed := make([]bool, tasks+1)
	answers := make([][]Claim, recallers)
	won := make([][]bool, recallers)
	step := make([]sync.WaitGroup, tasks+1) // everyone decides on the same seq at about the same time
	for i := range step {
		step[i].Add(recallers + 1)
	}
	var all sync.WaitGroup
	each := func(decide func(seq uint64)) {
		all.Go(func() {
			for seq := uint64(1); seq <= tasks; seq++ {
				step[seq].Done()
				step[seq].Wait()
				decide(seq)
			}
		})
	}
	each(func(seq uint64) { claimed[seq] = c.claim(seq) })
	for r := range recallers {
		answers[r], won[r] = make([]Claim, tasks+1), make([]bool, tasks+1)
		each(func(seq uint64) { answers[r][seq], won[r][seq] = c.recall(seq) })
	}
	all.Wait()
	for seq := 1; seq <= tasks; seq++ {
		winners := 0
		for r := range recallers {
			if claimed[seq] != (answers[r][seq] == Claimed) {
				t.Fatalf("seq %d: claimed is %v, recaller %d was answered %v", seq, claimed[seq], r, answers[r][seq])
			}
			if won[r][seq] {
				winners++
			}
		}
		if want := map[bool]int{true: 0, false: 1}[claimed[seq]]; winners != want {
			t.Fatalf("seq %d: claimed is %v and %d recallers won", seq, claimed[seq], winners)
		}
	}
}

func TestAnOldSeqIsAnsweredAsClaimed(t *testing.T) {
	var c claims
	for seq := uint64(1); seq <= Window+1; seq++ {
		c.claim(seq)
	}
	if claim, _ := c.recall(1); claim != Claimed {
		t.Fatal("a task that ended long ago was recalled")
	}
}

// More than a window may be recalled while the worker stands still: where one was recalled
// the next is given its place, again and again.
func TestWhatWasRecalledIsNotClaimedHoweverManyWere(t *testing.T) {
	var c claims
	const sent = 3 * Window
	for seq := uint64(1); seq <= sent; seq++ {
		if claim, won := c.recall(seq); claim != Recalled || !won {
			t.Fatalf("seq %d was not recalled: %v", seq, claim)
		}
	}
	for seq := uint64(1); seq <= sent; seq++ {
		if c.claim(seq) {
			t.Errorf("seq %d was recalled, and claimed", seq)
		}
	}
	if !c.claim(sent + 1) {
		t.Error("the next one can't be claimed")
	}
}

func TestAWholeWindowCanBeRecalledUnread(t *testing.T) {
	var c claims
	for seq := uint64(1); seq <= Window; seq++ {
		if claim, won := c.recall(seq); claim != Recalled || !won {
			t.Fatalf("seq %d: %v %v", seq, claim, won)
		}
	}
	for seq := uint64(1); seq <= Window; seq++ {
		if c.claim(seq) {
			t.Fatalf("seq %d was recalled and then claimed", seq)
		}
	}
}

func TestAShutGateTellsWhenTheLastHasLeft(t *testing.T) {
	var g gate
	for range 2 {
		if !g.enter() {
			t.Fatal("an open gate let nobody in")
		}
	}
	empty := g.close()
	if g.enter() {
		t.Fatal("a shut gate let somebody in")
	}
	g.leave(1)
	select {
	case <-empty:
		t.Fatal("one is still inside")
	default:
	}
	g.leave(1)
	<-empty
	<-g.close()
}
