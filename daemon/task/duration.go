package task

import (
	"bytes"
	"fmt"
	"math"
	"time"
)

// MaxDuration bounds every duration of a task. Longer ones are mistakes, and
// adding them to a time must not overflow.
const MaxDuration = Duration(10 * 366 * 24 * time.Hour)

// maxDurationBytes bounds the text of a duration.
const maxDurationBytes = 256

// Duration is a time.Duration that reads and writes Go's notation, "1m30s".
type Duration time.Duration

// Sum returns a + b, or the longest duration there is instead of an overflow.
func Sum(a, b time.Duration) time.Duration {
	if sum := a + b; a <= 0 || b <= 0 || sum >= 0 {
		return sum
	}
	return math.MaxInt64
}

// String returns d in Go's notation.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	if len(text) > maxDurationBytes { // time's error would have all of it, with escapes
		return fmt.Errorf(`%.64q is not a duration such as "30s" or "1m30s": it has more than %d bytes`, text, maxDurationBytes)
	}
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf(`%.64q is not a duration such as "30s" or "1m30s"`, text)
	}
	if v == 0 && bytes.ContainsAny(text, "123456789") { // 0 stands for none
		return fmt.Errorf("%.64q is less than a nanosecond", text)
	}
	*d = Duration(v)
	return nil
}
