package main

import (
	"slices"
	"time"
)

// paceSpan is over how long a pace is measured: long enough to be steady, and short enough
// to follow what changes.
const paceSpan = 15 * time.Second

// pace measures how fast a count grows. The zero value has no rate yet.
type pace struct{ marks []mark }

type mark struct {
	at    time.Time
	count int
}

// note notes a count.
func (p *pace) note(now time.Time, count int) {
	p.marks = append(p.marks, mark{now, count})
	old := 0
	for old+2 < len(p.marks) && now.Sub(p.marks[old+1].at) >= paceSpan {
		old++
	}
	p.marks = slices.Delete(p.marks, 0, old)
}

// skip has n of what is counted later not be part of the pace.
func (p *pace) skip(n int) {
	for i := range p.marks {
		p.marks[i].count += n
	}
}

// rate returns how many there were in a second lately; 0: that is not known.
func (p *pace) rate() float64 {
	if len(p.marks) < 2 {
		return 0
	}
	first, last := p.marks[0], p.marks[len(p.marks)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(last.count-first.count) / seconds
}
