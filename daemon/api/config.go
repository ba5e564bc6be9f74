package api

import "encoding/json"

// Configuration is what holds in a daemon: what its file said when it was last read, with the
// daemon's flags, and the defaults of what the file leaves out.
type Configuration struct {
	// Text is a file that says the same.
	Text string `json:"text"`
	// Blocks are the same as an object of blocks; those with a name are in an object by it.
	Blocks json.RawMessage `json:"blocks"`
}
