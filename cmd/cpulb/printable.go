package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"cpulb/cmd/cpulb/printable"

	"golang.org/x/sys/unix"
)

// row prints one row of a table: no text in it can end its cell or its line.
func row(table io.Writer, cells ...any) error {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = printable.Escape(fmt.Sprint(c), "")
	}
	_, err := fmt.Fprintln(table, strings.Join(texts, "\t"))
	return err
}

// isTerminal reports whether a person reads what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
