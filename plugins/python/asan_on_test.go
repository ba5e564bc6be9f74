//go:build asan

package python

// asanEnabled: the sanitizer keeps a shadow of all memory, in terabytes of addresses, and
// for a while what has been freed.
const asanEnabled = true
