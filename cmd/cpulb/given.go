package main

import (
	"errors"
	"reflect"

	"github.com/alecthomas/kong"
)

// refuseEmpty has every flag and argument of n, and of what is beneath it, refuse an empty value:
// most likely that is a variable that was not set, and a filter that counts as absent selects
// too much.
func refuseEmpty(n *kong.Node) {
	if n.Passthrough { // what follows is another program's
		return
	}
	for _, f := range n.Flags {
		if !f.IsBool() {
			f.Mapper = given{f.Mapper}
		}
	}
	for _, p := range n.Positional {
		p.Mapper = given{p.Mapper}
	}
	for _, child := range n.Children {
		refuseEmpty(child)
	}
}

// given decodes a value that is not empty.
type given struct{ kong.Mapper }

// Decode implements kong.Mapper.
func (g given) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	// kong decodes defaults and the environment into the field itself, before the flags: a flag may
	// stand in for a variable that is empty.
	if field := ctx.Value.Target; target.Addr() != field.Addr() && ctx.Scan.Peek().Value == "" {
		if ctx.Value.Required {
			return errors.New("it is empty")
		}
		return errors.New("it is empty; leave it out instead")
	}
	return g.Mapper.Decode(ctx, target)
}
