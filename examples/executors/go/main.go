// Command go is an executor whose scripts are templates (text/template): params are the
// template's data, and what it gives is the result, as JSON if it is JSON, else as a text.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/template"

	"cpulb/plugins"
)

func main() {
	plugins.ServeSimple(plugins.Simple{Name: "templates", Version: "1", Run: run})
}

func run(ctx context.Context, c *plugins.Call) (any, error) {
	text, err := c.Script()
	if err != nil {
		return nil, err
	}
	t, err := template.New(c.ScriptPath).Funcs(functions(ctx, c)).Parse(text)
	if err != nil {
		return nil, &plugins.Failure{Type: "SyntaxError", Code: "script_syntax", Message: err.Error()}
	}
	var params any
	if err := json.Unmarshal(c.Params, &params); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, params); err != nil {
		return nil, err
	}
	if json.Valid(out.Bytes()) {
		return json.RawMessage(out.Bytes()), nil
	}
	return out.String(), nil
}

// functions are what a template can call beside Go's own.
func functions(ctx context.Context, c *plugins.Call) template.FuncMap {
	return template.FuncMap{
		"task_id":  func() string { return c.ID },
		"say":      func(text any) string { fmt.Fprintln(&c.Stdout, text); return "" },
		"json":     func(v any) (string, error) { text, err := json.Marshal(v); return string(text), err },
		"partial":  func(v any) (string, error) { text, err := json.Marshal(v); c.Partial(text); return "", err },
		"progress": func(fraction float64, message string) string { c.Progress(fraction, message); return "" },
		"log":      func(level, message string) string { c.Log(level, message); return "" },
		"fail":     func(message string) (string, error) { return "", errors.New(message) },
		"wait":     func() (string, error) { <-ctx.Done(); return "", ctx.Err() },
	}
}
