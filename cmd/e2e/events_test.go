package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const values = 100

// yields sends values and then waits to be let go.
const yields = `
import os, time
def main(params, context):
    for n in range(1, 101):
        yield f"value-{n}-{context.attempt}."
    while not os.path.exists(params["until"]):
        time.sleep(0.01)
`

// inJournal reports whether a text is in the journal's files.
func (d *daemon) inJournal(text string) bool {
	d.t.Helper()
	files, err := filepath.Glob(filepath.Join(d.args[len(d.args)-1], "journal", "log", "*.segment"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, path := range files {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), text) {
			return true
		}
	}
	return false
}

// follow reads the events of a task after a cursor until one has this value or is the
// result.
func (d *daemon) follow(id, after, value string) (all []map[string]any) {
	d.t.Helper()
	resp, err := d.http.Get("http://cpulb/v1/tasks/" + id + "/events?after=" + after)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		var ev map[string]any
		if err := json.Unmarshal(lines.Bytes(), &ev); err != nil {
			d.t.Fatal(err)
		}
		if all = append(all, ev); ev["event"] == "result" || ev["value"] == value {
			return all
		}
	}
	d.t.Fatalf("the events end without a result or %q: %v", value, all)
	return nil
}

// valuesOf are the values among events.
func valuesOf(all []map[string]any) string {
	var text strings.Builder
	for _, ev := range all {
		if v, ok := ev["value"].(string); ok {
			text.WriteString(v)
		}
	}
	return text.String()
}

func TestEventsOfBeforeAKillAreReadOnAndNoneComesTwice(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	until, let := release(t)
	id := d.post(script(t, yields), until, "")
	said := func(attempt int) string { return fmt.Sprintf("value-%d-%d.", values, attempt) }
	before := d.follow(id, "", said(1))
	d.until("the last value is written", func() bool { return d.inJournal(said(1)) })
	d.kill()
	d.launch()
	again := d.follow(id, "", said(2))
	for i, ev := range before {
		if i >= len(again) || fmt.Sprint(again[i]) != fmt.Sprint(ev) {
			t.Fatalf("event %d was %v; the log is %v", i, ev, again)
		}
	}
	let()
	half := before[len(before)/2]["cursor"].(string)
	rest := d.follow(id, half, "")
	want := valuesOf(again)[len(valuesOf(before[:len(before)/2+1])):]
	if got := valuesOf(rest); got != want {
		t.Errorf("after %s:\n%s\nbefore the end it was\n%s", half, got, want)
	}
	cursors := map[any]bool{}
	for _, ev := range append(before, rest[len(before)-len(before)/2-1:]...) {
		if cursors[ev["cursor"]] {
			t.Errorf("%v comes twice", ev)
		}
		cursors[ev["cursor"]] = true
	}
	d.kill()
	d.launch()
	if got := d.follow(id, half, ""); fmt.Sprint(got) != fmt.Sprint(rest) {
		t.Errorf("after the end and another kill: %v\nnot %v", got, rest)
	}
}
