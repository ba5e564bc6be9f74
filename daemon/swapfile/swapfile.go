// Package swapfile keeps which programs of executors were swapped, beside the journal: the
// next daemon goes on with them.
//
// Guarantees: after Save the file is the new one, whole, also when the machine loses its
// power then; before, and when Save fails, it is the old one. Load returns what was saved or
// an error. It does not lock the folder; the journal does.
package swapfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrDamaged is matched when the file is not one that Save has written.
var ErrDamaged = errors.New("the file of swapped programs can't be used")

const (
	// Name is the file's name in its folder.
	Name = "swaps.json"
	// version is of the format. A daemon that does not know it goes without the file.
	version = 1
	// maxBytes bounds the file; a larger one was not written by Save.
	maxBytes = 1 << 20
)

// Program is an executor's program.
type Program struct {
	// Command and Pin are as the configuration has them: its command and its sha256.
	Command string `json:"command"`
	Pin     string `json:"pin,omitempty"`
	// SHA256 is what the file's hash was; empty: it is not known.
	SHA256 string `json:"sha256,omitempty"`
}

// Swap is one executor's.
type Swap struct {
	Executor string `json:"executor"`
	// Replaced is what the configuration says, in whose place Program runs: both are the same
	// if the configuration itself says so. Before ran before Program; nil: nothing is to be
	// gone back to.
	Replaced Program   `json:"replaced"`
	Program  Program   `json:"program"`
	Before   *Program  `json:"before,omitempty"`
	At       time.Time `json:"at"`
}

type content struct {
	Version int    `json:"version"`
	Swaps   []Swap `json:"swaps"`
}

// Load returns what was saved last; nothing if there is no file. Errors: ErrDamaged.
func Load(folder string) ([]Swap, error) {
	path := filepath.Join(folder, Name)
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	var c content
	switch {
	case err != nil:
	case len(text) > maxBytes:
		err = fmt.Errorf("it is larger than %d bytes", maxBytes)
	default:
		err = json.Unmarshal(text, &c)
	}
	if err == nil && c.Version != version {
		err = fmt.Errorf("its version is %d, not %d", c.Version, version)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	return c.Swaps, nil
}

// Save writes the file anew.
func Save(folder string, all []Swap) error {
	text, err := json.MarshalIndent(content{version, all}, "", " ")
	if err != nil {
		return err
	}
	path := filepath.Join(folder, Name)
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) { // of a daemon that died over it
		return err
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
