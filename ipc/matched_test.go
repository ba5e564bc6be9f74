package ipc

import (
	"errors"
	"testing"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
)

// What a client decides by errors.Is is what the daemon meant.
func TestAProblemMatchesTheErrorThatItStandsFor(t *testing.T) {
	for _, k := range kinds() {
		if k.sentinel == nil || k.sentinel == access.ErrDenied || k.sentinel == api.ErrBadCursor { // which are of the daemon's side alone
			continue
		}
		if p := (&api.Problem{Code: k.code}); !errors.Is(p, k.sentinel) {
			t.Errorf("%s does not match %q", k.code, k.sentinel)
		}
		if p := (&api.Problem{Code: codeInternal}); errors.Is(p, k.sentinel) {
			t.Errorf("%s matches %q", codeInternal, k.sentinel)
		}
	}
}
