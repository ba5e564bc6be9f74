package conformance

// Session checks promises of one executor, one at a time. Those that leave a worker as it was
// share one, which saves most of the time that checking them takes.
type Session struct {
	suite  Suite
	owner  T
	shared *bench // nil: there is none yet, or it may not be as it was
}

// NewSession returns a Session whose shared worker ends in a Cleanup of owner.
func NewSession(owner T, s Suite) *Session { return &Session{suite: s, owner: owner} }

// Check fails or skips t unless the executor keeps p.
func (x *Session) Check(t T, p Promise) {
	t.Helper()
	if p.own {
		p.Check(t, x.suite)
		return
	}
	p.skip(t, &x.suite)
	if x.shared == nil {
		b, err := tryBench(x.owner, &x.suite, Options{Slots: x.suite.slots()})
		if err != nil {
			t.Fatalf("a worker can't be started: %v", err)
		}
		x.shared = b
	}
	noted := &noting{T: t}
	b := *x.shared
	b.T = noted
	defer func() {
		if noted.failed || !x.shared.isIdle(t) {
			x.shared = nil
		}
	}()
	p.checkWith(&b)
}

// isIdle reports whether the worker can serve another promise.
func (b *bench) isIdle(t T) bool {
	select {
	case <-b.worker.Done():
		return false
	default:
		s, err := b.worker.Stats(t.Context())
		return err == nil && s.SlotsBusy == 0
	}
}

// noting is a T that knows whether it has failed.
type noting struct {
	T
	failed bool
}

func (n *noting) Error(args ...any) {
	n.Helper()
	n.failed = true
	n.T.Error(args...)
}

func (n *noting) Errorf(format string, args ...any) {
	n.Helper()
	n.failed = true
	n.T.Errorf(format, args...)
}

func (n *noting) Fatal(args ...any) {
	n.Helper()
	n.failed = true
	n.T.Fatal(args...)
}

func (n *noting) Fatalf(format string, args ...any) {
	n.Helper()
	n.failed = true
	n.T.Fatalf(format, args...)
}

// since returns what has been recorded of tasks from seq on, and at last the end of the slot.
func (r *Recorder) since(seq uint64) (some []Event) {
	for _, e := range r.Events() {
		if e.Seq >= seq || e.Kind == "lost" {
			some = append(some, e)
		}
	}
	return some
}
