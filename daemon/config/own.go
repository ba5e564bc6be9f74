package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cpulb/plugins"

	"github.com/zclconf/go-cty/cty"
)

// The settings of an executor are its own: here they are only read, and checked once it
// has said which it has, see plugins.Description.Settle.

// reserved are names that no setting has: they have keys of their own, or come from the pool.
func reserved() map[string]string {
	const pool, key = "it is a key of the pool block", "it has a key of its own"
	return map[string]string{"venv": key, "preload": key, "isolation": pool, "max_tasks": pool, "memory": pool, "cpu_time": pool, "user": pool,
		"private_tmp": pool, "network": pool, "read_only": pool, "system_calls": pool, "script_dirs": "it is a key of the access block"}
}

// setSettings takes an object whose values may differ in form. where is the block.
func setSettings(to *map[string]plugins.Given, where string) func(cty.Value) error {
	return func(v cty.Value) error {
		if v.IsNull() || !v.IsKnown() || !v.Type().IsObjectType() && !v.Type().IsMapType() {
			return errors.New(`must be an object such as { interpreter = "/usr/bin/node" }`)
		}
		var all map[string]plugins.Given // stays nil for an empty object
		values := v.AsValueMap()
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if why, is := reserved()[name]; is {
				return fmt.Errorf("%s must not be here: %s", name, why)
			}
			form, text, ok := written(values[name])
			if !ok {
				return fmt.Errorf("%.64q must be a string, a number, true or false, a list of strings or an object of strings", name)
			}
			if all == nil {
				all = map[string]plugins.Given{}
			}
			all[name] = plugins.Given{Where: where, Key: "settings." + name, Form: form, Text: text}
		}
		*to = all
		return nil
	}
}

// written returns the form and the text of a value; false: a setting can't have it.
func written(v cty.Value) (plugins.Form, string, bool) {
	if v.IsNull() || !v.IsKnown() {
		return 0, "", false
	}
	switch t := v.Type(); {
	case t == cty.String:
		return plugins.TextForm, v.AsString(), !strings.ContainsRune(v.AsString(), 0)
	case t == cty.Bool:
		return plugins.BooleanForm, strconv.FormatBool(v.True()), true
	case t == cty.Number:
		n := v.AsBigFloat()
		if whole, accuracy := n.Int64(); accuracy == 0 {
			return plugins.NumberForm, strconv.FormatInt(whole, 10), true
		}
		return plugins.NumberForm, n.Text('g', 17), true // which no kind takes
	case t.IsObjectType() || t.IsMapType():
		all := map[string]string{}
		for name, value := range v.AsValueMap() {
			s, err := asString(value)
			if err != nil {
				return 0, "", false
			}
			all[name] = s
		}
		return plugins.MapForm, jsonText(all), true
	}
	list, ok := elements(v)
	all := []string{}
	for _, e := range list {
		s, err := asString(e)
		if err != nil {
			return 0, "", false
		}
		all = append(all, s)
	}
	return plugins.ListForm, jsonText(all), ok
}

func jsonText(v any) string {
	text, _ := json.Marshal(v) // strings have no error
	return string(text)
}
