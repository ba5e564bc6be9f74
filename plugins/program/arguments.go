package program

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrArguments is matched when params have an "argv" that can't be a program's arguments.
var ErrArguments = errors.New(`"argv" must be a list of strings and numbers, without NUL characters`)

// Arguments returns what follows the program's name in its arguments: params themselves if
// they are a list of strings and numbers, or such a list as their "argv". Other params are no
// arguments: the program reads them from its standard input.
func Arguments(params []byte) ([]string, error) {
	switch first := bytes.TrimLeft(params, " \t\r\n"); {
	case len(first) == 0:
		return nil, nil
	case first[0] == '[':
		list, err := argumentsOf(params)
		if errors.Is(err, errKind) {
			return nil, nil
		}
		return list, err
	case first[0] != '{':
		return nil, nil
	}
	var object struct {
		Argv json.RawMessage `json:"argv"`
	}
	if err := json.Unmarshal(params, &object); err != nil || len(object.Argv) == 0 {
		return nil, nil // JSON that only this library refuses is not for it to judge
	}
	list, err := argumentsOf(object.Argv)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArguments, err)
	}
	return list, nil
}

var (
	errKind = errors.New("it has something else")
	errNUL  = errors.New("one of them has a NUL character")
)

func argumentsOf(text []byte) ([]string, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, errKind
	}
	all := make([]string, 0, len(list))
	for _, item := range list {
		switch {
		case item[0] == '-' || item[0] >= '0' && item[0] <= '9':
			all = append(all, string(item))
			continue
		case item[0] != '"':
			return nil, errKind
		}
		var s string
		if err := json.Unmarshal(item, &s); err != nil {
			return nil, errKind
		}
		if strings.IndexByte(s, 0) >= 0 {
			return nil, errNUL
		}
		all = append(all, s)
	}
	return all, nil
}

// WriteInput writes what a program reads from its standard input: params on one line.
func WriteInput(w io.Writer, params []byte) error {
	if bytes.IndexByte(params, '\n') >= 0 {
		var line bytes.Buffer
		line.Grow(len(params))
		if json.Compact(&line, params) == nil { // the daemon has checked them
			params = line.Bytes()
		}
	}
	if _, err := w.Write(params); err != nil {
		return err
	}
	_, err := w.Write([]byte{'\n'})
	return err
}
