package ipc

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Where docs/output_interpretation.md explains the fields of each answer: the text before the
// table. openapi.json has the fields, and is itself held to the code.
func explained() map[string]string {
	return map[string]string{
		"Result": "\n## A Result\n", "Error": "\n### The error of a Result\n", "Worker": "\n### The worker of a task\n", "View": "\n## A view\n", "Event": "\n## Events\n",
		"Problem": "(RFC 9457):\n", "BatchAnswer": "`POST /v1/batches` answers with\n", "BatchError": "each of whose `errors` has\n", "BatchView": "and `GET /v1/batches/{batch_id}` with\n",
		"Listing": "A list of tasks, `GET /v1/tasks`, has\n", "EngineStatus": "answers with `engine` and `components`:\n", "Component": "Each component has\n",
		"WorkerStatus": "\n### Workers\n", "ExecutorStatus": "\n## Executors\n", "SettingStatus": "each of whose `settings` has\n", "SwapStatus": "A `swap` is\n", "CanaryStatus": "and its `canary`\n",
		"ScheduleStatus": "\n## Schedules\n",
	}
}

// notAnswers are the schemas that describe what clients send, single values, or nothing but
// others.
func notAnswers() []string {
	return []string{"Status", "TaskType", "Cursor", "Task", "Batch", "SwapRequest", "DaemonStatus", "StreamCommand", "StreamLine"}
}

// firstCells returns the names in backticks in the first column of the table that follows
// the text before.
func firstCells(t *testing.T, page, before string) []string {
	t.Helper()
	_, rest, found := strings.Cut(page, before)
	_, rest, table := strings.Cut(rest, "\n|---")
	if !found || !table {
		t.Fatalf("there is no table behind %q", before)
	}
	_, rest, _ = strings.Cut(rest, "\n")
	var names []string
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		for _, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
			names = append(names, name[1])
		}
	}
	return names
}

func TestEveryFieldOfEveryAnswerIsExplained(t *testing.T) {
	page, doc := readPage(t, "output_interpretation.md"), readOpenAPI(t)
	for name, schema := range doc.Components.Schemas {
		before := explained()[name]
		if before == "" {
			if !slices.Contains(notAnswers(), name) {
				t.Errorf("nothing explains the fields of a %s", name)
			}
			continue
		}
		if got, want := firstCells(t, page, before), slices.Collect(maps.Keys(schema.Value.Properties)); !sameNames(got, want) {
			t.Errorf("%s: explained are\n%v\nthere are\n%v", name, slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)))
		}
	}
}

// The lines that a stream has beside events have a row each.
func TestEveryLineOfAStreamIsExplained(t *testing.T) {
	page, protocol := readPage(t, "output_interpretation.md"), readPage(t, "protocol.md")
	for _, one := range readOpenAPI(t).Components.Schemas["StreamLine"].Value.OneOf {
		if one.Ref != "" { // Event
			continue
		}
		kind, _ := one.Value.Properties["event"].Value.Const.(string)
		row := regexp.MustCompile("(?m)^\\| `" + kind + "` \\| (.*?) \\|").FindStringSubmatch(page)
		if kind == "" || row == nil {
			t.Errorf("no row for %q", kind)
			continue
		}
		var got []string
		for _, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[1], -1) {
			got = append(got, name[1])
		}
		if want := slices.Collect(maps.Keys(one.Value.Properties)); !sameNames(got, want) {
			t.Errorf("%s: explained are %v, there are %v", kind, got, want)
		}
		if !strings.Contains(protocol, "`{\"event\":\""+kind+"\"") {
			t.Errorf("docs/protocol.md does not show %q", kind)
		}
	}
	for _, kind := range readOpenAPI(t).Components.Schemas["Event"].Value.Properties["event"].Value.Enum {
		if !strings.Contains(protocol, "`{\"event\":\""+kind.(string)+"\"") {
			t.Errorf("docs/protocol.md does not show %q", kind)
		}
	}
	for _, kind := range readOpenAPI(t).Components.Schemas["StreamCommand"].Value.OneOf {
		if op, _ := kind.Value.Properties["op"].Value.Const.(string); op == "" || !strings.Contains(protocol, "`{\"op\":\""+op+"\"") {
			t.Errorf("docs/protocol.md does not show %q", op)
		}
	}
}

// Every state of a task has its row, and so has every health.
func TestEveryStateIsExplained(t *testing.T) {
	page, doc := readPage(t, "output_interpretation.md"), readOpenAPI(t)
	var states []string
	for _, s := range doc.Components.Schemas["Status"].Value.Enum {
		states = append(states, s.(string))
	}
	if got := firstCells(t, page, "\n## States\n"); !sameNames(got, states) {
		t.Errorf("explained are %v, there are %v", got, states)
	}
	for _, h := range doc.Components.Schemas["Component"].Value.Properties["health"].Value.Enum {
		if !strings.Contains(page, "`"+h.(string)+"`") {
			t.Errorf("health %v is not explained", h)
		}
	}
}
