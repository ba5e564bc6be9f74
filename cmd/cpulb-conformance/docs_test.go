package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"cpulb/plugins/conformance"
)

// docs/plugins.md has the report of each executor, in one table: a row for each promise.
func TestTheDocumentHasEveryPromise(t *testing.T) {
	page, err := os.ReadFile("../../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "<!-- promises -->\n")
	table, _, _ = strings.Cut(table, "<!-- /promises -->")
	var rows, promises []string
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| ") && cells[0] != "| promise" {
			rows = append(rows, strings.TrimPrefix(cells[0], "| "))
		}
	}
	for _, p := range conformance.Promises() {
		promises = append(promises, conformance.Sentence(p.Name))
	}
	if !slices.Equal(rows, promises) {
		t.Errorf("docs/plugins.md has\n%q\nthe contract\n%q", rows, promises)
	}
	if strings.Contains(table, "**broken**") {
		t.Error("docs/plugins.md has a broken promise")
	}
	for _, b := range conformance.Behaviours() {
		if strings.ContainsAny(b.Does, "\n\t") {
			t.Errorf("%s is described on several lines", b.Behaviour)
		}
	}
}
