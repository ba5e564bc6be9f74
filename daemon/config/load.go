package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxBytes bounds a configuration file; a larger one is surely not one.
const maxBytes = 1 << 20

// Error is one thing that is wrong with a configuration file. Load
// joins as many as it finds; errors.As finds the first.
type Error struct {
	File string
	// Line and Column count from 1.
	Line, Column int
	// Problem says what is wrong.
	Problem string
	// Allowed lists what would be right, if there is a list.
	Allowed []string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
	if len(e.Allowed) > 0 {
		text += " (allowed: " + strings.Join(e.Allowed, ", ") + ")"
	}
	return text
}

// Load reads the HCL file at path over the defaults: a key that the file
// does not set keeps its default. A file with any executor block replaces the
// built-in executors, one with any pool block the built-in pools. The error
// names every problem found, one to a line, not only the first.
func Load(path string) (*Config, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if len(text) > maxBytes {
		return nil, fmt.Errorf("configuration: %s is larger than 1 MiB", path)
	}
	return decode(path, text)
}

func decode(file string, text []byte) (*Config, error) {
	parsed, diags := hclsyntax.ParseConfig(text, file, hcl.InitialPos)
	d := newDecoder(file)
	if diags.HasErrors() { // what the file says past a syntax error is anyone's guess
		d.report(diags)
		return nil, d.err()
	}
	d.topLevel(parsed.Body.(*hclsyntax.Body)) // hclsyntax's parser documents this type
	d.check()
	if err := d.err(); err != nil {
		return nil, err
	}
	return d.config, nil
}

// decoder walks one file, fills in config and collects what is wrong.
type decoder struct {
	file   string
	config *Config
	errs   []*Error
	// at is where a named block or a key of one stands, e.g. "pool cpu" and
	// "pool cpu.executor", for what can be checked only at the end.
	at map[string]hcl.Range
	// executors and pools are the file's own, which replace the built-in ones.
	executors []*Executor
	pools     []*Pool
	schedules []*scheduleBlock
}

func newDecoder(file string) *decoder {
	return &decoder{file: file, config: Default(), at: map[string]hcl.Range{}}
}

// topLevel decodes the top level, which consists of blocks alone.
func (d *decoder) topLevel(body *hclsyntax.Body) {
	kinds := d.blocks()
	for _, a := range body.Attributes {
		d.fail(a.NameRange, fmt.Sprintf("key %q stands outside of any block", a.Name), blockNames(kinds)...)
	}
	for _, b := range body.Blocks {
		i := slices.IndexFunc(kinds, func(k blockKind) bool { return k.name == b.Type })
		if i < 0 {
			d.fail(b.TypeRange, fmt.Sprintf("unknown block %q", b.Type), blockNames(kinds)...)
			continue
		}
		d.block(b, kinds[i])
	}
	if len(d.executors) > 0 {
		d.config.Executors = flat(d.executors)
	}
	if len(d.pools) > 0 {
		d.config.Pools = flat(d.pools)
	}
}

func (d *decoder) block(b *hclsyntax.Block, kind blockKind) {
	name := kind.name
	label, ok := d.label(b, kind)
	if !ok {
		return
	}
	if kind.named {
		name += " " + label
	}
	if first, again := d.at[name]; again {
		d.fail(b.TypeRange, fmt.Sprintf("a second block %s; the first is on line %d", name, first.Start.Line))
		return
	}
	d.at[name] = b.DefRange()
	keys := kind.keys(label)
	for _, inner := range b.Body.Blocks {
		d.fail(inner.TypeRange, fmt.Sprintf("%s has no block %q", kind.name, inner.Type), keyNames(keys)...)
	}
	for _, a := range b.Body.Attributes {
		d.key(a, kind, name, keys)
	}
	for _, k := range keys {
		if _, set := b.Body.Attributes[k.name]; k.required && !set {
			d.fail(b.DefRange(), fmt.Sprintf("%s lacks the key %q", name, k.name))
		}
	}
}

