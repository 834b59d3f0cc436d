package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto/internal/server"
)

// TestTheAPIIsDescribed compares what the server serves with what openapi.json says of it.
func TestTheAPIIsDescribed(t *testing.T) {
	url, _ := start(t, server.Config{})
	var description struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Summary     string
			Parameters  []struct{ Name, In string }
			Responses   map[string]any
		}
		Components struct{ Schemas, Responses map[string]any }
	}
	text := getJSON(t, url+"/_rialto/v1/openapi.json", &description)
	var described []string
	ids := make(map[string]string)
	for path, operations := range description.Paths {
		for method, o := range operations {
			name := strings.ToUpper(method) + " " + path
			described = append(described, name)
			if o.OperationID == "" || o.Summary == "" || len(o.Responses) == 0 || ids[o.OperationID] != "" {
				t.Errorf("%s needs an operationId of its own (%q), a summary and responses", name, o.OperationID)
			}
			ids[o.OperationID] = name
			for _, p := range o.Parameters {
				if p.In == "path" && !strings.Contains(path, "{"+p.Name+"}") {
					t.Errorf("%s has no {%s} in its path", name, p.Name)
				}
			}
			for part := range strings.SplitSeq(path, "/") {
				if in, ok := strings.CutPrefix(part, "{"); ok && !hasParameter(o.Parameters, strings.TrimSuffix(in, "}")) {
					t.Errorf("%s does not describe the parameter %s of its path", name, part)
				}
			}
		}
	}
	slices.Sort(described)
	var served struct{ Operations []string }
	getJSON(t, url+"/_rialto/v1/", &served)
	if diff := cmp.Diff(described, served.Operations); diff != "" {
		t.Errorf("openapi.json and the routes differ (-described +served):\n%s", diff)
	}
	for part := range strings.SplitSeq(text, `"$ref"`) {
		ref, ok := strings.CutPrefix(strings.TrimLeft(part, ": "), `"#/components/`)
		if !ok {
			continue
		}
		ref, _, _ = strings.Cut(ref, `"`)
		kind, name, _ := strings.Cut(ref, "/")
		if of := map[string]map[string]any{"schemas": description.Components.Schemas, "responses": description.Components.Responses}[kind]; of[name] == nil {
			t.Errorf("the reference to %s leads nowhere; there are %v", ref, slices.Sorted(maps.Keys(of)))
		}
	}
}

func hasParameter(list []struct{ Name, In string }, name string) bool {
	return slices.ContainsFunc(list, func(p struct{ Name, In string }) bool { return p.Name == name && p.In == "path" })
}

// getJSON reads what a URL answers, and returns it as text, too.
func getJSON(t *testing.T, url string, v any) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var raw json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&raw); err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s %s, %v", url, r.Status, raw, err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatalf("%s answers %s: %v", url, raw, err)
	}
	return string(raw)
}
