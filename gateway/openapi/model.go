package openapi

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Map is a mapping in the order of the file.
type Map[T any] []Entry[T]

// Entry is a member of a [Map].
type Entry[T any] struct {
	Key   string
	Value T
}

// UnmarshalYAML reads a mapping.
func (m *Map[T]) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: not a mapping", n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		e := Entry[T]{Key: n.Content[i].Value}
		if err := n.Content[i+1].Decode(&e.Value); err != nil {
			return err
		}
		*m = append(*m, e)
	}
	return nil
}

// Get returns a member, and whether it is there.
func (m Map[T]) Get(key string) (value T, ok bool) {
	for _, e := range m {
		if e.Key == key {
			return e.Value, true
		}
	}
	return value, false
}

// Model is the document as Go sees it. References are resolved, except those of schemas, which are kept by name.
type Model struct {
	Title, Version, Summary, Description string
	Tags                                 []Tag
	Operations                           []Operation
	Schemas                              Map[*Schema]
	Schemes                              Map[Scheme]
}

// Tag is a subject.
type Tag struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
}

// Scheme is a way to say who asks.
type Scheme struct {
	Type        string `yaml:"type"`
	In          string `yaml:"in"`
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
}

// Operation is one method of one path.
type Operation struct {
	Method      string                `yaml:"-"`
	Path        string                `yaml:"-"`
	ID          string                `yaml:"operationId"`
	Tags        []string              `yaml:"tags"`
	Summary     string                `yaml:"summary"`
	Description string                `yaml:"description"`
	Security    []map[string][]string `yaml:"security"`
	BodyLimit   int                   `yaml:"x-body-limit"` // bytes
	Recent      bool                  `yaml:"x-recent-password"`
	Parameters  []Parameter           `yaml:"parameters"`
	Body        *Body                 `yaml:"requestBody"`
	Responses   Map[Response]         `yaml:"responses"`
}

// Parameter is a part of the path, the query or the header.
type Parameter struct {
	Name        string    `yaml:"name"`
	In          string    `yaml:"in"`
	Required    bool      `yaml:"required"`
	Description string    `yaml:"description"`
	Schema      *Schema   `yaml:"schema"`
	Example     yaml.Node `yaml:"example"`
}

// Body is what a request carries.
type Body struct {
	Required bool       `yaml:"required"`
	Content  Map[Media] `yaml:"content"`
}

// Response is an answer.
type Response struct {
	Description string      `yaml:"description"`
	Headers     Map[Header] `yaml:"headers"`
	Content     Map[Media]  `yaml:"content"`
}

// Header is a member of a reply's header.
type Header struct {
	Description string  `yaml:"description"`
	Schema      *Schema `yaml:"schema"`
}

// Media is a body in one media type.
type Media struct {
	Schema   *Schema      `yaml:"schema"`
	Example  yaml.Node    `yaml:"example"`
	Examples Map[Example] `yaml:"examples"`
}

// Example is one of several.
type Example struct {
	Summary string    `yaml:"summary"`
	Value   yaml.Node `yaml:"value"`
}

// Schema is what is said about a value, as far as this document uses it.
type Schema struct {
	Ref         string       `yaml:"$ref"`
	Type        Types        `yaml:"type"`
	Description string       `yaml:"description"`
	Format      string       `yaml:"format"`
	Pattern     string       `yaml:"pattern"`
	MinLength   *int         `yaml:"minLength"`
	MaxLength   *int         `yaml:"maxLength"`
	Minimum     *int         `yaml:"minimum"`
	Maximum     *int         `yaml:"maximum"`
	MinItems    *int         `yaml:"minItems"`
	MaxItems    *int         `yaml:"maxItems"`
	Enum        []yaml.Node  `yaml:"enum"`
	Const       yaml.Node    `yaml:"const"`
	Default     yaml.Node    `yaml:"default"`
	Properties  Map[*Schema] `yaml:"properties"`
	Required    []string     `yaml:"required"`
	Items       *Schema      `yaml:"items"`
	OneOf       []*Schema    `yaml:"oneOf"`
	AllOf       []*Schema    `yaml:"allOf"`
	Additional  yaml.Node    `yaml:"additionalProperties"`
	MinProps    *int         `yaml:"minProperties"`
	MaxProps    *int         `yaml:"maxProperties"`
	Unique      bool         `yaml:"uniqueItems"`
	Examples    []yaml.Node  `yaml:"examples"`
	Media       string       `yaml:"contentMediaType"`
	Content     *Schema      `yaml:"contentSchema"` // of a string that holds such values
}

