package completion

import (
	"fmt"
	"strings"
)

// zsh returns a file of a folder in fpath; it can be sourced after compinit, too.
func (p *program) zsh() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %[1]s\n# zsh completion for %[1]s, written by: %[1]s completion zsh\n_%[1]s() {\n", p.name)
	b.WriteString(`    local at='' prev=${words[CURRENT-1]} i
    local -a offered
    for ((i = 2; i < CURRENT; i++)); do
        case "$at:${words[i]}" in
`)
	p.branches(func(path, name, to string) {
		fmt.Fprintf(&b, "        %s) at=%s ;;\n", quote(path+":"+name), quote(to))
	})
	fmt.Fprintf(&b, "        *:%s) ((i++)) ;;\n", strings.Join(p.takers(), "|*:"))
	b.WriteString(`        esac
    done
    if [[ $PREFIX == --*=* ]]; then
        prev=${PREFIX%%=*}
        compset -P '*='
    fi
    case "$at:$prev" in
`)
	for _, l := range p.levels {
		for _, f := range l.flags {
			if !f.value.none {
				fmt.Fprintf(&b, "    %s) %s; return ;;\n", quote(l.path+":"+f.name), zshValue(f.value))
			}
		}
	}
	b.WriteString("    esac\n    case $at in\n")
	for _, l := range p.levels {
		p.zshLevel(&b, &l)
	}
	fmt.Fprintf(&b, "    esac\n}\nif [ \"$funcstack[1]\" = _%[1]s ]; then _%[1]s \"$@\"; else compdef _%[1]s %[1]s; fi\n", p.name)
	return b.String()
}

func (p *program) zshLevel(b *strings.Builder, l *level) {
	fmt.Fprintf(b, "    %s)\n", quote(l.path))
	if len(l.commands) > 0 {
		fmt.Fprintf(b, "        offered=(%s)\n        _describe -t commands command offered\n", zshWords(l.commands))
	}
	if v := l.arguments; len(v.words) > 0 {
		fmt.Fprintf(b, "        compadd -- %s\n", strings.Join(v.words, " "))
	}
	if l.arguments.files {
		b.WriteString("        [[ $PREFIX == -* ]] || _files\n")
	}
	var flags []word
	for _, f := range l.flags {
		flags = append(flags, f.word)
	}
	fmt.Fprintf(b, "        offered=(%s)\n        _describe -o -t options option offered ;;\n", zshWords(flags))
}

func zshWords(all []word) string {
	var texts []string
	for _, w := range all {
		texts = append(texts, quote(w.name+":"+strings.ReplaceAll(w.help, ":", `\:`)))
	}
	return strings.Join(texts, " ")
}

func zshValue(v value) string {
	switch {
	case v.files:
		return "_files"
	case len(v.words) > 0:
		return "compadd -- " + strings.Join(v.words, " ")
	default:
		return "_message value"
	}
}
