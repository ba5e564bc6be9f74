package api_test

import (
	"testing"

	"cpulb/daemon/api"
)

func TestAProblemIsWordedWithItsCode(t *testing.T) {
	p := &api.Problem{Detail: "no such task", Code: "task_not_found"}
	if p.Error() != "no such task [task_not_found]" {
		t.Error(p)
	}
	if p.Code = ""; p.Error() != "no such task" { // of somebody who is not cpulbd
		t.Error(p)
	}
}
