package completion

import (
	"fmt"
	"strings"
)

// fish returns a file of ~/.config/fish/completions.
func (p *program) fish() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# fish completion for %[1]s, written by: %[1]s completion fish\n", p.name)
	fmt.Fprintf(&b, "# whether the commands of the line are these\nfunction __%s_at\n    set -l at ''\n    set -l skip 0\n    set -l words (commandline -opc)\n", p.name)
	b.WriteString("    for word in $words[2..-1]\n        if test $skip = 1\n            set skip 0\n            continue\n        end\n        switch \"$at:$word\"\n")
	p.branches(func(path, name, to string) {
		fmt.Fprintf(&b, "            case %s\n                set at %s\n", fishQuote(path+":"+name), fishQuote(to))
	})
	var takers []string
	for _, name := range p.takers() {
		takers = append(takers, fishQuote("*:"+name))
	}
	fmt.Fprintf(&b, "            case %s\n                set skip 1\n        end\n    end\n    test \"$at\" = \"$argv\"\nend\n", strings.Join(takers, " "))
	fmt.Fprintf(&b, "complete -c %s -f\n", p.name)
	for _, l := range p.levels {
		p.fishLevel(&b, &l)
	}
	return b.String()
}

func (p *program) fishLevel(b *strings.Builder, l *level) {
	begin := fmt.Sprintf("complete -c %s -n %s", p.name, fishQuote(fmt.Sprintf("__%s_at %s", p.name, l.path)))
	for _, c := range l.commands {
		fmt.Fprintf(b, "%s -a %s -d %s\n", begin, fishQuote(c.name), fishQuote(c.help))
	}
	for _, w := range l.arguments.words {
		fmt.Fprintf(b, "%s -a %s\n", begin, fishQuote(w))
	}
	if l.arguments.files {
		fmt.Fprintf(b, "%s -F\n", begin)
	}
	for _, f := range l.flags {
		value := ""
		switch {
		case f.value.none:
		case f.value.files:
			value = " -r -F"
		case len(f.value.words) > 0:
			value = " -x -a " + fishQuote(strings.Join(f.value.words, " "))
		default:
			value = " -x"
		}
		fmt.Fprintf(b, "%s -l %s%s -d %s\n", begin, strings.TrimPrefix(f.name, "--"), value, fishQuote(f.help))
	}
}

// fishQuote quotes for fish, where a backslash in quotes is one before a quote alone.
func fishQuote(s string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "'", `\'`) + "'"
}
