package ipc_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

// document is openapi.json, to which every answer in these tests is held.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(text)
})

// asDocumented checks an answer against the document's schema for it. What is at
// a path that is not there, or a method that it does not take, is any problem.
func asDocumented(method, path string, resp *http.Response, answer any) error {
	doc, err := document()
	if err != nil {
		return err
	}
	kind := resp.Header.Get("Content-Type")
	responses := doc.Components.Responses["Problem"].Value
	if o := operation(doc, method, path); o != nil {
		ref := o.Responses.Status(resp.StatusCode)
		if ref == nil {
			ref = o.Responses.Default()
		}
		responses = ref.Value
	}
	media := responses.Content[kind]
	if media == nil {
		return fmt.Errorf("no content of type %q", kind)
	}
	return doc.ValidateSchemaJSON(media.Schema.Value, answer, openapi3.EnableJSONSchema2020())
}

func operation(doc *openapi3.T, method, path string) *openapi3.Operation {
	if item := doc.Paths.Value(path); item != nil {
		return item.GetOperation(method)
	}
	for template, item := range doc.Paths.Map() {
		if matches(strings.Split(template, "/"), strings.Split(path, "/")) {
			return item.GetOperation(method)
		}
	}
	return nil
}

func matches(template, path []string) bool {
	if len(template) != len(path) {
		return false
	}
	for i, part := range template {
		if part != path[i] && !strings.HasPrefix(part, "{") {
			return false
		}
	}
	return true
}

// lineAsDocumented checks one line against a schema of the document.
func lineAsDocumented(schema string, text []byte) error {
	doc, err := document()
	if err != nil {
		return err
	}
	var line any
	if err := json.Unmarshal(text, &line); err != nil {
		return err
	}
	return doc.ValidateSchemaJSON(doc.Components.Schemas[schema].Value, line, openapi3.EnableJSONSchema2020())
}
