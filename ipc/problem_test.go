package ipc

import (
	"errors"
	"fmt"
	"testing"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

func TestAnErrorThatIsOfTwoKindsIsTheProblemOfTheNarrowerOne(t *testing.T) {
	field := &task.FieldError{Field: "params", Problem: "too large"}
	for _, c := range []struct {
		err    error
		code   string
		status int
	}{
		{field, codeInvalidTask, 400},
		{&task.FieldError{Field: "line", Problem: "not JSON", Code: codeInvalidJSON}, codeInvalidJSON, 400},
		{&task.FieldError{Field: "x", Problem: "new", Code: "a_code_of_its_own"}, "a_code_of_its_own", 400},
		{fmt.Errorf("%w: schedule: %w", api.ErrReload, field), codeReloadFailed, 422},
		{fmt.Errorf("%w: %w", api.ErrBadCursor, task.ErrInvalid), codeBadQuery, 400},
		{access.ErrHidden, codeTaskNotFound, 404},
		{&access.Denied{Field: "pool"}, codeNotAllowed, 403},
		{errors.Join(errors.New("disk"), task.ErrNoSpace), codeJournalFull, 507},
		{errors.New("nobody expected it"), codeInternal, 500},
	} {
		if p := problemFor(c.err); p.Code != c.code || p.Status != c.status || p.Title == "" {
			t.Errorf("%v: %+v", c.err, p)
		}
	}
}
