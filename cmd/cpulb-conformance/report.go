package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"cpulb/plugins/conformance"
)

// errBroken is the error of a test that did not find every promise kept. The report says
// which.
var errBroken = errors.New("a promise is broken")

// report is what a test finds, and what --json prints.
type report struct {
	Binary   string                `json:"binary"`
	Executor conformance.About     `json:"executor"`
	Promises []conformance.Finding `json:"promises"`
	Kept     int                   `json:"kept"`
	Broken   int                   `json:"broken"`
	Skipped  int                   `json:"skipped"`
	// Left is how many promises were not checked because of an interrupt.
	Left int `json:"left"`
}

// test checks the promises one after the other and prints what it finds.
func (a *arguments) test(ctx context.Context, s conformance.Suite, only *regexp.Regexp, out io.Writer) error {
	promises := slices.DeleteFunc(conformance.Promises(), func(p conformance.Promise) bool { return !conformance.Selects(only, p.Name) })
	if len(promises) == 0 {
		return usageError{fmt.Errorf("--only: no promise matches %s", a.Only)}
	}
	about, err := conformance.Start(ctx, s)
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.New("interrupted before it had started")
	case err != nil:
		return fmt.Errorf("it does not start as an executor: %w", err)
	}
	text := io.Discard // printed while it goes on
	if !a.JSON && a.Report == "text" {
		text = out
	}
	r := report{Binary: a.Binary, Executor: about, Left: len(promises)}
	fmt.Fprintf(text, "%s: %s\n\n", printable(a.Binary), printable(introduce(about)))
	for _, p := range promises {
		f := p.Find(ctx, s)
		if ctx.Err() != nil {
			break // what was found is that it was interrupted
		}
		r.add(f)
		printFinding(text, f)
	}
	switch {
	case a.JSON:
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	case a.Report == "markdown":
		err = printTable(out, []report{r})
	default:
		_, err = fmt.Fprintf(out, "\n%d kept, %d broken, %d skipped\n", r.Kept, r.Broken, r.Skipped)
	}
	switch {
	case err != nil:
		return err
	case r.Left > 0:
		return fmt.Errorf("interrupted: %d of %d promises were not checked", r.Left, len(promises))
	case r.Broken > 0:
		return errBroken
	}
	return nil
}

func (r *report) add(f conformance.Finding) {
	r.Promises = append(r.Promises, f)
	r.Left--
	switch f.Verdict {
	case conformance.Kept:
		r.Kept++
	case conformance.Broken:
		r.Broken++
	case conformance.Skipped:
		r.Skipped++
	}
}

func introduce(a conformance.About) string {
	text := "the executor " + a.Name + " " + a.Version
	if a.Runtime != "" {
		text += " (" + a.Runtime + ")"
	}
	if len(a.Capabilities) == 0 {
		return text + ", no capabilities"
	}
	return text + ", with " + strings.Join(a.Capabilities, ", ")
}

func printFinding(out io.Writer, f conformance.Finding) {
	fmt.Fprintf(out, "%-8s %s", f.Verdict, conformance.Sentence(f.Promise))
	if f.Verdict == conformance.Skipped {
		fmt.Fprintf(out, ": %s", printable(strings.Join(f.Reasons, "; ")))
	}
	fmt.Fprintln(out)
	if f.Verdict == conformance.Broken {
		for _, r := range f.Reasons {
			fmt.Fprintf(out, "           %s\n", printable(r))
		}
	}
}

// printable is text on one line without what would steer a terminal: an executor says it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// table prints the table of reports that are in files.
func table(out io.Writer, files []string) error {
	var all []report
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return usageError{fmt.Errorf("--table: %w", err)}
		}
		var r report
		if err := json.Unmarshal(text, &r); err != nil || len(r.Promises) == 0 {
			return usageError{fmt.Errorf("--table: %s is not a report of --json: %w", file, errors.Join(err))}
		}
		all = append(all, r)
	}
	return printTable(out, all)
}

// printTable prints promise by executor, in Markdown, with why one was skipped or is broken.
func printTable(out io.Writer, all []report) error {
	var b strings.Builder
	head, line := "| promise |", "|---|"
	for _, r := range all {
		head, line = head+" "+cell(r.Executor.Name)+" |", line+"---|"
	}
	fmt.Fprintf(&b, "%s\n%s\n", head, line)
	for _, p := range conformance.Promises() {
		row, any := "| "+conformance.Sentence(p.Name)+" |", false
		for _, r := range all {
			i := slices.IndexFunc(r.Promises, func(f conformance.Finding) bool { return f.Promise == p.Name })
			if i < 0 {
				row += " |"
				continue
			}
			row, any = row+" "+cell(brief(r.Promises[i]))+" |", true
		}
		if any {
			fmt.Fprintln(&b, row)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func brief(f conformance.Finding) string {
	switch f.Verdict {
	case conformance.Kept:
		return "kept"
	case conformance.Skipped:
		reason := strings.Join(f.Reasons, "; ")
		if strings.HasPrefix(reason, "no script for ") {
			return "no script"
		}
		if capability, ok := strings.CutSuffix(reason, " is not among the capabilities"); ok {
			return "no " + capability
		}
		return reason
	}
	return "**broken**: " + strings.Join(f.Reasons, "; ")
}

// cell is text in a cell of a table.
func cell(text string) string { return strings.ReplaceAll(printable(text), "|", `\|`) }
