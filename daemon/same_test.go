package daemon_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/task"
)

// otherwise returns tasks as a client writes them whose JSON has blanks after its commas.
func otherwise(tasks []*task.Task) (again []*task.Task) {
	for _, k := range tasks {
		x := *k
		x.Params = json.RawMessage(strings.ReplaceAll(string(k.Params), ",", " , "))
		again = append(again, &x)
	}
	return again
}

func TestATaskWhoseParamsAreWrittenOtherwiseIsTheSame(t *testing.T) {
	large := `,"` + strings.Repeat("x", 100_000) + `"]`
	everywhere(t, func(f *daemontest.Farm) {
		for _, params := range []string{`{"a":1,"b":2}`, `["small",1]`, `["large"` + large} {
			k := echoes(f, 1)[0]
			k.Params = json.RawMessage(params)
			x := otherwise([]*task.Task{k})[0]
			for _, same := range []*task.Task{k, k, x} {
				if v, err, _ := answer(f, daemontest.Who(), same, nil); err != nil || v.ID != k.ID {
					t.Errorf("%.50s: %+v %v", same.Params, v, err)
				}
			}
			x.Params = json.RawMessage(strings.Replace(string(x.Params), `"`, `"y`, 1))
			if _, err, _ := answer(f, daemontest.Who(), x, nil); !errors.Is(err, task.ErrConflict) {
				t.Errorf("other content: %v", err)
			}
			if _, err, _ := answer(f, stranger, k, nil); !errors.Is(err, task.ErrConflict) {
				t.Errorf("of somebody else: %v", err)
			}
		}
	})
}

func TestABatchWhoseParamsAreWrittenOtherwiseIsTheSameBatch(t *testing.T) {
	everywhere(t, func(f *daemontest.Farm) {
		tasks := echoes(f, 1200) // some of them are looked at together
		for i, k := range tasks {
			if i%3 > 0 {
				k.Params = json.RawMessage(`{"a":[1,2],"b":3}`)
			}
		}
		first := sendBatch(f, daemontest.Who(), tasks...)
		again := sendBatch(f, daemontest.Who(), append(otherwise(tasks), tasks[1])...)
		if again.id != first.id || !slices.Equal(again.ids[:len(tasks)], first.ids) {
			t.Errorf("sent %s, then %s", first.id, again.id)
		}
		twice := echoes(f, 1)
		twice[0].Params = json.RawMessage(`[1,2]`)
		both := sendBatch(f, daemontest.Who(), append(twice, otherwise(twice)...)...)
		if both.errs[0] != nil || both.errs[1] != nil || both.ids[0] != both.ids[1] {
			t.Errorf("twice in one batch: %v %v", both.ids, both.errs)
		}
		both.holds(f, 1, twice[0].ID)
	})
}
