package ipc

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/api"
	"cpulb/daemon/task"

	"github.com/getkin/kin-openapi/openapi3"
)

func readOpenAPI(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// operations lists doc's as "METHOD /path".
func operations(doc *openapi3.T) map[string]*openapi3.Operation {
	all := map[string]*openapi3.Operation{}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			all[method+" "+path] = o
		}
	}
	return all
}

func TestTheDocumentIsOpenAPI31(t *testing.T) {
	doc := readOpenAPI(t)
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaDefaultsValidation(), openapi3.EnableMultiError()); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Errorf("version %s", doc.OpenAPI)
	}
}

// What validates can still be of little use; this is what linters ask for.
func TestTheDocumentSaysWhatEverythingIs(t *testing.T) {
	doc := readOpenAPI(t)
	ids := map[string]string{}
	for name, o := range operations(doc) {
		if o.OperationID == "" || o.Summary == "" || len(o.Tags) != 1 || doc.Tags.Get(o.Tags[0]) == nil || doc.Tags.Get(o.Tags[0]).Description == "" {
			t.Errorf("%s: operationId %q, summary %q, tags %v", name, o.OperationID, o.Summary, o.Tags)
		}
		if before, twice := ids[o.OperationID]; twice {
			t.Errorf("%s and %s have the same operationId", name, before)
		}
		ids[o.OperationID] = name
		for _, p := range o.Parameters {
			if p.Value.Description == "" {
				t.Errorf("%s: parameter %s has no description", name, p.Value.Name)
			}
		}
	}
	for name, s := range doc.Components.Schemas {
		if s.Value.Description == "" {
			t.Errorf("schema %s has no description", name)
		}
		for field, p := range s.Value.Properties {
			if p.Value.Description == "" {
				t.Errorf("%s.%s has no description", name, field)
			}
		}
		if uses := strings.Count(string(openAPI), `"#/components/schemas/`+name+`"`); uses == 0 && !strings.HasPrefix(name, "Stream") {
			t.Errorf("nothing uses schema %s", name)
		}
	}
}

func TestTheDocumentHasEveryCall(t *testing.T) {
	var served []string
	for path, handlers := range (&Server{}).calls() {
		for method := range handlers {
			served = append(served, method+" "+strings.Replace(path, "...}", "}", 1))
		}
	}
	slices.Sort(served)
	if documented := slices.Sorted(maps.Keys(operations(readOpenAPI(t)))); !slices.Equal(documented, served) {
		t.Errorf("documented:\n%s\nserved:\n%s", strings.Join(documented, "\n"), strings.Join(served, "\n"))
	}
}

// An unknown query parameter is refused by naming those that there are.
func TestTheDocumentHasEveryQueryParameter(t *testing.T) {
	s := NewServer(nil, Options{BodyBytes: 1})
	all := operations(readOpenAPI(t))
	free := []string{"GET /metrics", "GET /debug/pprof/{profile}", "GET /healthz", "GET /readyz"} // others decide
	for path, handlers := range s.calls() {
		for method, handler := range handlers {
			name := method + " " + strings.Replace(path, "...}", "}", 1)
			if slices.Contains(free, name) {
				continue
			}
			r := httptest.NewRequest(method, "/?banana=1", nil)
			for _, id := range []string{"task_id", "batch_id"} {
				r.SetPathValue(id, "01890000-0000-7000-8000-000000000000")
			}
			w := httptest.NewRecorder()
			func() {
				defer func() {
					if recover() != nil { // there is no engine
						t.Errorf("%s takes an unknown parameter", name)
					}
				}()
				handler(w, r)
			}()
			var documented []string
			for _, p := range all[name].Parameters {
				if p.Value.In == "query" {
					documented = append(documented, p.Value.Name)
				}
			}
			var p api.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Code != codeBadQuery || !sameNames(p.Allowed, documented) {
				t.Errorf("%s: %v takes %v, documented are %v", name, err, p.Allowed, documented)
			}
		}
	}
}

func TestTheDocumentHasEveryProblem(t *testing.T) {
	doc := readOpenAPI(t)
	var documented []string
	for _, code := range doc.Components.Schemas["Problem"].Value.Properties["code"].Value.Enum {
		documented = append(documented, fmt.Sprint(code))
	}
	var known []string
	for _, k := range kinds() {
		known = append(known, k.code)
		text := ""
		for _, name := range []string{fmt.Sprint("Problem", k.status), "Problem"} {
			if r := doc.Components.Responses[name]; r != nil && text == "" {
				text = *r.Value.Description
			}
		}
		if !strings.Contains(text, k.code) {
			t.Errorf("%s is among no response: %q", k.code, text)
		}
	}
	if !sameNames(documented, known) {
		t.Errorf("documented: %v\nin the code: %v", documented, known)
	}
}

