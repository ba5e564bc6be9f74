package config

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"

	"github.com/zclconf/go-cty/cty"
)

// Each function here makes the setter of one kind of value: it stores through
// its pointer, or leaves it alone and says what is allowed.

var errNotString = errors.New("must be a string")

func asString(v cty.Value) (string, error) {
	if v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
		return "", errNotString
	}
	return v.AsString(), nil
}

// asInt returns a whole number; cty numbers are arbitrarily large and exact.
func asInt(v cty.Value) (int64, bool) {
	if v.IsNull() || !v.IsKnown() || v.Type() != cty.Number {
		return 0, false
	}
	n, accuracy := v.AsBigFloat().Int64()
	return n, accuracy == big.Exact
}

// setText takes a string that valid, if given, has nothing against.
func setText(to *string, valid func(string) error) func(cty.Value) error {
	return func(v cty.Value) error {
		s, err := asString(v)
		if err != nil {
			return err
		}
		if valid != nil {
			if err := valid(s); err != nil {
				return err
			}
		}
		*to = s
		return nil
	}
}

func setOneOf(to *string, allowed ...string) func(cty.Value) error {
	return setText(to, func(s string) error {
		if !slices.Contains(allowed, s) {
			return fmt.Errorf("%.64q is not one of: %s", s, strings.Join(allowed, ", "))
		}
		return nil
	})
}

func setBoolean(to *bool) func(cty.Value) error {
	return func(v cty.Value) error {
		if v.IsNull() || !v.IsKnown() || v.Type() != cty.Bool {
			return errors.New("must be true or false")
		}
		*to = v.True()
		return nil
	}
}

// setCount takes a whole number from low to high.
func setCount(to *int, low, high int) func(cty.Value) error {
	return func(v cty.Value) error {
		n, ok := asInt(v)
		if !ok || n < int64(low) || n > int64(high) {
			return fmt.Errorf("must be a whole number from %d to %d", low, high)
		}
		*to = int(n)
		return nil
	}
}

// setDuration takes a duration. One that is longer than a task's may be counts as that, so
// that it can be added to others, and to a time, without an overflow.
func setDuration(to *time.Duration, positive bool) func(cty.Value) error {
	allowed := `must be a duration such as "500ms", "30s" or "1h30m", not negative`
	if positive {
		allowed = `must be a duration above zero such as "500ms", "30s" or "1h30m"`
	}
	return func(v cty.Value) error {
		s, err := asString(v)
		if err != nil {
			return errors.New(allowed)
		}
		n, err := time.ParseDuration(s)
		if err != nil || n < 0 || positive && n == 0 {
			return fmt.Errorf("%.64q %s", s, allowed)
		}
		*to = min(n, time.Duration(task.MaxDuration))
		return nil
	}
}

// longestWindow is how long a pool's window may be.
const longestWindow = time.Second

// setWindow takes the window of a pool.
func setWindow(to *time.Duration) func(cty.Value) error {
	const allowed = `must be a duration from "0s" to "1s" such as "1ms"`
	return func(v cty.Value) error {
		s, err := asString(v)
		if err != nil {
			return errors.New(allowed)
		}
		n, err := time.ParseDuration(s)
		if err != nil || n < 0 || n > longestWindow {
			return fmt.Errorf("%.64q %s", s, allowed)
		}
		*to = n
		return nil
	}
}

// setSize takes a number of bytes, or a string with a binary unit, for one value
// of a task.
func setSize(to *int64) func(cty.Value) error { return setBytes(to, maxSize, "1GiB") }

// setOutput is setSize for what a task prints: it stands in its result as JSON, of which a
// control character takes six bytes.
func setOutput(to *int64) func(cty.Value) error { return setBytes(to, maxOutput, "64MiB") }

// setTotal is setSize for what many values may have together.
func setTotal(to *int64) func(cty.Value) error { return setBytes(to, maxTotal, "1024GiB") }

func setBytes(to *int64, most int64, name string) func(cty.Value) error {
	return func(v cty.Value) error {
		n, ok := asInt(v)
		if s, err := asString(v); err == nil {
			n, ok = parseSize(s)
		}
		if !ok || n < 1 || n > most {
			return fmt.Errorf(`must be a number of bytes or a size such as "64KiB", "128MiB" or "1GiB", from 1 to %q`, name)
		}
		*to = n
		return nil
	}
}

