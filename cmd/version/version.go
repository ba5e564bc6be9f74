// Package version identifies the build of a program. All programs of one build have
// the same version.
package version

import "runtime/debug"

// linked is set by the linker in `make build VERSION=…`, for builds from sources
// without their history, and by nothing else.
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
