package client

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed is returned by calls after Close.
var ErrClosed = errors.New("the client is closed")

// shared is the Stream over which all tasks of a Client go. It is opened when it is needed,
// and another one is when it has ended.
type shared struct {
	// turn is taken by who opens the Stream. Whoever waits for that, and whose context ends,
	// waits no longer; if it was the one who opens, the next one does.
	turn chan struct{}

	mu     sync.Mutex
	stream *Stream
	closed bool
}

func newShared() shared { return shared{turn: make(chan struct{}, 1)} }

// current returns the Stream that is open; nil: there is none.
func (s *shared) current() (*Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.stream != nil && s.stream.takesTasks():
		return s.stream, nil
	}
	return nil, nil
}

// open returns ErrClosed after close.
func (s *shared) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	return nil
}

// set makes stream the current one. One before it, which takes no more tasks, still brings
// its results.
func (s *shared) set(stream *Stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = stream.Close() // nobody uses it
		return ErrClosed
	}
	s.stream = stream
	return nil
}

func (s *shared) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.stream != nil {
		_ = s.stream.Close() // an error: it has ended already
	}
}

// stream returns the Stream for tasks, which it opens if need be.
func (c *Client) stream(ctx context.Context) (*Stream, error) {
	if s, err := c.shared.current(); s != nil || err != nil {
		return s, err
	}
	select {
	case c.shared.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ended(ctx)
	}
	defer func() { <-c.shared.turn }()
	if s, err := c.shared.current(); s != nil || err != nil {
		return s, err
	}
	s, err := c.OpenStream(ctx)
	if err == nil {
		err = c.shared.set(s)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}
