package task

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unique"
)

// kind is what fields of one type have in common: their JSON, read and written,
// and what counts as absent and as the same.
type kind[V any] struct {
	read   func(s *scanner, name string) (V, error)
	write  func(b []byte, v V) []byte
	absent func(v V) bool
	same   func(v, w V) bool
}

func equal[V comparable](v, w V) bool { return v == w }

func isZero[V comparable](v V) bool {
	var zero V
	return v == zero
}

func never[V any](V) bool { return false }

// jsonText is a value that is not decoded.
type jsonText json.RawMessage

var (
	texts = kind[string]{readText, appendText, isZero[string], equal[string]}
	// sharedTexts are the same in many tasks, and held once for all of them.
	sharedTexts = kind[string]{readShared, appendText, isZero[string], equal[string]}
	// filledTexts must not be empty: an empty key is most likely a caller's unset
	// variable.
	filledTexts = kind[string]{readFilled, appendText, isZero[string], equal[string]}
	functions   = kind[string]{readShared, appendText, never[string], equal[string]}
	types       = kind[Type]{readType, func(b []byte, v Type) []byte { return appendText(b, string(v)) }, never[Type], equal[Type]}
	ids         = kind[ID]{readID, AppendID, never[ID], equal[ID]}
	anyJSON     = kind[jsonText]{readAny, appendAny, never[jsonText], sameJSON}
	durations   = kind[Duration]{readDuration, appendDuration, isZero[Duration], equal[Duration]}
	// lasting durations are above zero, since zero stands for their absence.
	lasting  = kind[Duration]{readLasting, appendDuration, isZero[Duration], equal[Duration]}
	times    = kind[time.Time]{readTime, AppendTime, time.Time.IsZero, time.Time.Equal}
	switches = kind[*bool]{readSwitch, func(b []byte, v *bool) []byte { return strconv.AppendBool(b, *v) }, isZero[*bool], sameSwitch}
)

// objects are objects of strings, of most members.
func objects(most int) kind[map[string]string] {
	read := func(s *scanner, name string) (map[string]string, error) { return readObject(s, name, most) }
	return kind[map[string]string]{read, appendObject, func(v map[string]string) bool { return len(v) == 0 },
		maps.Equal[map[string]string, map[string]string]}
}

// wholes are whole numbers; zero counts as absent unless it means something.
func wholes(zeroMeans bool) kind[int] {
	k := kind[int]{readWhole, func(b []byte, v int) []byte { return strconv.AppendInt(b, int64(v), 10) }, isZero[int], equal[int]}
	if zeroMeans {
		k.absent = never[int]
	}
	return k
}

// wrongKind is the error for a value of another kind than wanted. If the value is not
// JSON at all, it reports that instead.
func (s *scanner) wrongKind(name, wanted string) error {
	found := s.found()
	if _, err := s.value(); err != nil {
		return err
	}
	return &FieldError{Field: name, Problem: "must be " + wanted + ", not " + found}
}

// readQuoted reads a string; the result may be part of the text read.
func readQuoted(s *scanner, name string) ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.wrongKind(name, "a string")
	}
	v, err := s.str()
	if err == nil && !utf8.Valid(v) {
		return nil, errNotText(name)
	}
	return v, err
}

// errNotText is the error for a value that is JSON's, but not Unicode's: it would come out
// as another one, the same for different values.
func errNotText(name string) error {
	return &FieldError{Field: name, Problem: `is not text: a half of a surrogate pair, such as \ud800, stands alone, or it is not UTF-8`}
}

func readText(s *scanner, name string) (string, error) {
	v, err := readQuoted(s, name)
	return string(v), err
}

func readFilled(s *scanner, name string) (string, error) {
	v, err := readText(s, name)
	if err == nil && v == "" {
		err = &FieldError{Field: name, Problem: "is empty; leave it out instead"}
	}
	return v, err
}

func readShared(s *scanner, name string) (string, error) {
	v, err := readQuoted(s, name)
	switch {
	case err != nil || len(v) == 0:
		return "", err
	case string(v) == DefaultFunction:
		return DefaultFunction, nil
	}
	return unique.Make(string(v)).Value(), nil
}

func readType(s *scanner, name string) (Type, error) {
	v, err := readQuoted(s, name)
	switch {
	case string(v) == string(CPUBound):
		return CPUBound, err
	case string(v) == string(IOBound):
		return IOBound, err
	}
	return Type(v), err
}

func readID(s *scanner, name string) (ID, error) {
	v, err := readQuoted(s, name)
	if err != nil {
		return ID{}, err
	}
	id, err := parseID(v)
	if err == nil && id == (ID{}) {
		err = errNilID() // or it would count as absent
	}
	return id, err
}

