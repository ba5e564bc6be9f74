package plugins_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"cpulb/plugins"
)

func schema() plugins.Description {
	return plugins.Description{Name: "node", Settings: []plugins.Setting{
		{Name: "text", Kind: plugins.StringSetting},
		{Name: "mode", Kind: plugins.StringSetting, Allowed: []string{"fast", "slow"}},
		{Name: "count", Kind: plugins.IntegerSetting},
		{Name: "on", Kind: plugins.BooleanSetting},
		{Name: "wait", Kind: plugins.DurationSetting},
		{Name: "size", Kind: plugins.BytesSetting},
		{Name: "list", Kind: plugins.ListSetting},
		{Name: "some", Kind: plugins.ListSetting, Allowed: []string{"a", "b"}},
		{Name: "map", Kind: plugins.MapSetting},
		{Name: "newer", Kind: 99},
	}}
}

func given(name string, form plugins.Form, text string) map[string]plugins.Given {
	return map[string]plugins.Given{name: {Where: `pool "p"`, Key: "settings." + name, Form: form, Text: text}}
}

func TestAValueReachesTheExecutorAsItsKindIsWritten(t *testing.T) {
	d := schema()
	for _, c := range []struct {
		name string
		form plugins.Form
		text string
		want string
	}{
		{"text", plugins.TextForm, " as it is\n", " as it is\n"},
		{"mode", plugins.TextForm, "slow", "slow"},
		{"count", plugins.NumberForm, "-7", "-7"},
		{"on", plugins.BooleanForm, "false", "false"},
		{"wait", plugins.TextForm, "90s", "1m30s"},
		{"size", plugins.TextForm, "64MiB", "67108864"},
		{"size", plugins.NumberForm, "1000", "1000"},
		{"list", plugins.ListForm, `["a","b c"]`, `["a","b c"]`},
		{"some", plugins.ListForm, `["b"]`, `["b"]`},
		{"map", plugins.MapForm, `{"a":"b"}`, `{"a":"b"}`},
	} {
		got, err := d.Settle(`pool "p"`, given(c.name, c.form, c.text))
		if err != nil || !maps.Equal(got, map[string]string{c.name: c.want}) {
			t.Errorf("%s = %s: %q %v", c.name, c.text, got, err)
		}
	}
}

func TestABadValueIsRefusedWithItsPlaceAndWhatIsAllowed(t *testing.T) {
	d := schema()
	for _, c := range []struct {
		name string
		form plugins.Form
		text string
		want string
	}{
		{"colour", plugins.TextForm, "red", "the executor node has no such setting (allowed: text, mode, count, on, wait, size, list, some, map, newer)"},
		{"text", plugins.NumberForm, "1", "must be a string"},
		{"mode", plugins.TextForm, "none", `"none" is not one of: fast, slow`},
		{"count", plugins.TextForm, "1", "must be a whole number"},
		{"count", plugins.NumberForm, "1.5", `"1.5" must be a whole number`},
		{"on", plugins.TextForm, "true", "must be true or false"},
		{"wait", plugins.NumberForm, "1", "must be a duration such as"},
		{"wait", plugins.TextForm, "-1s", `"-1s" must be a duration such as`},
		{"size", plugins.TextForm, "many", `"many" must be a number of bytes or a size such as`},
		{"size", plugins.NumberForm, "-1", `"-1" must be a number of bytes`},
		{"size", plugins.TextForm, "9999999999999GiB", `"9999999999999GiB" must be a number of bytes`},
		{"list", plugins.TextForm, "a", "must be a list of strings"},
		{"some", plugins.ListForm, `["a","c"]`, `"c" is not one of: a, b`},
		{"map", plugins.ListForm, `[]`, "must be an object of strings"},
		{"newer", plugins.TextForm, "x", "the executor takes a kind of value that this daemon does not know, 99"},
	} {
		_, err := d.Settle(`pool "p"`, given(c.name, c.form, c.text))
		if place := `pool "p": settings.` + c.name + ": "; !errors.Is(err, plugins.ErrBadSetting) || !strings.Contains(err.Error(), place+c.want) {
			t.Errorf("%s = %s: %v", c.name, c.text, err)
		}
	}
}

func TestAnExecutorWithoutSettingsTakesNone(t *testing.T) {
	d := plugins.Description{Name: "exec"}
	venv := map[string]plugins.Given{"venv": {Where: `executor "x"`, Key: "venv", Form: plugins.TextForm, Text: "/v"}}
	if _, err := d.Settle(`pool "p"`, venv); err == nil || err.Error() != `bad setting: executor "x": venv: the executor exec has no such setting (allowed: none)` {
		t.Error(err)
	}
	if got, err := d.Settle(`pool "p"`, nil); err != nil || len(got) != 0 {
		t.Errorf("%q %v", got, err)
	}
}

func TestWhatAnExecutorRequiresIsMissed(t *testing.T) {
	d := schema()
	d.Settings = append(d.Settings, plugins.Setting{Name: "root", Kind: plugins.StringSetting, Required: true, Description: "where the modules are"})
	_, err := d.Settle(`pool "p"`, given("count", plugins.TextForm, "x"))
	for _, want := range []string{`pool "p": settings.root: the executor node requires it: where the modules are`, "settings.count: must be a whole number"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
