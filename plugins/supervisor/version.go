package supervisor

import (
	"strconv"
	"strings"

	"cpulb/plugins"
)

// checkVersion returns an error if the handshake names a protocol version that is not known
// here. go-plugin says the same, but in an error that can be told from others by its text alone.
func (p *process) checkVersion() error {
	if p == nil {
		return nil
	}
	line := p.handshake.Load()
	if line == nil {
		return nil
	}
	fields := strings.Split(strings.TrimSpace(*line), "|") // go-plugin's own version, the protocol's, network, address, …
	if len(fields) < 4 {
		return nil
	}
	v, err := strconv.Atoi(fields[1])
	if err != nil {
		return nil
	}
	return plugins.CheckVersion(v)
}
