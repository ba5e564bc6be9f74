package main

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"cpulb/cmd/version"
)

// manual writes the manual page of the daemon, of the flags that it parses itself.
func manual(out io.Writer, flags *flag.FlagSet) error {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH \"CPULBD\" \"8\" \"\" \"%s\" \"CPU Load Balancer\"\n", roff("cpulbd "+version.Text()))
	b.WriteString(".SH NAME\ncpulbd \\- the daemon that runs scripts in warm workers, for other programs\n")
	b.WriteString(".SH SYNOPSIS\n\\fBcpulbd\\fR [\\fIflags\\fR]\n.SH DESCRIPTION\n")
	b.WriteString(roff("It takes tasks over a Unix socket, queues them durably, and hands each to the least-loaded of its worker processes. "+
		"systemd starts it, when somebody connects to its socket. SIGTERM ends it in order, SIGHUP has it read its configuration again.") + "\n")
	b.WriteString(".SH FLAGS\n")
	flags.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fR", roff("-"+f.Name))
		if value != "" {
			fmt.Fprintf(&b, " \\fI%s\\fR", roff(value))
		}
		b.WriteString("\n\\&" + roff(text) + "\n")
	})
	b.WriteString(".SH FILES\n.TP\n\\fB" + roff(defaultConfig) + "\\fR\nThe configuration.\n.TP\n\\fB" + roff(defaultState) + "\\fR\nThe journal.\n")
	b.WriteString(".SH SEE ALSO\n\\fBcpulb\\fR(1), \\fBsystemctl\\fR(1)\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// roff takes their meaning from characters that have one for the formatter.
func roff(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`, "\n", " ").Replace(s)
}
