package program

import (
	"sync/atomic"

	"cpulb/plugins"
)

// Printing implements plugins.Printer for a slot: it passes on what the program of the slot's
// task prints.
type Printing struct{ now atomic.Pointer[printing] }

type printing struct {
	output *Output
	errors *Head
	emit   plugins.Emitter
}

// Begin notes what the program of the task that begins prints to.
func (p *Printing) Begin(output *Output, errors *Head, emit plugins.Emitter) {
	p.now.Store(&printing{output, errors, emit})
}

// End notes that the task has ended.
func (p *Printing) End() { p.now.Store(nil) }

// Printed implements plugins.Printer.
func (p *Printing) Printed() {
	if now := p.now.Load(); now != nil {
		now.emit.Output(plugins.Stdout, now.output.head.Fresh())
		now.emit.Output(plugins.Stderr, now.errors.Fresh())
	}
}
