package plugins

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-plugin"
)

// ErrVersion is matched by the error for an executor that has no version of the protocol in
// common with this daemon.
var ErrVersion = errors.New("no protocol version in common")

// slotProtocol is the version of the data plane. What may change within a version is in
// executor.proto.
const slotProtocol = 1

// pluginSets has the control plane by protocol version: both sides know these, and use the
// highest that they have in common.
func pluginSets(g *glue) map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{1: {PluginName: g}}
}

// Versions lists the versions of the protocol that are known here.
func Versions() []int {
	var all []int
	for v := range pluginSets(nil) {
		all = append(all, v)
	}
	slices.Sort(all)
	return all
}

// CheckVersion returns an error if the protocol version that an executor has chosen is not
// known here.
func CheckVersion(v int) error {
	if slices.Contains(Versions(), v) {
		return nil
	}
	ours := strings.Trim(strings.ReplaceAll(fmt.Sprint(Versions()), " ", ", "), "[]")
	return fmt.Errorf("%w: the executor speaks version %d of the protocol, this daemon %s", ErrVersion, v, ours)
}

// checkSlotProtocol is CheckVersion for the slots.
func checkSlotProtocol(d *Description, v uint32) error {
	if v == slotProtocol {
		return nil
	}
	return fmt.Errorf("%w: the executor %s %s speaks version %d of the slot protocol, this daemon %d", ErrVersion, d.Name, d.Version, v, slotProtocol)
}