// Name is the name of the schema that a reference points to, "" if it is none.
func (s *Schema) Name() string { return strings.TrimPrefix(s.Ref, "#/components/schemas/") }

// Types are the JSON types of a schema: one, or a list.
type Types []string

// UnmarshalYAML reads both forms.
func (t *Types) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*t = Types{n.Value}
		return nil
	}
	return n.Decode((*[]string)(t))
}

// methods are in the order in which they are shown.
var methods = [...]string{"get", "post", "put", "patch", "delete"}

// Model reads the document.
func (d *Document) Model() (*Model, error) {
	var top struct {
		Info struct {
			Title       string `yaml:"title"`
			Version     string `yaml:"version"`
			Summary     string `yaml:"summary"`
			Description string `yaml:"description"`
		} `yaml:"info"`
		Tags       []Tag          `yaml:"tags"`
		Paths      Map[yaml.Node] `yaml:"paths"`
		Components struct {
			Schemas Map[*Schema] `yaml:"schemas"`
			Schemes Map[Scheme]  `yaml:"securitySchemes"`
		} `yaml:"components"`
	}
	if err := d.root.Decode(&top); err != nil {
		return nil, err
	}
	m := &Model{Title: top.Info.Title, Version: top.Info.Version, Summary: top.Info.Summary, Description: top.Info.Description,
		Tags: top.Tags, Schemas: top.Components.Schemas, Schemes: top.Components.Schemes}
	for _, p := range top.Paths {
		if err := d.operations(m, p.Key, &p.Value); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Key, err)
		}
	}
	return m, nil
}

func (d *Document) operations(m *Model, path string, item *yaml.Node) error {
	for i := 0; i+1 < len(item.Content); i += 2 {
		if k := item.Content[i].Value; k != "parameters" && !slices.Contains(methods[:], k) {
			return fmt.Errorf("%s is not known here", k)
		}
	}
	for _, method := range methods {
		node := member(item, method)
		if node == nil {
			continue
		}
		op := Operation{Method: strings.ToUpper(method), Path: path}
		full, err := d.resolve(node)
		if err == nil {
			err = full.Decode(&op)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		if shared := member(item, "parameters"); shared != nil {
			var all []Parameter
			if full, err = d.resolve(shared); err == nil {
				err = full.Decode(&all)
			}
			if err != nil {
				return err
			}
			op.Parameters = append(all, op.Parameters...)
		}
		m.Operations = append(m.Operations, op)
	}
	return nil
}

// resolve copies a node with what its references point to, except schemas.
func (d *Document) resolve(n *yaml.Node) (*yaml.Node, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.MappingNode {
		if ref := member(n, "$ref"); ref != nil && !strings.HasPrefix(ref.Value, "#/components/schemas/") {
			target, err := d.find(ref.Value)
			if err != nil {
				return nil, err
			}
			return d.resolve(target)
		}
	}
	out := *n
	out.Content = make([]*yaml.Node, len(n.Content))
	for i, c := range n.Content {
		full, err := d.resolve(c)
		if err != nil {
			return nil, err
		}
		out.Content[i] = full
	}
	return &out, nil
}

// find follows a reference within the document.
func (d *Document) find(ref string) (*yaml.Node, error) {
	rest, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil, fmt.Errorf("%q does not point into this document", ref)
	}
	n := d.root
	for name := range strings.SplitSeq(rest, "/") {
		if n = member(n, name); n == nil {
			return nil, fmt.Errorf("%q points nowhere", ref)
		}
	}
	return n, nil
}
