package main

import (
	"io"

	"cpulb/cmd/cpulb/completion"
	"cpulb/cmd/cpulb/manual"
	"cpulb/cmd/version"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"${shells}" help:"One of: ${enum}."`
}

// Run implements the command.
func (c *completionCommand) Run(k *kong.Context, t *terminal) error {
	script, err := completion.Script(c.Shell, k.Model)
	if err != nil {
		return usageError{err}
	}
	_, err = io.WriteString(t.asIs(), script)
	return err
}

type manCommand struct{}

// Run implements the command, which is for those who make packages.
func (*manCommand) Run(k *kong.Context, t *terminal) error {
	_, err := io.WriteString(t.asIs(), page(k.Model))
	return err
}

// page is the manual page.
func page(app *kong.Application) string {
	return manual.Page(app, manual.About{
		Name: "cpulb", Section: "1", Version: version.Text(), Summary: "run scripts through cpulbd, and administer it",
		Parts: []manual.Part{
			{Title: "Environment", Items: []manual.Item{
				{Term: "CPULB_SOCKET", Text: "The daemon's socket, unless --socket names it."},
				{Term: "NO_COLOR", Text: "If it is set, and not empty, nothing is coloured."},
			}},
			{Title: "Files", Items: []manual.Item{
				{Term: "/run/cpulb/cpulb.sock", Text: "The socket of the packaged daemon."},
				{Term: "/etc/cpulb/config.hcl", Text: "Its configuration."},
				{Term: "/usr/share/doc/cpulb/", Text: "What the configuration, scripts and tasks can be."},
			}},
		},
	})
}
