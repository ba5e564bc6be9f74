package client

import "time"

// Hurry has the Maps of c try again soon where the daemon has no room.
func Hurry(c *Client) { c.room.least = time.Millisecond }

// TakesTasks reports whether the Stream that c has takes tasks, as far as is known.
func TakesTasks(c *Client) bool {
	s, err := c.shared.current()
	return s != nil && err == nil
}
