package openapi

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
)

func TestLoad(t *testing.T) {
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		OpenAPI string         `json:"openapi"`
		Paths   map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(d.JSON(), &v); err != nil || v.OpenAPI != "3.1.1" || len(v.Paths) < 20 {
		t.Fatalf("%v, %d paths", err, len(v.Paths))
	}
	m, err := d.Model()
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range m.Operations {
		if op.ID == "editPost" {
			if p := op.Parameters; len(p) != 3 || p[0].Name != "post" || p[1].Name != "If-Match" || !p[1].Required {
				t.Errorf("%+v", p)
			}
			return
		}
	}
	t.Error("no editPost")
}

func TestPartsMustNotOverlap(t *testing.T) {
	for name, part := range map[string]string{
		"path":   "paths: {/a: {}}",
		"schema": "components: {schemas: {A: {}}}",
		"info":   "openapi: 3.1.1",
		"list":   "[]",
		"broken": "{",
		"hex":    "paths: {/b: {x: 0x10}}",
	} {
		files := fstest.MapFS{first: {Data: []byte("openapi: 3.1.1\npaths: {/a: {}}\ncomponents: {schemas: {A: {}}}\n")}, "b.yaml": {Data: []byte(part)}}
		if _, err := load(files); err == nil || !strings.Contains(err.Error(), "b.yaml") && name != "hex" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
