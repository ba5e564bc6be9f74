//go:build !asan

package python

const asanEnabled = false
