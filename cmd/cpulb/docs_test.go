package main

import (
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func TestThePageOfCommandsHasAllOfThem(t *testing.T) {
	text, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	parser, err := kong.New(&arguments{}, kong.Name("cpulb"), vars())
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(true) {
		path := strings.TrimSuffix(strings.TrimPrefix(leaf.FullPath(), "cpulb "), " list")
		name, _, _ := strings.Cut(path, " <")
		name, _, _ = strings.Cut(name, " (") // its other names
		if !strings.Contains(string(text), "`cpulb "+name) {
			t.Errorf("docs/commands.md lacks cpulb %s", name)
		}
	}
}
