package api

import (
	"strconv"
	"strings"
)

// Verdict is what cpulbd -check-config -json prints about a configuration.
type Verdict struct {
	OK bool `json:"ok"`
	// Source is where the configuration came from.
	Source   string    `json:"source"`
	Errors   []Mistake `json:"errors"`
	Warnings []string  `json:"warnings"`
	// MemoryBytes is the most that the daemon takes; absent where there are errors.
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
}

// Mistake is one thing that is wrong; one that has no place in a file is a problem alone.
type Mistake struct {
	File    string   `json:"file,omitempty"`
	Line    int      `json:"line,omitempty"`
	Column  int      `json:"column,omitempty"`
	Problem string   `json:"problem"`
	Allowed []string `json:"allowed,omitempty"`
}

// String is a line for people.
func (m Mistake) String() string {
	text := m.Problem
	if m.File != "" {
		text = m.File + ":" + strconv.Itoa(m.Line) + ":" + strconv.Itoa(m.Column) + ": " + text
	}
	if len(m.Allowed) > 0 {
		text += " (allowed: " + strings.Join(m.Allowed, ", ") + ")"
	}
	return text
}
