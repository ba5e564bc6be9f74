package main

import (
	"cmp"
	"cpulb/daemon"
	"cpulb/daemon/config"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	defaultConfig = "/etc/cpulb/config.hcl"
)

// options are the flags of the command line.
type options struct {
	config      string
	socket      string
	stateDir    string
	workerUser  string
	private     bool
	untilEOF    bool
	checkConfig bool
	showConfig  bool
	json        bool
	version     bool
	man         bool
	flags       *flag.FlagSet
}

func parseOptions(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("cpulbd", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.config, "config", "", "configuration `file`; default "+defaultConfig+" if it exists, else the built-in default")
	f.StringVar(&o.socket, "socket", "", "`path` of the socket; overrides the configuration and systemd")
	f.StringVar(&o.stateDir, "state-dir", "", "`folder` for the journal, created if absent; default systemd's, else "+defaultState+
		"; with -private, tasks are kept only if this is given")
	f.StringVar(&o.workerUser, "worker-user", "", "`user` as whom the workers of pools run that name none, as the packaged service has it; default the daemon's own")
	f.BoolVar(&o.private, "private", false, "make a socket of mode 0600, for tests and demonstrations; overrides the configuration and systemd")
	f.BoolVar(&o.untilEOF, "until-eof", false, "stop when stdin ends, as after SIGTERM, for a program that starts a daemon of its own")
	f.BoolVar(&o.checkConfig, "check-config", false, "check the configuration, print its errors and exit")
	f.BoolVar(&o.showConfig, "show-config", false, "print what holds by the configuration, what it leaves out included, and exit")
	f.BoolVar(&o.json, "json", false, "with -check-config and -show-config: print JSON")
	f.BoolVar(&o.version, "version", false, "print the version and exit")
	f.BoolVar(&o.man, "man", false, "print the manual page, for man -l, and exit")
	o.flags = f
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if err := check(f); err != nil {
		fmt.Fprintln(stderr, "cpulbd:", err)
		return nil, err
	}
	return o, nil
}

// check rejects what the flag package accepts: an empty value is most likely a
// variable that was not set, and must not mean the files of the packaged daemon.
func check(f *flag.FlagSet) error {
	var err error
	f.Visit(func(given *flag.Flag) {
		if given.Value.String() == "" {
			err = errors.Join(err, fmt.Errorf("-%s is empty", given.Name))
		}
	})
	if f.NArg() > 0 {
		err = errors.Join(err, fmt.Errorf("only flags are allowed, but there are arguments: %q", f.Args()))
	}
	return err
}

// load reads the configuration and applies the command line to it.
func (o *options) load() (*config.Config, error) {
	if o.config == "" {
		if _, err := os.Stat(defaultConfig); err == nil {
			o.config = defaultConfig
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("configuration: %w", err)
		}
	}
	c := config.Default()
	if o.config != "" {
		var err error
		if c, err = config.Load(o.config); err != nil {
			return nil, err
		}
	}
	return c, o.override(c)
}

func (o *options) override(c *config.Config) error {
	if o.socket != "" {
		path, err := filepath.Abs(o.socket)
		if err != nil {
			return fmt.Errorf("-socket: %w", err)
		}
		c.Socket.Path = path
	}
	for i := range c.Pools {
		c.Pools[i].User = cmp.Or(c.Pools[i].User, o.workerUser)
	}
	if o.private {
		c.Socket.Mode, c.Socket.Group = 0o600, ""
	}
	return nil
}

// warnings are about scripts that can do what the daemon can. With -private they are those
// of its own user alone.
func (o *options) warnings(c *config.Config) []string {
	if o.private {
		return nil
	}
	return daemon.Warnings(c)
}

// source returns where the configuration came from.
func (o *options) source() string {
	if o.config == "" {
		return "the built-in default"
	}
	return o.config
}
