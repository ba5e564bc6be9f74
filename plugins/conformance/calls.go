package conformance

import (
	"context"
	"errors"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"

	"cpulb/plugins"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What the control calls promise, beside those for claims.

var settingName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func describes(b *bench) {
	d := b.worker.Description()
	if d.Name == "" || d.Version == "" {
		b.Errorf("wanted a name and a version, got %q and %q", d.Name, d.Version)
	}
	named := map[string]bool{}
	for _, s := range d.Settings {
		switch {
		case !settingName.MatchString(s.Name):
			b.Errorf("the name of a setting has lower-case letters, digits and underscores, got %q", s.Name)
		case named[s.Name]:
			b.Errorf("the setting %s is described twice", s.Name)
		case s.Kind < plugins.StringSetting || s.Kind > plugins.MapSetting:
			b.Errorf("the setting %s has the kind %d, which is none", s.Name, s.Kind)
		case s.Description == "":
			b.Errorf("the setting %s has no description", s.Name)
		case s.Required && s.Default != "":
			b.Errorf("the setting %s is required and has the default %q", s.Name, s.Default)
		}
		named[s.Name] = true
	}
}

// unusable is a value that a setting can't have; false: it may have any.
func unusable(s plugins.Setting) (string, bool) {
	switch s.Kind {
	case plugins.IntegerSetting, plugins.BooleanSetting, plugins.DurationSetting, plugins.BytesSetting:
		return "neither", true
	case plugins.ListSetting, plugins.MapSetting:
		return "{broken", true
	}
	return "none of them", len(s.Allowed) > 0 && !slices.Contains(s.Allowed, "none of them")
}

// refusesSettings starts a worker for each setting, with a value that it can't have.
func refusesSettings(b *bench) {
	tried := false
	for _, s := range b.worker.Description().Settings {
		value, ok := unusable(s)
		if !ok {
			continue
		}
		tried = true
		_, err := tryBench(b, b.suite, Options{Slots: 1, Settings: map[string]string{s.Name: value}})
		switch {
		case err == nil:
			b.Errorf("it started with %s = %q", s.Name, value)
		case !errors.Is(err, plugins.ErrBadSetting):
			b.Errorf("%s = %q: wanted INVALID_ARGUMENT from Configure, got %v", s.Name, value, err)
		case !strings.Contains(err.Error(), s.Name):
			b.Errorf("%s = %q: the error does not say which setting it is: %v", s.Name, value, err)
		}
	}
	if !tried {
		b.Skip("no setting can have a bad value")
	}
}

var errNotOpened = errors.New("no slot is opened a second time")

func configuredOnce(b *bench) {
	dir, err := os.MkdirTemp("", "cpulb-twice")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	d := b.worker.Description()
	_, _, err = b.worker.Control().Configure(b.Context(), &d, plugins.Configuration{WorkerID: "twice", Pool: "twice", Slots: 1, RuntimeDir: dir,
		ResultBytes: SuiteResultBytes, OutputBytes: SuiteOutputBytes},
		func(context.Context, string) (net.Conn, error) { return nil, errNotOpened },
		Each(func(int) SlotHandler { return NewRecorder() }))
	switch {
	case errors.Is(err, errNotOpened):
		b.Errorf("a second Configure: wanted FAILED_PRECONDITION, and it succeeded")
	case status.Code(err) != codes.FailedPrecondition:
		b.Errorf("a second Configure: wanted FAILED_PRECONDITION, got %v", err)
	}
	if _, err := b.worker.Health(b.Context()); err != nil {
		b.Errorf("after it: %v", err)
	}
}

func answersCalls(b *bench) {
	t := b.block(0)
	if _, err := b.worker.Health(b.Context()); err != nil {
		b.Error(err)
	}
	if _, err := b.worker.Stats(b.Context()); err != nil {
		b.Error(err)
	}
	if text, err := b.worker.Stacks(b.Context()); err != nil && !errors.Is(err, plugins.ErrNoStacks) || err == nil && text == "" {
		b.Errorf("stacks: wanted a text, UNIMPLEMENTED or DEADLINE_EXCEEDED, got %q, %v", text, err)
	}
	b.release(t)
	b.up[0].Wait(b, "ended", t.seq)
}
