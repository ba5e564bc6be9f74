// Package version tells which build of the source a program is. All programs of
// one build tell the same.
package version

import "runtime/debug"

// linked is what `make build VERSION=…` has the linker put here, for builds from
// sources without their history; nothing else sets it.
var linked string

// Text is the version that was given at the build, else what the Go toolchain
// recorded of the repository: a tag, or the commit's time and hash, with +dirty
// when there were changes. Without either it is "(devel)".
func Text() string {
	if linked != "" {
		return linked
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
