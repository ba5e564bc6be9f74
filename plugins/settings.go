package plugins

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins/proto"
)

// Form is how a configuration writes a value, before it is known which kind of setting the
// executor makes of it.
type Form int

// The forms of values.
const (
	TextForm Form = iota + 1
	NumberForm
	BooleanForm
	ListForm
	MapForm
)

// Given is what a configuration has for a setting.
type Given struct {
	// Where is its block, as `pool "cpu"`, and Key its key there, as "settings.colour".
	Where, Key string
	Form       Form
	// Text is the value: a number in decimal, "true" or "false", a JSON array or object of strings.
	Text string
}

// Settle checks what is given, by the names of settings, against those that the executor
// has, and returns it as Configure takes it. where is the block that is to blame for what is
// missing. The error matches ErrBadSetting and has all that is wrong.
func (d *Description) Settle(where string, given map[string]Given) (map[string]string, error) {
	settled := map[string]string{}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		g := given[name]
		i := slices.IndexFunc(d.Settings, func(s Setting) bool { return s.Name == name })
		if i < 0 {
			wrong = append(wrong, fmt.Errorf("%w: %s: %s: the executor %s has no such setting (allowed: %s)", ErrBadSetting, g.Where, g.Key, d.Name, d.settingNames()))
			continue
		}
		text, err := d.Settings[i].settle(&g)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%w: %s: %s: %w", ErrBadSetting, g.Where, g.Key, err))
			continue
		}
		settled[name] = text
	}
	for _, s := range d.Settings {
		if _, ok := given[s.Name]; s.Required && !ok {
			wrong = append(wrong, fmt.Errorf("%w: %s: settings.%s: the executor %s requires it: %s", ErrBadSetting, where, s.Name, d.Name, s.Description))
		}
	}
	return settled, errors.Join(wrong...)
}

func (d *Description) settingNames() string {
	if len(d.Settings) == 0 {
		return "none"
	}
	var names []string
	for _, s := range d.Settings {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// settle returns the text of a value of the setting's kind.
func (s *Setting) settle(g *Given) (string, error) {
	form, want := s.Kind.written()
	switch {
	case form == 0:
		return "", fmt.Errorf("the executor takes a kind of value that this daemon does not know, %d", s.Kind)
	case g.Form != form && !(s.Kind == BytesSetting && g.Form == NumberForm):
		return "", fmt.Errorf("must be %s", want)
	}
	text := g.Text
	switch s.Kind {
	case IntegerSetting:
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return "", fmt.Errorf("%.64q must be %s", text, want)
		}
	case DurationSetting:
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return "", fmt.Errorf("%.64q must be %s", text, want)
		}
		text = d.String()
	case BytesSetting:
		n, ok := ParseBytes(text)
		if !ok {
			return "", fmt.Errorf("%.64q must be %s", text, want)
		}
		text = strconv.FormatInt(n, 10)
	}
	values := []string{text}
	if s.Kind == ListSetting {
		_ = json.Unmarshal([]byte(text), &values) // it is one
	}
	for _, v := range values {
		if len(s.Allowed) > 0 && s.Kind != MapSetting && !slices.Contains(s.Allowed, v) {
			return "", fmt.Errorf("%.64q is not one of: %s", v, strings.Join(s.Allowed, ", "))
		}
	}
	return text, nil
}

// written says how a value of the kind is written; the form is 0 for an unknown kind.
func (k SettingKind) written() (Form, string) {
	switch k {
	case StringSetting:
		return TextForm, "a string"
	case IntegerSetting:
		return NumberForm, "a whole number"
	case BooleanSetting:
		return BooleanForm, "true or false"
	case DurationSetting:
		return TextForm, `a duration such as "500ms", "30s" or "1h30m"`
	case BytesSetting:
		return TextForm, `a number of bytes or a size such as "64KiB", "128MiB" or "1GiB"`
	case ListSetting:
		return ListForm, "a list of strings"
	case MapSetting:
		return MapForm, "an object of strings"
	}
	return 0, ""
}

// String returns the kind's name.
func (k SettingKind) String() string {
	names := map[SettingKind]string{StringSetting: "string", IntegerSetting: "integer", BooleanSetting: "boolean", DurationSetting: "duration",
		BytesSetting: "bytes", ListSetting: "list", MapSetting: "map"}
	if name, ok := names[k]; ok {
		return name
	}
	return "unknown"
}

// ParseBytes reads a number of bytes, alone or with a binary unit.
func ParseBytes(s string) (int64, bool) {
	shift := 0
	for unit, bits := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if digits, ok := strings.CutSuffix(s, unit); ok {
			s, shift = digits, bits
			break
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > math.MaxInt64>>shift {
		return 0, false
	}
	return int64(n) << shift, true
}

// mostSettings bounds how many settings an executor can have.
const mostSettings = 256

func settingsOf(all []Setting) []*proto.Setting {
	var some []*proto.Setting
	for _, s := range all {
		some = append(some, &proto.Setting{Name: s.Name, Kind: proto.SettingKind(s.Kind), Description: s.Description, Default: s.Default,
			Required: s.Required, Allowed: s.Allowed})
	}
	return some
}

// described is settingsOf's inverse, for what a worker says.
func described(all []*proto.Setting) ([]Setting, error) {
	if len(all) > mostSettings {
		return nil, fmt.Errorf("the executor lists %d settings, more than %d", len(all), mostSettings)
	}
	var some []Setting
	for _, s := range all {
		if !isSettingName(s.GetName()) {
			return nil, fmt.Errorf("the executor lists a setting %.64q; a name is lower-case letters, digits and underscores", s.GetName())
		}
		allowed := make([]string, 0, len(s.Allowed))
		for _, v := range s.Allowed {
			allowed = append(allowed, task.Clip(v, mostName))
		}
		some = append(some, Setting{Name: s.Name, Kind: SettingKind(s.Kind), Description: task.Clip(s.Description, mostReason),
			Default: task.Clip(s.Default, mostName), Required: s.Required, Allowed: allowed})
	}
	return some, nil
}

func isSettingName(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
