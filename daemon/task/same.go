package task

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"hash/maphash"
	"slices"
)

// SameParams reports whether two params have the same content: white space, escapes and
// the order of an object's members do not matter, and of members with the same name the
// last counts, as in Python. Numbers are the same if their texts are: 1, 1.0 and 1e0 are
// three.
//
// It takes time in proportion to the texts, and little memory. They are compared by
// hashes of 64 bits with a random seed.
func SameParams(v, w json.RawMessage) bool {
	x, y := appendAny(nil, nil), appendAny(nil, nil)
	if len(v) > 0 {
		x = v
	}
	if len(w) > 0 {
		y = w
	}
	if bytes.Equal(x, y) {
		return true
	}
	seed := maphash.MakeSeed()
	a, err := fingerprint(seed, x)
	if err != nil {
		return false
	}
	b, err := fingerprint(seed, y)
	return err == nil && a == b
}

// fingerprint returns a number that is the same for the same content.
func fingerprint(seed maphash.Seed, text []byte) (uint64, error) {
	p := printer{scanner: scanner{text: text}, seed: seed}
	return p.value(maxDepth)
}

// maxOpenMembers bounds what a printer remembers. Of an object with more members those
// with the same name are different content, unless they stand close together.
const maxOpenMembers = 1 << 16

// printer makes fingerprints.
type printer struct {
	scanner
	seed maphash.Seed
	// open are members of the objects that are being read.
	open []member
	some []byte
}

// member has the fingerprints of a name and its value.
type member struct{ name, value uint64 }

func (p *printer) value(depth int) (uint64, error) {
	switch c := p.peek(); {
	case c == '"':
		content, err := p.string()
		return p.mix('"', content), err
	case c == '{' && depth > 0:
		return p.objectValue(depth - 1)
	case c == '[' && depth > 0:
		print := p.mix('[', 0)
		err := p.elements(func() error {
			v, err := p.value(depth - 1)
			print = p.mix(print, v)
			return err
		})
		return print, err
	}
	start := p.pos
	err := p.skip(0) // a number or a word
	return p.mix('0', maphash.Bytes(p.seed, p.text[start:p.pos])), err
}

// objectValue reads an object. Its fingerprint is a sum over its members: their order does
// not matter.
func (p *printer) objectValue(depth int) (uint64, error) {
	first, sum := len(p.open), uint64(0)
	err := p.object(func() error {
		name, err := p.string()
		if err == nil {
			err = p.take(':')
		}
		if err != nil {
			return err
		}
		v, err := p.value(depth)
		if p.open = append(p.open, member{name, v}); len(p.open) >= maxOpenMembers {
			sum += p.sum(first)
		}
		return err
	})
	return p.mix('{', sum+p.sum(first)), err
}

// sum adds up the open members from first on and forgets them.
func (p *printer) sum(first int) (sum uint64) {
	own := p.open[first:]
	slices.SortStableFunc(own, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	for i, m := range own {
		if i+1 == len(own) || own[i+1].name != m.name { // the last of its name
			sum += p.mix(m.name, m.value)
		}
	}
	p.open = p.open[:first]
	return sum
}

// string reads a string and returns the fingerprint of its value.
func (p *printer) string() (uint64, error) {
	quoted, escaped, err := p.quoted()
	if err != nil {
		return 0, err
	}
	text := quoted[1 : len(quoted)-1]
	if !escaped {
		return maphash.Bytes(p.seed, text), nil
	}
	var h maphash.Hash
	h.SetSeed(p.seed)
	for len(text) > 0 {
		plain := bytes.IndexByte(text, '\\')
		if plain < 0 {
			plain = len(text)
		}
		_, _ = h.Write(text[:plain]) // never fails
		if text = text[plain:]; len(text) > 0 {
			p.some, text = unescapeSome(p.some[:0], text)
			_, _ = h.Write(p.some)
		}
	}
	return h.Sum64(), nil
}

func (p *printer) mix(a, b uint64) uint64 {
	var both [16]byte
	binary.LittleEndian.PutUint64(both[:8], a)
	binary.LittleEndian.PutUint64(both[8:], b)
	return maphash.Bytes(p.seed, both[:])
}
