package ipc

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"cpulb/internal/share"
)

// asking reads text and calls ask while it is read.
type asking struct {
	io.Reader
	ask func()
}

func (a asking) Read(p []byte) (int, error) {
	a.ask()
	return a.Reader.Read(p)
}

func TestNobodyKeepsATurnWhileItWaits(t *testing.T) {
	pool, other := share.NewPool(1), share.Caller{UID: 2}
	free := func() bool {
		got := pool.Take(other, 1)
		if got {
			pool.Give(other.UID, 1)
		}
		return got
	}
	text := strings.NewReader(strings.Repeat("x", 100))
	r := byTurns{Reader: asking{text, func() {
		if !free() {
			t.Error("the turn is kept while a body is read")
		}
	}}, turn: &turn{pool: pool, caller: share.Caller{UID: 1}}, ctx: t.Context()}
	for err := error(nil); err == nil; {
		if _, err = r.Read(make([]byte, 10)); err == nil && free() {
			t.Fatal("what has been read is not looked through in a turn")
		}
	}
	if !free() {
		t.Error("the turn is kept at the body's end")
	}

	room := share.NewPool(10)
	h := &hold{pool: room, caller: share.Caller{UID: 1}, turn: r.turn}
	if err := h.turn.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	room.Force(other, 10)
	if err := h.wait(gone, 1); !errors.Is(err, context.Canceled) || !free() {
		t.Errorf("the turn is kept while room is waited for (%v)", err)
	}
}

func TestALineTakesATurnIfItIsLongOrOneOfMany(t *testing.T) {
	st := &stream{turn: streamTurn{turn: turn{pool: share.NewPool(1)}}}
	for _, x := range []struct {
		read, length int
		takes        bool
	}{{100, 100, false}, {shortText, shortText + 1, true}, {shortText + 1, 100, true}, {100, 100, false}} {
		if _, err := (streamReader{strings.NewReader(strings.Repeat("x", x.read)), st}).Read(make([]byte, 2*shortText)); err != nil || st.turn.has {
			t.Fatalf("%v, and the turn is kept while lines are read: %v", err, st.turn.has)
		}
		if !st.takeTurn(x.length) || st.turn.has != x.takes {
			t.Errorf("a line of %d bytes of %d takes a turn: %v", x.length, x.read, st.turn.has)
		}
	}
}
