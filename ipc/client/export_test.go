package client

import "time"

// Hurry has the Maps of c try again soon where the daemon has no room.
func Hurry(c *Client) { c.room.least = time.Millisecond }

// Later has it be later by d for what c knows of its daemon.
func Later(c *Client, d time.Duration) {
	c.presence.mu.Lock()
	defer c.presence.mu.Unlock()
	now := c.presence.now
	c.presence.now = func() time.Time { return now().Add(d) }
}

// IsThere reports whether c has heard its daemon, and has not lost it since.
func IsThere(c *Client) bool {
	c.presence.mu.Lock()
	defer c.presence.mu.Unlock()
	return !c.presence.since.IsZero()
}

// TakesTasks reports whether the Stream that c has takes tasks, as far as is known.
func TakesTasks(c *Client) bool {
	s, err := c.shared.current()
	return s != nil && err == nil
}