// maxSize is the most that one value of a task may take: it is held in memory,
// in the daemon and in the worker.
const maxSize = 1 << 30

// maxOutput is such that a result of the largest data and the most output can be written
// as one record of the journal's.
const maxOutput = 64 << 20

// maxTotal is beyond what a machine has.
const maxTotal = 1 << 40

func parseSize(s string) (int64, bool) {
	n, ok := plugins.ParseBytes(s)
	return n, ok && n <= maxTotal
}

// setSubset takes a list with at least one of allowed and none twice.
func setSubset(to *[]string, allowed []string) func(cty.Value) error {
	return func(v cty.Value) error {
		list, ok := elements(v)
		var picked []string
		for _, e := range list {
			s, err := asString(e)
			ok = ok && err == nil && slices.Contains(allowed, s) && !slices.Contains(picked, s)
			picked = append(picked, s)
		}
		if !ok || len(picked) == 0 {
			return fmt.Errorf("must be a list, none twice, of: %s", strings.Join(allowed, ", "))
		}
		*to = picked
		return nil
	}
}

// setModules takes a list of dotted names.
func setModules(to *[]string) func(cty.Value) error {
	return func(v cty.Value) error {
		list, ok := elements(v)
		var names []string
		for _, e := range list {
			s, err := asString(e)
			ok = ok && err == nil && s != "" && !strings.ContainsAny(s, " \t\n,;/\x00")
			names = append(names, s)
		}
		if !ok {
			return errors.New(`must be a list of module names such as ["numpy", "xml.etree"]`)
		}
		*to = names
		return nil
	}
}

func elements(v cty.Value) ([]cty.Value, bool) {
	if v.IsNull() || !v.IsKnown() || !v.Type().IsTupleType() && !v.Type().IsListType() && !v.Type().IsSetType() {
		return nil, false
	}
	return v.AsValueSlice(), true
}

// setEnvironment takes an object of strings, the names being possible ones.
func setEnvironment(to *map[string]string) func(cty.Value) error {
	return func(v cty.Value) error {
		if v.IsNull() || !v.IsKnown() || !v.Type().IsObjectType() && !v.Type().IsMapType() {
			return errors.New(`must be an object of strings such as { TZ = "UTC" }`)
		}
		var env map[string]string // stays nil for an empty object
		for name, value := range v.AsValueMap() {
			s, err := asString(value)
			if err != nil || name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(s, 0) {
				return fmt.Errorf(`variable %.64q must have a string as its value, and neither may hold NUL nor the name "="`, name)
			}
			if env == nil {
				env = map[string]string{}
			}
			env[name] = s
		}
		*to = env
		return nil
	}
}

// setCounts takes an object of whole numbers.
func setCounts(to *map[string]int, low, high int) func(cty.Value) error {
	return func(v cty.Value) error {
		if v.IsNull() || !v.IsKnown() || !v.Type().IsObjectType() && !v.Type().IsMapType() {
			return errors.New("must be an object of numbers such as { database = 4 }")
		}
		var counts map[string]int // stays nil for an empty object
		for name, value := range v.AsValueMap() {
			var n int
			if err := setCount(&n, low, high)(value); err != nil {
				return fmt.Errorf("%.64q %w", name, err)
			}
			if counts == nil {
				counts = map[string]int{}
			}
			counts[name] = n
		}
		*to = counts
		return nil
	}
}

// setNames takes a list of the names of users or groups; whether they exist is
// known to the machine on which the daemon starts.
func setNames(to *[]string) func(cty.Value) error {
	return setList(to, `must be a list of names such as ["www-data"]`, func(s string) bool { return s != "" })
}

// setFolders takes a list of absolute paths.
func setFolders(to *[]string) func(cty.Value) error {
	return setList(to, `must be a list of absolute paths such as ["/srv/scripts"]`,
		func(s string) bool { return absolutePath(s) == nil && s != "" })
}

func setList(to *[]string, allowed string, valid func(string) bool) func(cty.Value) error {
	return func(v cty.Value) error {
		list, ok := elements(v)
		var all []string
		for _, e := range list {
			s, err := asString(e)
			ok = ok && err == nil && valid(s)
			all = append(all, s)
		}
		if !ok {
			return errors.New(allowed)
		}
		*to = all
		return nil
	}
}
