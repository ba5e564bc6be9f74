//go:build race

package python

// raceEnabled: the detector keeps a shadow of all memory.
const raceEnabled = true
