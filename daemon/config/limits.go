package config

import (
	"errors"
	"strconv"
	"strings"

	"cpulb/plugins/supervisor"

	"github.com/zclconf/go-cty/cty"
)

// setBound is setTotal for what may also be without a bound, 0.
func setBound(to *int64) func(cty.Value) error {
	return func(v cty.Value) error {
		if n, ok := asInt(v); ok && n == 0 {
			*to = 0
			return nil
		}
		if err := setTotal(to)(v); err != nil {
			return errors.New(err.Error() + ", or 0 for no bound")
		}
		return nil
	}
}

// setIOPriority takes a class as ionice(1) names it, with a level where it has one.
func setIOPriority(to *supervisor.IOPriority) func(cty.Value) error {
	return func(v cty.Value) error {
		bad := errors.New(`must be "none", "idle", or "best-effort" or "realtime" with a level from 0 (first) to 7, as in "best-effort:6"`)
		s, err := asString(v)
		if err != nil {
			return bad
		}
		switch s {
		case "none":
			*to = supervisor.IOPriority{}
			return nil
		case "idle":
			*to = supervisor.IOPriority{Class: supervisor.IOIdle}
			return nil
		}
		class, level, _ := strings.Cut(s, ":")
		n, err := strconv.Atoi(level)
		known := map[string]supervisor.IOClass{"best-effort": supervisor.IOBestEffort, "realtime": supervisor.IORealtime}[class]
		if err != nil || known == 0 || n < 0 || n > 7 {
			return bad
		}
		*to = supervisor.IOPriority{Class: known, Level: n}
		return nil
	}
}
