package python

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"cpulb/daemon/task"
)

// docs/scripts.md has a table of values; every row of it is tried.
func TestValuesAreWrittenAsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/scripts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| Python | JSON |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := regexp.MustCompile("(?m)^\\| `(.+)` \\| (?:`(.+)`|error: (.+)) \\|$").FindAllStringSubmatch(table, -1)
	if len(rows) < 20 || len(rows) != strings.Count(table, "\n") {
		t.Fatalf("%d rows of %d could be read", len(rows), strings.Count(table, "\n"))
	}
	s := openTestSlot(t)
	for _, row := range rows {
		expression, err := json.Marshal(row[1])
		if err != nil {
			t.Fatal(err)
		}
		o := s.run(script("evaluates_an_expression.py"), string(expression))
		if row[2] != "" {
			wantData(t, o, row[2])
		} else if e := wantError(t, o, task.Failed, "bad_return_value"); !strings.Contains(e.Message, row[3]) {
			t.Errorf("%s: %s, documented as %s", row[1], e.Message, row[3])
		}
	}
}
