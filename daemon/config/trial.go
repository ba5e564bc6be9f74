package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"cpulb/daemon/task"

	"github.com/zclconf/go-cty/cty"
)

const (
	// MostCanary is the largest Trial.Canary: as many tasks have to be left to compare with.
	MostCanary = 0.5
	// DefaultCanaryFor is Trial.CanaryFor where nothing says how long, MostCanaryFor the
	// longest.
	DefaultCanaryFor = time.Minute
	MostCanaryFor    = time.Duration(task.MaxDuration)
	// DefaultProbeTimeout is a probe's timeout where it has none.
	DefaultProbeTimeout = 10 * time.Second
)

// ParseShare reads a share of the tasks, "10%".
func ParseShare(text string) (float64, error) {
	number, ok := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(n >= 0 && n <= 100*MostCanary) {
		return 0, fmt.Errorf("%.64q must be a share of the tasks such as \"10%%\", at most \"%g%%\"", text, 100*MostCanary)
	}
	return n / 100, nil
}

// CheckCanaryFor returns what is wrong with a Trial.CanaryFor.
func CheckCanaryFor(d time.Duration) error {
	if d <= 0 || d > MostCanaryFor {
		return fmt.Errorf("%s must be more than 0 and at most %s", d, MostCanaryFor)
	}
	return nil
}

// probeFields are the fields of a task that a probe has.
func probeFields() []string {
	return []string{"script_path", "source", "function", "params", "timeout"}
}

// DecodeProbe reads a probe, which is some fields of a task, as JSON.
func DecodeProbe(text []byte) (*task.Task, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil || fields == nil {
		return nil, errors.New("must be an object with some of: " + strings.Join(probeFields(), ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(probeFields(), name) {
			return nil, fmt.Errorf("has no field %.64q (allowed: %s)", name, strings.Join(probeFields(), ", "))
		}
	}
	t, err := task.Decode(text)
	if err != nil {
		return nil, err
	}
	if t.Timeout == 0 {
		t.Timeout = task.Duration(DefaultProbeTimeout)
	}
	return t, nil
}

func trialKeys(c *Trial) []keyKind {
	c.CanaryFor = DefaultCanaryFor
	return []keyKind{
		{name: "canary", set: func(v cty.Value) (err error) {
			text, err := asString(v)
			if err == nil {
				c.Canary, err = ParseShare(text)
			}
			return err
		}},
		{name: "canary_for", set: func(v cty.Value) error {
			var d time.Duration
			err := setDuration(&d, true)(v)
			if err == nil {
				err = CheckCanaryFor(d)
			}
			c.CanaryFor = d
			return err
		}},
		{name: "probe", set: func(v cty.Value) error {
			text, err := asJSON(v)
			if err == nil {
				c.Probe, err = DecodeProbe(text)
			}
			return err
		}},
	}
}
