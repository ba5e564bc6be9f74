package completion

import (
	"fmt"
	"strings"
)

// bash returns a script to be sourced, or to be put where bash-completion looks for it.
func (p *program) bash() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# bash completion for %[1]s, written by: %[1]s completion bash\n_%[1]s() {\n", p.name)
	b.WriteString(`    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at='' i
    COMPREPLY=()
    # --flag=value comes in three words
    [ "$cur" = = ] && cur=''
    [ "$prev" = = ] && prev=${COMP_WORDS[COMP_CWORD-2]}
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$at:${COMP_WORDS[i]}" in
`)
	p.branches(func(path, name, to string) {
		fmt.Fprintf(&b, "        %s) at=%s ;;\n", quote(path+":"+name), quote(to))
	})
	fmt.Fprintf(&b, "        *:%s) [ \"${COMP_WORDS[i+1]}\" = = ] && ((i++)); ((i++)) ;;\n", strings.Join(p.takers(), "|*:"))
	b.WriteString("        esac\n    done\n    case \"$at:$prev\" in\n")
	for _, l := range p.levels {
		for _, f := range l.flags {
			if !f.value.none {
				fmt.Fprintf(&b, "    %s) %s; return ;;\n", quote(l.path+":"+f.name), bashValue(f.value))
			}
		}
	}
	b.WriteString("    esac\n    case $at in\n")
	for _, l := range p.levels {
		fmt.Fprintf(&b, "    %s) if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W %s -- \"$cur\")); else\n", quote(l.path), quote(strings.Join(names(l.flags), " ")))
		var words []string
		for _, c := range l.commands {
			words = append(words, c.name)
		}
		fmt.Fprintf(&b, "        %s; fi ;;\n", bashValue(value{files: l.arguments.files, words: append(words, l.arguments.words...)}))
	}
	fmt.Fprintf(&b, "    esac\n}\ncomplete -F _%[1]s %[1]s\n", p.name)
	return b.String()
}

func bashValue(v value) string {
	switch {
	case v.files:
		return `compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur"))`
	case len(v.words) > 0:
		return fmt.Sprintf(`COMPREPLY=($(compgen -W %s -- "$cur"))`, quote(strings.Join(v.words, " ")))
	default:
		return ":"
	}
}
