package executortest

import (
	"errors"
	"testing"

	"cpulb/plugins"
	"cpulb/plugins/conformance"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// Suite is what Run tests.
type Suite struct {
	// Start starts a worker with SuiteResultBytes; it ends it by the end of Run's test. Promises that
	// need a worker of another kind are skipped: StartWith starts those, too.
	Start func(t *testing.T, slots int, handler func(first, count int) plugins.Handler) Worker
	// StartWith is there instead of Start.
	StartWith func(t conformance.T, o Options, handler func(first, count int) plugins.Handler) (Worker, error)
	// Scripts has the script for each Behaviour. Promises that need one which is not there are skipped.
	Scripts map[Behaviour]string
	// Shares: the workers have to claim tasks in memory that they share with the daemon.
	Shares bool
}

// Run checks every promise of the contract.
func Run(t *testing.T, s Suite) {
	suite := conformance.Suite{Scripts: s.Scripts, Start: s.starter(t)}
	if testing.Short() {
		suite.Races = 50
	}
	session := conformance.NewSession(t, suite)
	for _, p := range conformance.Promises() {
		t.Run(p.Name, func(t *testing.T) { session.Check(t, p) })
	}
}

// RunProgram checks every promise with workers of a program. What spec says of slots and
// bounds does not count.
func RunProgram(t *testing.T, spec supervisor.Spec, scripts map[Behaviour]string) {
	t.Helper()
	Run(t, Suite{Scripts: scripts, StartWith: Program(spec)})
}

// Program returns a Suite's StartWith for workers of a program.
func Program(spec supervisor.Spec) func(t conformance.T, o Options, handler func(first, count int) plugins.Handler) (Worker, error) {
	spec.StartTimeout = startTimeout
	return conformance.Program(spec, hclog.NewNullLogger())
}

func (s *Suite) starter(t *testing.T) func(conformance.T, Options, func(first, count int) plugins.Handler) (Worker, error) {
	return func(x conformance.T, o Options, handler func(first, count int) plugins.Handler) (Worker, error) {
		t.Helper()
		w, err := s.start(t, x, o, handler)
		if err == nil && s.Shares && !w.Slot(0).Shares() {
			err = errors.New("it does not share its claims")
		}
		return w, err
	}
}

func (s *Suite) start(t *testing.T, x conformance.T, o Options, handler func(first, count int) plugins.Handler) (Worker, error) {
	if s.StartWith != nil {
		return s.StartWith(x, o, handler)
	}
	if o.LoopSlots > 0 || len(o.Settings) > 0 || o.MemoryBytes > 0 || o.OutputInterval > 0 {
		x.Skipf("the suite's Start starts no worker with %+v", o)
	}
	return s.Start(t, o.Slots, handler), nil
}