func readAny(s *scanner, name string) (jsonText, error) {
	s.huge = nil
	v, err := s.value()
	if err == nil && s.huge != nil {
		err = &FieldError{Field: name, Problem: fmt.Sprintf("%s at byte %d is more than a float holds; send it as a string", clip(string(s.huge)), s.hugeAt)}
	}
	if s.taken && len(v) > cap(s.text)/8*7 {
		return v[:len(v):len(v)], err
	}
	return bytes.Clone(v), err
}

func readWhole(s *scanner, name string) (int, error) {
	const wanted = "a whole number"
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		return 0, s.wrongKind(name, wanted)
	}
	text, err := s.value()
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return 0, &FieldError{Field: name, Problem: fmt.Sprintf("%s is not %s, or out of range", clip(string(text)), wanted)}
	}
	return n, nil
}

func readSwitch(s *scanner, name string) (*bool, error) {
	c := s.peek()
	if c != 't' && c != 'f' {
		return nil, s.wrongKind(name, "true or false")
	}
	v := c == 't'
	return &v, s.word(strconv.FormatBool(v))
}

func readDuration(s *scanner, name string) (d Duration, err error) {
	if s.peek() != '"' {
		return 0, s.wrongKind(name, `a duration string such as "30s"`)
	}
	v, err := readQuoted(s, name)
	if err != nil {
		return 0, err
	}
	if err := d.UnmarshalText(v); err != nil {
		return 0, &FieldError{Field: name, Problem: err.Error()}
	}
	return d, nil
}

func readLasting(s *scanner, name string) (Duration, error) {
	d, err := readDuration(s, name)
	if err == nil && d <= 0 {
		err = &FieldError{Field: name, Problem: "must be above zero; leave it out instead"}
	}
	return d, err
}

func readTime(s *scanner, name string) (time.Time, error) {
	v, err := readQuoted(s, name)
	if err != nil {
		return time.Time{}, err
	}
	when, err := time.Parse(time.RFC3339, string(v))
	if err != nil {
		return time.Time{}, &FieldError{Field: name,
			Problem: fmt.Sprintf(`%q is not a time as RFC 3339 writes it, such as "2026-01-02T15:04:05Z"`, clip(string(v)))}
	}
	if when.Year() < 1970 { // which also keeps the zero Time free to mean absent
		return time.Time{}, &FieldError{Field: name, Problem: "is before 1970"}
	}
	return when.UTC(), nil
}

func readObject(s *scanner, name string, most int) (map[string]string, error) {
	if s.peek() != '{' {
		return nil, s.wrongKind(name, "an object of strings")
	}
	all := map[string]string{}
	err := s.members(func(key []byte) error {
		k := string(key)
		if !utf8.ValidString(k) {
			return errNotText(name)
		}
		if _, twice := all[k]; twice {
			return &FieldError{Field: name, Problem: fmt.Sprintf("has %q twice", clip(k))}
		}
		if len(all) == most {
			return errTooMany(name, most)
		}
		v, err := readText(s, name)
		all[k] = v
		return err
	})
	return all, err
}

// errTooMany is the error for an object with more members than most.
func errTooMany(name string, most int) error {
	return &FieldError{Field: name, Problem: fmt.Sprintf("are too many, at most %d are allowed", most)}
}

func appendAny(b []byte, v jsonText) []byte {
	if len(v) == 0 {
		return append(b, defaultParams...)
	}
	return append(b, v...)
}

func sameJSON(v, w jsonText) bool { return SameParams(json.RawMessage(v), json.RawMessage(w)) }

func appendDuration(b []byte, d Duration) []byte { return appendText(b, d.String()) }

func sameSwitch(v, w *bool) bool { return v == w || v != nil && w != nil && *v == *w }

// appendObject writes the names in order, so that equal objects have equal text.
func appendObject(b []byte, all map[string]string) []byte {
	b = append(b, '{')
	for i, k := range slices.Sorted(maps.Keys(all)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, k), ':')
		b = appendText(b, all[k])
	}
	return append(b, '}')
}

// appendText writes v as a JSON string. What is not UTF-8 is left as it is: whoever reads
// it refuses it.
func appendText(b []byte, v string) []byte {
	b = append(b, '"')
	written := 0
	for i := range len(v) {
		c := v[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, v[written:i]...)
		if written = i + 1; c < ' ' {
			b = fmt.Appendf(b, `\u%04x`, c)
		} else {
			b = append(b, '\\', c)
		}
	}
	b = append(b, v[written:]...)
	return append(b, '"')
}

// clip shortens a caller's text for an error message, which is text.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
