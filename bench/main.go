// Command bench measures cpulb beside its neighbours: the same work in one run, in turns
// and several rounds, every result checked. It writes docs/benchmarks.md with its plots,
// and prints the targets. Neighbours that are not installed are named and left out.
//
//	go run ./bench [-bin bin] [-rounds 5] [-short] [-only roundtrip,fleet] [-docs docs]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cpulb/bench/part"
	"cpulb/bench/report"
	"cpulb/bench/result"

	"golang.org/x/sys/unix"
)

type options struct {
	bin, docs, only, python string
	rounds                  int
	short, verbose, again   bool
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "`folder` of the built programs")
	flag.StringVar(&o.docs, "docs", "docs", "`folder` for the page and its plots; empty: only print, which is also what -short and -only do where this is not given")
	flag.StringVar(&o.only, "only", "", "`names` of the parts to measure, with commas between: "+names(part.Parts()))
	flag.StringVar(&o.python, "python", "/usr/bin/python3", "the `interpreter` that is linked")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each is measured")
	flag.BoolVar(&o.short, "short", false, "less of each, and the large left out: for a quick look")
	flag.BoolVar(&o.verbose, "v", false, "say how long each measurement took")
	flag.BoolVar(&o.again, "again", false, "measure nothing: write the page again, of the results of the last run")
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "docs" })
	if !given && (o.short || o.only != "") {
		o.docs = ""
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func names(parts []part.Part) string {
	var all []string
	for _, p := range parts {
		all = append(all, p.Name)
	}
	return strings.Join(all, ", ")
}

func (o options) run(ctx context.Context) error {
	if o.again {
		r, err := result.Load(filepath.Join(o.docs, "benchmarks", "results.json"))
		if err != nil {
			return err
		}
		return report.Write(r, o.docs)
	}
	parts, err := chosen(o.only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cpulb-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &part.Bench{Tools: dir, Dir: dir, Python: o.python, Short: o.short, Verbose: o.verbose, Results: result.New(), Rounds: o.rounds,
		Say: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }}
	if b.Bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	if b.Drivers, err = filepath.Abs("bench/drivers"); err != nil {
		return err
	}
	if err := build(dir); err != nil {
		return err
	}
	b.Results.Machine, b.Results.Rounds, b.Results.Short = machine(dir), o.rounds, o.short
	for b.Round = range o.rounds {
		began := time.Now()
		if err := b.Measure(ctx, parts); ctx.Err() != nil {
			return errors.New("interrupted; nothing was written")
		} else if err != nil {
			return err
		}
		b.Say("round %d of %d: %.0f s", b.Round+1, o.rounds, time.Since(began).Seconds())
	}
	for _, a := range b.Results.Absent {
		fmt.Printf("not measured: %s: %s\n", a.Name, a.Why)
	}
	if o.docs == "" {
		fmt.Print(report.Page(b.Results))
		return nil
	}
	fmt.Print(report.Targets(b.Results))
	return report.Write(b.Results, o.docs)
}

func chosen(only string) ([]part.Part, error) {
	parts := part.Parts()
	if only == "" {
		return parts, nil
	}
	var some []part.Part
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(parts, func(p part.Part) bool { return p.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no part %q; there are: %s", name, names(parts))
		}
		some = append(some, parts[i])
	}
	return some, nil
}

// build makes the benchmark's own programs.
func build(dir string) error {
	const bare = "plugins/python/testdata/"
	flags, err := exec.Command("pkg-config", "--cflags", "--libs", "python3-embed").Output()
	if err != nil {
		return fmt.Errorf("pkg-config python3-embed: %w", err)
	}
	for _, command := range [][]string{
		{"go", "build", "-o", filepath.Join(dir, "goclient"), "./bench/goclient"},
		{"cc", "-O2", "-o", filepath.Join(dir, "relay"), "bench/relay/relay.c"},
		append([]string{"cc", "-O2", "-o", filepath.Join(dir, "bare"), bare + "bare/bare.c"}, strings.Fields(string(flags))...),
		{"cp", bare + "returns_params.py", dir},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, out)
		}
	}
	return nil
}
