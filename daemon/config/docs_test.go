package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"
)

// The table in the documentation has each key that a file may set, in the order
// of the decoder's tables, and none that it may not.
func TestDocumentationListsExactlyTheKeysOfAFile(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, taken []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z]+\\.[a-z0-9_]+)` \\|").FindAllSubmatch(page, -1) {
		documented = append(documented, string(row[1]))
	}
	for _, b := range newDecoder("").blocks() {
		for _, k := range b.keys("x") {
			taken = append(taken, b.name+"."+k.name)
		}
	}
	if !slices.Equal(documented, taken) {
		t.Errorf("docs/configuration.md has\n%q\na file may set\n%q", documented, taken)
	}
}

// A default in the table is what a file that sets the key to it means, too.
func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	const executor = "executor \"python\" {\n  command = \"cpulb-python\"\n"
	const pool = "pool \"p\" {\n  executor = \"python\"\n  task_types = [\"cpu_bound\"]\n"
	const schedule = "schedule \"s\" {\n  cron = \"@daily\"\n  script_path = \"/x.py\"\n"
	rows := regexp.MustCompile("(?m)^\\| `([a-z]+)\\.([a-z0-9_]+)` \\| `(.*?)` \\|").FindAllSubmatch(page, -1)
	for _, row := range rows {
		block, key, value := string(row[1]), string(row[2]), string(row[3])
		open := block + " {\n"
		switch block {
		case "executor":
			open = executor
		case "pool":
			open = pool
		case "schedule":
			open = schedule
		}
		without, err := decode("without.hcl", []byte(open+"}"))
		if err != nil {
			t.Fatal(err)
		}
		with, err := decode("with.hcl", []byte(open+key+" = "+value+"\n}"))
		if err != nil || !reflect.DeepEqual(placeless(with), placeless(without)) {
			t.Errorf("%s.%s = %s is not the default: %v", block, key, value, err)
		}
	}
	if len(rows) < 20 {
		t.Errorf("found only %d defaults in the table", len(rows))
	}
}
