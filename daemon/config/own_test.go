package config

import (
	"reflect"
	"testing"

	"cpulb/plugins"
)

const twoOfAnExecutor = `
executor "x" {
  command = "x"
  venv    = "/of/the/executor"
  preload = ["a"]
  settings = {
    text = "a", whole = 3, half = 0.5, on = true, list = ["a", "b"], map = { k = "v" }, replaced = 1
  }
}
pool "one" {
  executor = "x"
  task_types = ["cpu_bound"]
}
pool "two" {
  executor = "x"
  task_types = ["io_bound"]
  venv = "/of/the/pool"
  settings = { replaced = "two", more = [] }
}
`

// What a pool has replaces what its executor has, key by key, and each says where it stands.
func TestSettingsOfAPoolReplaceThoseOfItsExecutor(t *testing.T) {
	c, err := decode("x.hcl", []byte(twoOfAnExecutor))
	if err != nil {
		t.Fatal(err)
	}
	of := func(where, name string, form plugins.Form, text string) plugins.Given {
		key := name
		if name != "venv" && name != "preload" {
			key = "settings." + name
		}
		return plugins.Given{Where: where, Key: key, Form: form, Text: text}
	}
	const x, two = `executor "x"`, `pool "two"`
	common := map[string]plugins.Given{
		"text": of(x, "text", plugins.TextForm, "a"), "whole": of(x, "whole", plugins.NumberForm, "3"), "half": of(x, "half", plugins.NumberForm, "0.5"),
		"on": of(x, "on", plugins.BooleanForm, "true"), "list": of(x, "list", plugins.ListForm, `["a","b"]`), "map": of(x, "map", plugins.MapForm, `{"k":"v"}`),
	}
	for i, own := range []map[string]plugins.Given{
		{"replaced": of(x, "replaced", plugins.NumberForm, "1"), "venv": of(x, "venv", plugins.TextForm, "/of/the/executor"),
			"preload": of(x, "preload", plugins.ListForm, `["a"]`)},
		{"replaced": of(two, "replaced", plugins.TextForm, "two"), "more": of(two, "more", plugins.ListForm, "[]"),
			"venv": of(two, "venv", plugins.TextForm, "/of/the/pool"), "preload": of(x, "preload", plugins.ListForm, `["a"]`)},
	} {
		for name, g := range common {
			own[name] = g
		}
		if got := c.Pools[i].Given(&c.Executors[0]); !reflect.DeepEqual(got, own) {
			t.Errorf("pool %s:\n%+v, want\n%+v", c.Pools[i].Name, got, own)
		}
	}
	if c.Executors[0].Own["replaced"].Text != "1" {
		t.Error("a pool has changed its executor's")
	}
}
