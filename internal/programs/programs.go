// Package programs gives tests the programs of the product, for tests that run them
// as users do. Where CPULB_BIN names a folder, as in make test, they are taken from
// there as they are; else they are built, from what the build cache has, also in a
// checkout that git distrusts.
package programs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Binaries is the environment variable with the folder of programs that are there.
const Binaries = "CPULB_BIN"

// Into puts programs into folder, by their names in cmd, e.g. "cpulbd".
func Into(folder string, names ...string) error {
	for _, name := range names {
		var err error
		if from := os.Getenv(Binaries); from != "" {
			err = take(filepath.Join(from, name), filepath.Join(folder, name))
		} else {
			err = build(name, filepath.Join(folder, name))
		}
		if err != nil {
			return fmt.Errorf("program %s: %w", name, err)
		}
	}
	return nil
}

func build(name, to string) error {
	cgo := "0"
	if name == "cpulb-python" {
		cgo = "1"
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", to, "cpulb/cmd/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo, "GOEXPERIMENT=") // not those of the tests
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// take makes a file of its own of the program: tests know their processes by the path.
func take(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from) // on another file system
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
