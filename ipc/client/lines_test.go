package client

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// chopped returns its text in pieces of any length, with an error now and then, as a read
// that is interrupted does.
type chopped struct {
	text []byte
	r    *rand.Rand
}

var errInterrupted = errors.New("interrupted")

func (c *chopped) Read(p []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, io.EOF
	}
	if c.r.IntN(5) == 0 {
		return 0, errInterrupted
	}
	n := copy(p, c.text[:min(len(c.text), 1+c.r.IntN(3*readBuffer))])
	c.text = c.text[n:]
	return n, nil
}

func TestLinesComeWholeHoweverTheyAreRead(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	rounds := 30
	if testing.Short() {
		rounds = 8
	}
	for range rounds {
		var want, given []string
		for range 1 + r.IntN(20) {
			n := []int{0, 1, 100, readBuffer - 1, readBuffer, 3 * readBuffer, 8 * readBuffer}[r.IntN(7)]
			want = append(want, strings.Repeat(string(rune('a'+r.IntN(26))), n)+"\n")
		}
		text := strings.Join(want, "") + "the rest"
		l := lines{r: &chopped{[]byte(text), r}}
		var got []string
		var kept [][]byte
		for err := error(nil); !errors.Is(err, io.EOF); err = l.more() {
			for {
				line, forEver := l.take()
				if line == nil {
					break
				}
				got = append(got, string(line))
				if forEver {
					given, kept = append(given, string(line)), append(kept, line)
				}
			}
		}
		if strings.Join(got, "") != strings.Join(want, "") || len(got) != len(want) || string(l.rest()) != "the rest" {
			t.Fatalf("%d lines of %d, rest %q", len(got), len(want), l.rest())
		}
		for i, line := range kept {
			if !bytes.Equal(line, []byte(given[i])) {
				t.Fatal("a line that was given has changed")
			}
		}
	}
}
