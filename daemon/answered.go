package daemon

import (
	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
)

// What one write or one sync of the journal has taken along is answered in one go: the
// journal calls back for each change, and then once for all. Who leaves the lock writes what
// he has appended, so a change that comes alone needs no other goroutine on its way.

// answersAtOnce is about how many changes are answered without letting go of the engine.
const answersAtOnce = 500

// response is for a change that the journal has answered, and what follows from that.
type response struct {
	then    func(err error, fx *effects.List)
	err     error
	changes int
}

// appendLocked gives ops to the journal. then, which may be nil, is called under the lock once
// they are as far as they need to be.
func (e *Engine) appendLocked(need journal.Need, then func(err error, fx *effects.List), ops ...journal.Op) {
	e.addLocked(journal.Change{Need: need, Ops: ops}, then)
}

func (e *Engine) addLocked(c journal.Change, then func(err error, fx *effects.List)) {
	if then != nil {
		changes := len(c.Ops)
		c.Done = func(err error) { e.responses = append(e.responses, response{then, err, changes}) }
	}
	e.journal.Add(c)
}

// answered carries out what has become due. The journal calls it, and what adds to that, one
// at a time.
func (e *Engine) answered() {
	for all := e.responses; len(all) > 0; {
		n, changes := 0, 0
		for n < len(all) && (n == 0 || changes+all[n].changes <= answersAtOnce) {
			changes += all[n].changes
			n++
		}
		e.do(func(fx *effects.List) {
			for _, d := range all[:n] {
				d.then(d.err, fx)
			}
		})
		all = all[n:]
	}
	clear(e.responses)
	e.responses = e.responses[:0]
}
