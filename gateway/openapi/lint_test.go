package openapi

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"go.yaml.in/yaml/v3"
)

func loaded(t *testing.T) (*Document, *Model) {
	t.Helper()
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	m, err := d.Model()
	if err != nil {
		t.Fatal(err)
	}
	return d, m
}

// The document is what OpenAPI 3.1 calls one.
func TestDocumentIsOpenAPI(t *testing.T) {
	d, _ := loaded(t)
	doc, err := libopenapi.NewDocument(d.JSON())
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if ok, faults := v.ValidateDocument(); !ok {
		for _, f := range faults {
			t.Error(f.Message, f.Reason, f.SchemaValidationErrors)
		}
	}
}

var camelCase = regexp.MustCompile(`^[a-z]+([A-Z][A-Za-z]*)*$`)

// Every operation can be understood by a stranger.
func TestOperationsAreDescribed(t *testing.T) {
	_, m := loaded(t)
	ids, used := make(map[string]bool), make(map[string]bool)
	for _, op := range m.Operations {
		name := op.Method + " " + op.Path
		if !camelCase.MatchString(op.ID) || ids[op.ID] {
			t.Errorf("%s: the id %q is taken or not lowerCamelCase", name, op.ID)
		}
		ids[op.ID] = true
		if op.Summary == "" || strings.HasSuffix(op.Summary, ".") || len(op.Summary) > 60 {
			t.Errorf("%s: the summary is %q", name, op.Summary)
		}
		if len(op.Tags) != 1 || !slices.ContainsFunc(m.Tags, func(g Tag) bool { return g.Name == op.Tags[0] }) {
			t.Errorf("%s: the tags are %q", name, op.Tags)
		} else {
			used[op.Tags[0]] = true
		}
		checkParameters(t, name, op.Parameters)
		checkMedia(t, name, op)
	}
	for _, g := range m.Tags {
		if !used[g.Name] || g.Description == "" {
			t.Errorf("the tag %s is not used or not described", g.Name)
		}
	}
}

func checkParameters(t *testing.T, name string, all []Parameter) {
	t.Helper()
	seen := make(map[string]bool)
	for _, p := range all {
		if p.Description == "" || p.Schema == nil || seen[p.In+p.Name] {
			t.Errorf("%s: the parameter %s is not described, has no schema, or is there twice", name, p.Name)
		}
		if p.Required && p.In != "header" && p.Example.IsZero() {
			t.Errorf("%s: the parameter %s has no example", name, p.Name)
		}
		seen[p.In+p.Name] = true
	}
}

func checkMedia(t *testing.T, name string, op Operation) {
	t.Helper()
	good := false
	if op.Body != nil {
		for _, b := range op.Body.Content {
			if b.Value.Schema == nil || b.Key != "application/wasm" && b.Value.Example.IsZero() && len(b.Value.Examples) == 0 {
				t.Errorf("%s: the body has no schema or no example", name)
			}
		}
	}
	for _, r := range op.Responses {
		good = good || r.Key[0] == '2'
		if r.Value.Description == "" || r.Value.Headers == nil {
			t.Errorf("%s %s: the reply or its headers are not described", name, r.Key)
		}
		for _, b := range r.Value.Content {
			if b.Value.Schema == nil || b.Value.Schema.Ref == "" || b.Value.Example.IsZero() {
				t.Errorf("%s %s: the reply has no named schema or no example", name, r.Key)
			}
		}
	}
	if _, ok := op.Responses.Get("default"); !good || !ok {
		t.Errorf("%s: no good reply, or no default", name)
	}
}

// What YAML makes of a comma without quotation marks is a member that nobody meant.
func TestQuotationMarks(t *testing.T) {
	d, _ := loaded(t)
	for _, line := range emptyMembers(d.root) {
		t.Errorf("line %d: a member without a value", line)
	}
	var n yaml.Node
	if err := yaml.Unmarshal([]byte("a: {b: c, d}"), &n); err != nil || len(emptyMembers(&n)) != 1 {
		t.Errorf("%v: the check does not find what it is for", err)
	}
}

// emptyMembers returns the lines of members without a value; a null that is written is one.
func emptyMembers(n *yaml.Node) (lines []int) {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && c.ShortTag() == "!!null" && c.Value == "" {
			lines = append(lines, c.Line)
		}
		lines = append(lines, emptyMembers(c)...)
	}
	return lines
}

// Whatever is referred to is there, and whatever is there is referred to.
func TestReferences(t *testing.T) {
	d, _ := loaded(t)
	used := make(map[string]bool)
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n.Kind == yaml.MappingNode {
			if ref := member(n, "$ref"); ref != nil {
				used[ref.Value] = true
				if _, err := d.find(ref.Value); err != nil {
					t.Errorf("line %d: %v", n.Line, err)
				}
			}
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(d.root)
	components := member(d.root, "components")
	for i := 0; i+1 < len(components.Content); i += 2 {
		kind := components.Content[i].Value
		for j := 0; kind != "securitySchemes" && j+1 < len(components.Content[i+1].Content); j += 2 {
			if ref := "#/components/" + kind + "/" + components.Content[i+1].Content[j].Value; !used[ref] {
				t.Errorf("%s is not used", ref)
			}
		}
	}
}
