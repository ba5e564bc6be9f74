// Package completion writes scripts with which a shell completes a command line, from the
// grammar that the program itself parses it by.
//
// Guarantees: every command, flag and listed value that --help shows is offered where it may
// stand, and nothing else; where a file may stand, files are. The scripts run nothing of the
// program.
package completion

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// ErrShell is matched when there is no script for a shell.
var ErrShell = errors.New("no completion for this shell")

// Shells are those for which there is a script.
func Shells() []string { return []string{"bash", "zsh", "fish"} }

// Script returns the script of a shell for a program.
func Script(shell string, app *kong.Application) (string, error) {
	p := program{name: app.Name, levels: levels(app.Node, "", nil)}
	switch shell {
	case "bash":
		return p.bash(), nil
	case "zsh":
		return p.zsh(), nil
	case "fish":
		return p.fish(), nil
	}
	return "", fmt.Errorf("%w: %q (allowed: %s)", ErrShell, shell, strings.Join(Shells(), ", "))
}

// program is what there is to complete.
type program struct {
	name   string
	levels []level
}

// level is what may stand after some commands.
type level struct {
	// path are the commands, with blanks between them.
	path     string
	commands []word
	// aliases are other names of commands, which work and are not offered.
	aliases map[string]string
	flags   []flag
	// arguments is what those that are no commands are.
	arguments value
}

// word is a command, or a flag, and what it is for.
type word struct{ name, help string }

type flag struct {
	word
	value value
}

// value is what may stand in a place.
type value struct {
	// none: no value belongs there.
	none  bool
	files bool
	// words are the values; none: they are the user's to know.
	words []string
}

// levels lists a command and those beneath it.
func levels(n *kong.Node, path string, above []flag) []level {
	own := slices.Clone(above)
	for _, f := range n.Flags {
		if !f.Hidden {
			own = append(own, flagOf(f))
		}
	}
	l := level{path: path, flags: own, arguments: arguments(n)}
	if d := n.DefaultCmd; d != nil { // its flags may stand without its name
		for _, f := range d.Flags {
			if !f.Hidden {
				l.flags = append(l.flags, flagOf(f))
			}
		}
		l.arguments = arguments(d)
	}
	l.aliases = map[string]string{}
	all := []level{{}}
	for _, c := range n.Children {
		if c.Hidden {
			continue
		}
		l.commands = append(l.commands, word{c.Name, brief(c.Help)})
		for _, a := range c.Aliases {
			l.aliases[a] = c.Name
		}
		all = append(all, levels(c, strings.TrimSpace(path+" "+c.Name), own)...)
	}
	all[0] = l
	return all
}

func flagOf(f *kong.Flag) flag {
	return flag{word{"--" + f.Name, brief(f.Help)}, valueOf(f.Value, f.PlaceHolder)}
}

// arguments joins what the arguments of a command may be: which of them is next is not told
// apart.
func arguments(n *kong.Node) value {
	v := value{none: len(n.Positional) == 0, files: n.Passthrough}
	for _, p := range n.Positional {
		one := valueOf(p, p.Tag.PlaceHolder)
		v.files = v.files || one.files
		v.words = append(v.words, one.words...)
	}
	return v
}

// file is how arguments and placeholders that name files are called.
var file = regexp.MustCompile(`(?i)^(/?path(\.py)?|script|file|folder|dir|command|venv|cwd)$`)

func valueOf(v *kong.Value, placeholder string) value {
	if v.IsBool() {
		return value{none: true}
	}
	var words []string
	if v.Enum != "" {
		words = slices.DeleteFunc(v.EnumSlice(), func(s string) bool { return s == "" })
	}
	return value{words: words, files: file.MatchString(placeholder) || file.MatchString(v.Name)}
}

// brief is the first sentence of a help, for lists.
func brief(help string) string {
	first, _, _ := strings.Cut(help, ". ")
	return strings.TrimSuffix(first, ".")
}

// takers lists the flags after which a value stands, of all levels.
func (p *program) takers() []string {
	var all []string
	for _, l := range p.levels {
		for _, f := range l.flags {
			if !f.value.none && !slices.Contains(all, f.name) {
				all = append(all, f.name)
			}
		}
	}
	return all
}

// branches lists, for each command and each of its names, where it may stand and to which
// level it leads: with it, a shell finds the level of a line.
func (p *program) branches(each func(path, name, to string)) {
	for _, l := range p.levels {
		for _, c := range l.commands {
			each(l.path, c.name, strings.TrimSpace(l.path+" "+c.name))
		}
		for _, a := range slices.Sorted(maps.Keys(l.aliases)) {
			each(l.path, a, strings.TrimSpace(l.path+" "+l.aliases[a]))
		}
	}
}

// quote is for bash and zsh.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func names(flags []flag) []string {
	var all []string
	for _, f := range flags {
		all = append(all, f.name)
	}
	return all
}