func TestTheDocumentHasEveryFieldOfATask(t *testing.T) {
	s := readOpenAPI(t).Components.Schemas["Task"].Value
	if documented := slices.Collect(maps.Keys(s.Properties)); !sameNames(documented, task.Fields()) {
		t.Errorf("documented: %v\nin the code: %v", documented, task.Fields())
	}
	whole, err := task.Decode([]byte(`{"script_path":"/x.py"}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"function": whole.Function, "task_type": string(whole.Type), "priority": float64(whole.Priority),
		"retry_backoff": whole.Extras().RetryBackoff.String(), "on_worker_lost": string(whole.Extras().OnWorkerLost)} {
		if got := s.Properties[name].Value.Default; got != want {
			t.Errorf("%s: default %v, in the code %v", name, got, want)
		}
	}
	for name, want := range map[string]int{"script_path": task.MaxPathBytes, "source": task.MaxSourceBytes, "function": task.MaxFunctionBytes, "pool": task.MaxNameBytes,
		"executor": task.MaxNameBytes, "idempotency_key": task.MaxKeyBytes, "concurrency_key": task.MaxKeyBytes, "traceparent": task.MaxTraceBytes} {
		if got := s.Properties[name].Value.MaxLength; got == nil || *got != uint64(want) {
			t.Errorf("%s: maxLength %v, in the code %d", name, got, want)
		}
	}
}

// The names, the types and which of them may be absent or null.
func TestTheDocumentHasEveryFieldOfTheAnswers(t *testing.T) {
	doc := readOpenAPI(t)
	for name, v := range map[string]any{"View": task.View{}, "Result": task.Result{}, "Worker": task.Worker{}, "Error": task.Error{}, "Event": task.Event{},
		"Problem": api.Problem{}, "BatchAnswer": api.Batch{}, "BatchError": api.BatchError{}, "BatchView": api.BatchView{}, "Listing": api.Listing{},
		"DaemonStatus": api.Status{}, "EngineStatus": api.EngineStatus{}, "Component": api.Component{}, "WorkerStatus": api.WorkerStatus{},
		"ExecutorStatus": api.ExecutorStatus{}, "ScheduleStatus": api.ScheduleStatus{},
		"SwapStatus": api.SwapStatus{}, "CanaryStatus": api.CanaryStatus{}} {
		s := doc.Components.Schemas[name].Value
		var fields, always []string
		for f := range reflect.TypeOf(v).Fields() {
			if !f.IsExported() || f.Tag.Get("json") == "-" {
				continue
			}
			field, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields = append(fields, field)
			if options != "omitempty" {
				always = append(always, field)
			}
			p := s.Properties[field]
			if p == nil {
				continue // told below
			}
			wanted := jsonType(f.Type)
			if wanted == "" {
				continue // anything
			}
			if !slices.Contains(typesOf(p.Value), wanted) {
				t.Errorf("%s.%s: is a %s, documented as %v", name, field, wanted, typesOf(p.Value))
			}
			if null := f.Type.Kind() == reflect.Pointer && options == ""; null != slices.Contains(typesOf(p.Value), "null") {
				t.Errorf("%s.%s: that it may be null is %v, documented as %v", name, field, null, typesOf(p.Value))
			}
		}
		if documented := slices.Collect(maps.Keys(s.Properties)); !sameNames(documented, fields) {
			t.Errorf("%s: documented: %v\nin the code: %v", name, documented, fields)
		}
		if !sameNames(s.Required, always) {
			t.Errorf("%s: required: %v\nalways there: %v", name, s.Required, always)
		}
	}
}

func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// jsonType is what a value of type t is as JSON; empty if that may be anything.
func jsonType(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()) {
		return "string"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.String:
		return "string"
	case reflect.Map, reflect.Struct:
		return "object"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 { // json.RawMessage
			return ""
		}
		return "array"
	}
	return t.String()
}

func typesOf(s *openapi3.Schema) []string {
	var all []string
	if s.Type != nil {
		all = *s.Type
	}
	for _, one := range s.OneOf {
		all = append(all, typesOf(one.Value)...)
	}
	return all
}

func TestTheDocumentIsServed(t *testing.T) {
	w := httptest.NewRecorder()
	NewServer(nil, Options{}).getOpenAPI(w, httptest.NewRequest("GET", "/v1/openapi.json", nil))
	if w.Code != http.StatusOK || w.Body.String() != string(openAPI) {
		t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
	}
}
