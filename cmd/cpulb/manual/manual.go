// Package manual writes the manual page of a program from the grammar that the program itself
// parses its command line by.
//
// Guarantees: every command, argument and flag that --help shows stands there with the same
// words. Nothing in these can become a request to the formatter.
package manual

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// About is what a page says beside the grammar.
type About struct {
	// Name, Section and Version are for the title, Summary for the line of whatis.
	Name, Section, Version, Summary string
	// Parts follow the commands.
	Parts []Part
}

// Part is a section of the page.
type Part struct {
	Title string
	// Items are terms and what they mean; a term of "" is a paragraph.
	Items []Item
}

// Item is a term and what it means.
type Item struct{ Term, Text string }

// Page returns the page as man reads it.
func Page(app *kong.Application, about About) string {
	w := &writer{}
	w.request("TH", strings.ToUpper(about.Name), about.Section, "", about.Name+" "+about.Version, "CPU Load Balancer")
	w.request("SH", "NAME")
	w.text(about.Name + ` \- ` + escape(about.Summary))
	w.request("SH", "SYNOPSIS")
	w.text(bold(about.Name) + " [" + italic("flags") + "] " + italic("command") + " ...")
	w.request("SH", "DESCRIPTION")
	w.paragraphs(app.Help)
	w.request("SH", "FLAGS")
	w.flags(app.Flags)
	w.request("SH", "COMMANDS")
	for _, c := range app.Children {
		w.command(c)
	}
	for _, p := range about.Parts {
		w.part(p)
	}
	return w.b.String()
}

type writer struct{ b strings.Builder }

// command writes those that do something: a command with commands is a heading of theirs.
func (w *writer) command(n *kong.Node) {
	if n.Hidden {
		return
	}
	if len(n.Children) > 0 {
		for _, c := range n.Children {
			w.command(c)
		}
		return
	}
	w.request("SS", n.FullPath()+synopsis(n))
	w.paragraphs(n.Help)
	for _, p := range n.Positional {
		w.item(italic(p.Name), meaning(p))
	}
	w.flags(n.Flags)
}

// synopsis is what follows the name of a command.
func synopsis(n *kong.Node) string {
	var b strings.Builder
	if len(n.Flags) > 0 {
		b.WriteString(" [flags]")
	}
	for _, p := range n.Positional {
		b.WriteString(" " + p.Summary())
	}
	return b.String()
}

func (w *writer) flags(all []*kong.Flag) {
	for _, f := range all {
		if f.Hidden {
			continue
		}
		term := bold("--" + f.Name)
		if f.Short != 0 {
			term = bold("-"+string(f.Short)) + ", " + term
		}
		if !f.IsBool() {
			term += "=" + italic(f.FormatPlaceHolder())
		}
		w.item(term, meaning(f.Value))
	}
}

// meaning is the help of a value, and from where else it comes.
func meaning(v *kong.Value) string {
	text := v.Help
	if v.Tag != nil && len(v.Tag.Envs) > 0 {
		text += " Environment: " + strings.Join(v.Tag.Envs, ", ") + "."
	}
	if v.HasDefault && v.Default != "" && !v.IsBool() && !strings.Contains(text, "efault") {
		text += " Default: " + v.Default + "."
	}
	return text
}

func (w *writer) part(p Part) {
	w.request("SH", strings.ToUpper(p.Title))
	for _, i := range p.Items {
		if i.Term == "" {
			w.paragraphs(i.Text)
		} else {
			w.item(bold(i.Term), i.Text)
		}
	}
}

func (w *writer) paragraphs(text string) {
	for i, p := range strings.Split(text, "\n\n") {
		if i > 0 {
			w.request("PP")
		}
		w.text(escape(strings.ReplaceAll(p, "\n", " ")))
	}
}

func (w *writer) item(term, text string) {
	w.request("TP")
	w.text(term)
	w.text(escape(text))
}

// request writes a line that the formatter obeys.
func (w *writer) request(name string, args ...string) {
	w.b.WriteString("." + name)
	for _, a := range args {
		fmt.Fprintf(&w.b, ` "%s"`, strings.ReplaceAll(escape(a), `"`, `\(dq`))
	}
	w.b.WriteString("\n")
}

// text writes a line that the formatter shows, whatever it begins with.
func (w *writer) text(line string) {
	if line == "" {
		return
	}
	if line[0] == '.' || line[0] == '\'' {
		line = `\&` + line
	}
	w.b.WriteString(line + "\n")
}

func bold(s string) string   { return `\fB` + escape(s) + `\fR` }
func italic(s string) string { return `\fI` + escape(s) + `\fR` }

// escape takes their meaning from characters that have one for the formatter. A hyphen is one
// that can be copied into a shell.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ").Replace(s)
}
