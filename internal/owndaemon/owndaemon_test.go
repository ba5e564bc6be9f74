package owndaemon_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"cpulb/internal/owndaemon"
)

// shell is a program that is no cpulbd, and says so or not.
func shell(script string) *exec.Cmd { return exec.Command("/bin/sh", "-c", script) }

func TestADaemonIsReadyWhenItSaysSo(t *testing.T) {
	d, err := owndaemon.Start(t.Context(), shell("trap 'exit 0' TERM; echo begin >&2; printf 'cpulbd: re' >&2; echo 'ady: here' >&2; while :; do read x || sleep 0.01; done"), &owndaemon.Log{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(d.Log.String(), "begin") || d.Ready <= 0 {
		t.Errorf("%q after %s", d.Log, d.Ready)
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
}

func TestWhoEndsBeforeItIsReadyHasItsLastWordsInTheError(t *testing.T) {
	_, err := owndaemon.Start(t.Context(), shell("echo the reason >&2; exit 3"), &owndaemon.Log{Keep: 11})
	if !errors.Is(err, owndaemon.ErrNotReady) || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "the reason") {
		t.Error(err)
	}
}

func TestWhoIsNotReadyInTimeIsEnded(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	late := errors.New("late")
	cancel(late)
	cmd := shell("exec sleep 1000")
	if _, err := owndaemon.Start(ctx, cmd, &owndaemon.Log{}); !errors.Is(err, owndaemon.ErrNotReady) || !errors.Is(err, late) {
		t.Error(err)
	}
	if cmd.ProcessState == nil {
		t.Error("it runs on")
	}
}

func TestADaemonThatDoesNotEndInOrderIsAnError(t *testing.T) {
	d, err := owndaemon.Start(t.Context(), shell("echo 'cpulbd: ready:' >&2; exec sleep 1000"), &owndaemon.Log{})
	if err != nil {
		t.Fatal(err)
	}
	d.Kill()
	if err := d.Stop(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Error(err)
	}
}
