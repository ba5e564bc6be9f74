package task

import (
	"fmt"
	"unicode/utf8"
)

// Clip cuts text to at most so many bytes, and says then how many were dropped.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	keep := RuneStart(text, most-len(dropped(len(text))))
	return text[:keep] + dropped(len(text)-keep)
}

// ClipMiddle is Clip for what has its point at the end.
func ClipMiddle(text string, most int) string {
	if len(text) <= most {
		return text
	}
	half := (most - len(dropped(len(text)))) / 2
	head, tail := RuneStart(text, half), len(text)-half
	for tail < len(text) && !utf8.RuneStart(text[tail]) {
		tail++
	}
	return text[:head] + dropped(tail-head) + text[tail:]
}

// RuneStart returns the last place up to n at which a rune begins.
func RuneStart(text string, n int) int {
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return max(n, 0)
}

func dropped(n int) string { return fmt.Sprintf("… (%d bytes dropped)", n) }
