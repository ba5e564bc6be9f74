package daemontest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/journal/journaltest"
)

// Keeping is On with a journal, synced for each answer if c does not say.
func Keeping(t *testing.T, c *config.Config, test func(f *Farm)) {
	t.Helper()
	KeepingIn(t, c, journaltest.Folder(t), test)
}

// KeepingIn is Keeping with the journal in this folder.
func KeepingIn(t *testing.T, c *config.Config, folder string, test func(f *Farm)) {
	t.Helper()
	if c.Journal.Sync == "off" {
		c.Journal.Sync = "group"
	}
	on(t, c, filepath.Join(folder, "state"), nil, test)
}

// Restart ends the engine in order, cutting off what runs, and starts the next one.
func (f *Farm) Restart() {
	f.Helper()
	f.RestartAfter(0)
}

// RestartAfter is Restart, and the next engine starts only after a while.
func (f *Farm) RestartAfter(down time.Duration) {
	f.Helper()
	f.Stop()
	f.Pass(down)
	f.start()
}

// Reboot is RestartAfter, with the machine started again a minute before the engine is.
func (f *Farm) Reboot(down time.Duration) {
	f.Helper()
	f.Stop()
	f.Pass(down)
	f.booted, f.boots = time.Now(), f.boots+1
	f.Pass(time.Minute)
	f.start()
}

// Crash starts the next engine on what the journal has now, as after the death of the
// daemon; the workers of this one end with it.
func (f *Farm) Crash() {
	f.Helper()
	f.CrashFor(0)
}

// CrashFor is Crash, and the next engine starts only after a while.
func (f *Farm) CrashFor(down time.Duration) {
	f.Helper()
	synctest.Wait()
	f.lives++
	next := filepath.Join(filepath.Dir(f.State), fmt.Sprintf("state%d", f.lives))
	if err := os.CopyFS(next, os.DirFS(f.State)); err != nil {
		f.Fatal(err)
	}
	_ = f.Engine.Drain(Who())
	for _, p := range f.Launcher.Living() {
		p.Die("signal: killed")
	}
	f.Stop()
	f.State = next
	f.Pass(down)
	f.start()
}

func (f *Farm) start() {
	f.Helper()
	f.Launcher = &fleettest.Launcher{Runs: f.Launcher.Runs}
	f.Launcher.Refuse(f.Refuse)
	f.Build(f.next)
	f.end = sync.Once{}
	if err := f.Engine.Start(f.Context()); err != nil {
		f.Fatal(err)
	}
	synctest.Wait()
}