// label checks that a block has a name just when its kind wants one.
func (d *decoder) label(b *hclsyntax.Block, kind blockKind) (string, bool) {
	switch {
	case !kind.named && len(b.Labels) > 0:
		d.fail(b.LabelRanges[0], fmt.Sprintf("block %s takes no name", kind.name))
		return "", false
	case !kind.named:
		return "", true
	case len(b.Labels) != 1:
		d.fail(b.TypeRange, fmt.Sprintf("block %s takes one name, as in: %s \"a-name\" { … }", kind.name, kind.name))
		return "", false
	case !validName(b.Labels[0]):
		d.fail(b.LabelRanges[0], fmt.Sprintf("%s name %.64q must be 1 to 32 of a-z, 0-9, \"_\" and \"-\", a letter first",
			kind.name, b.Labels[0]))
		return "", false
	}
	return b.Labels[0], true
}

func (d *decoder) key(a *hclsyntax.Attribute, kind blockKind, block string, keys []keyKind) {
	i := slices.IndexFunc(keys, func(k keyKind) bool { return k.name == a.Name })
	if i < 0 {
		d.fail(a.NameRange, fmt.Sprintf("unknown key %q in %s", a.Name, kind.name), keyNames(keys)...)
		return
	}
	d.at[block+"."+a.Name] = a.Expr.Range()
	value, diags := a.Expr.Value(nil) // nil: neither variables nor functions
	if diags.HasErrors() {
		d.report(diags)
		return
	}
	if err := keys[i].set(value); err != nil {
		d.fail(a.Expr.Range(), fmt.Sprintf("%s.%s: %s", kind.name, a.Name, err))
	}
}

func (d *decoder) fail(at hcl.Range, problem string, allowed ...string) {
	// The zero range stands for the file as a whole.
	d.errs = append(d.errs, &Error{File: d.file, Line: max(at.Start.Line, 1), Column: max(at.Start.Column, 1),
		Problem: problem, Allowed: allowed})
}

func (d *decoder) report(diags hcl.Diagnostics) {
	for _, g := range diags {
		var at hcl.Range
		if g.Subject != nil {
			at = *g.Subject
		}
		d.fail(at, g.Summary+": "+g.Detail)
	}
}

// err joins what was found in the order of the file; attributes come as a map.
func (d *decoder) err() error {
	slices.SortStableFunc(d.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Problem, b.Problem))
	})
	var all []error
	for _, e := range d.errs {
		all = append(all, e)
	}
	return errors.Join(all...)
}

func flat[T any](pointers []*T) []T {
	var values []T
	for _, p := range pointers {
		values = append(values, *p)
	}
	return values
}

func blockNames(kinds []blockKind) []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

func keyNames(keys []keyKind) []string {
	var names []string
	for _, k := range keys {
		names = append(names, k.name)
	}
	return names
}

// check finds what only shows when the whole file is known.
func (d *decoder) check() {
	d.checkExecutors()
	d.checkSizes()
	d.checkWalls()
	for _, b := range d.schedules {
		d.schedule(b)
	}
}

// checkSizes refuses pools that say their size in two ways.
func (d *decoder) checkSizes() {
	for _, p := range d.config.Pools {
		block := "pool " + p.Name
		most, scales := d.at[block+".max_workers"]
		if !scales || p.MaxWorkers == 0 {
			continue
		}
		if at, set := d.at[block+".workers"]; set {
			d.fail(at, fmt.Sprintf("pool %q: with max_workers the number of workers follows the tasks; leave workers out", p.Name))
		}
		if p.MinWorkers > p.MaxWorkers {
			d.fail(most, fmt.Sprintf("pool %q: max_workers is %d, less than min_workers, %d", p.Name, p.MaxWorkers, p.MinWorkers))
		}
	}
}

func (d *decoder) checkExecutors() {
	executors := map[string]bool{}
	for _, x := range d.config.Executors {
		executors[x.Name] = true
	}
	names := slices.Sorted(maps.Keys(executors))
	for _, p := range d.config.Pools {
		if p.Executor == "" || executors[p.Executor] { // an absent one has been reported
			continue
		}
		at, ok := d.at["pool "+p.Name+".executor"]
		problem := fmt.Sprintf("pool %q: no executor %q is configured", p.Name, p.Executor)
		if !ok {
			problem += "; the pool is a built-in one, as the file has no pool block"
		}
		d.fail(at, problem, names...)
	}
}
