package ledger

import (
	"cmp"
	"slices"
)

// pages has all tasks in the order of their stamps. A page has those that were submitted
// one after the other. Each is there in one of two forms: whole, as its Record, or packed,
// as described at pack.
type pages struct {
	all []*page
}

const pageTasks = 64

// page is some tasks in the order of their stamps, with gaps where they are no longer kept.
type page struct {
	stamps [pageTasks]int64
	n      int // that have been there
	left   int // that are still
	// whole has the Records, at the same places; nil: there are none.
	whole  *[pageTasks]*Record
	wholes int
	// texts are the packed tasks, in any order, as many bytes of which are no longer used as
	// wasted says. at is where each begins there, and 1, so that 0 is none.
	texts  []byte
	wasted int
	at     [pageTasks]uint32
}

// spot is the place of one task.
type spot struct {
	page *page
	i    int
}

func (p *page) has(i int) bool { return p.at[i] != 0 || p.whole != nil && p.whole[i] != nil }

// record returns the Record of a task that is whole, else nil.
func (s spot) record() *Record {
	if s.page.whole == nil {
		return nil
	}
	return s.page.whole[s.i]
}

// packed returns the text of a task that is packed, and what follows it.
func (s spot) packed() []byte { return s.page.texts[s.page.at[s.i]-1:] }

// add adds r, which was stamped later than all others.
func (x *pages) add(r *Record) {
	last := len(x.all) - 1
	if last < 0 || x.all[last].n == pageTasks {
		x.all = append(x.all, &page{})
		last = len(x.all) - 1
	}
	p := x.all[last]
	if p.whole == nil {
		p.whole = &[pageTasks]*Record{}
	}
	p.stamps[p.n], p.whole[p.n] = r.stamp, r
	p.n++
	p.left++
	p.wholes++
}

// after returns the place of the first that was stamped at a stamp or later, in the page
// with that number, or in none.
func (x *pages) after(stamp int64) (number, i int) {
	number, found := slices.BinarySearchFunc(x.all, stamp, func(p *page, stamp int64) int { return cmp.Compare(p.stamps[0], stamp) })
	if found {
		return number, 0
	}
	if number == 0 {
		return 0, 0
	}
	p := x.all[number-1]
	i, _ = slices.BinarySearch(p.stamps[:p.n], stamp)
	if i == p.n {
		return number, 0
	}
	return number - 1, i
}

// find returns where the task with a stamp is.
func (x *pages) find(stamp int64) (s spot, ok bool) {
	number, i := x.after(stamp)
	if number == len(x.all) {
		return s, false
	}
	p := x.all[number]
	return spot{p, i}, i < p.n && p.stamps[i] == stamp && p.has(i)
}

// remove takes a task out.
func (x *pages) remove(s spot) {
	p := s.page
	if p.at[s.i] != 0 {
		p.waste(s)
	} else {
		p.dropRecord(s.i)
	}
	if p.left--; p.left > 0 || p.n < pageTasks {
		return
	}
	number, _ := x.after(p.stamps[0])
	x.all = slices.Delete(x.all, number, number+1)
}

func (p *page) dropRecord(i int) {
	p.whole[i] = nil
	if p.wholes--; p.wholes == 0 && p.n == pageTasks {
		p.whole = nil
	}
}

// pack replaces the Record of a task by a text, of which texts has its length in front.
func (p *page) pack(i int, text []byte) {
	p.at[i] = uint32(len(p.texts)) + 1
	p.texts = append(p.texts, text...)
	p.dropRecord(i)
	if p.whole == nil {
		p.texts = slices.Clip(append(make([]byte, 0, len(p.texts)), p.texts...)) // no more follow
	}
}

// waste takes a packed task out. What is left is copied once it is the lesser part.
func (p *page) waste(s spot) {
	p.wasted += textLen(s.packed())
	p.at[s.i] = 0
	if p.wasted <= len(p.texts)/2 {
		return
	}
	texts := make([]byte, 0, len(p.texts)-p.wasted)
	for i := range p.n {
		if p.at[i] == 0 {
			continue
		}
		text := spot{p, i}.packed()
		p.at[i] = uint32(len(texts)) + 1
		texts = append(texts, text[:textLen(text)]...)
	}
	p.texts, p.wasted = texts, 0
}
