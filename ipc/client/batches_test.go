package client

import (
	"bytes"
	"encoding/json"
	"testing"

	"cpulb/daemon/task"
	"cpulb/internal/alloctest"
)

func TestABatchTakesMemoryByItsTasksWhicheverIsTheLargest(t *testing.T) {
	const count, large = 1000, 1 << 20
	params, err := json.Marshal(string(bytes.Repeat([]byte("x"), large)))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, count / 2, count - 1} {
		tasks := make([]*task.Task, count)
		for i := range tasks {
			if tasks[i], err = NewTask("/x.py", i); err != nil {
				t.Fatal(err)
			}
		}
		tasks[at].Params = params
		alloctest.Within(t, 2*large, func() {
			if _, err := batchOf(tasks); err != nil {
				t.Error(err)
			}
		})
	}
}
