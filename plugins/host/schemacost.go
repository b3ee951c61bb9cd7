package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ticketing"
)

// Bounds of what a schema may have a server do. Schemas come from the authors of modules and are checked on every node.
const (
	maxSchema         = 10_000    // steps for one value, with every reference written out
	maxSchemaPatterns = 2_000     // instructions of the schema's regular expressions together
	maxSchemaWork     = 8_000_000 // steps for one configuration: about a second
	maxExponent       = 400       // of a number: the library computes with fractions, as long as the exponent says
)

// A schemaCost is what a schema costs at most: no value of a configuration passes the same subschema twice on the same way from the
// root, so what the references come to, written out, times the values is a bound.
type schemaCost struct {
	steps    int // for a value
	patterns int // instructions that a byte goes through
	unique   int // lists whose elements are compared
}

// costOf walks over a compiled schema and writes out its references. One that does not end, or is too large then, is Invalid.
func costOf(s *jsonschema.Schema) (schemaCost, error) {
	w := schemaWalk{on: map[*jsonschema.Schema]bool{}}
	err := w.schema(s)
	return w.cost, ticketing.Wrap("host.costOf", err)
}

// A schemaWalk is on its way through a schema.
type schemaWalk struct {
	cost schemaCost
	on   map[*jsonschema.Schema]bool // from the root to here
}

func (w *schemaWalk) schema(s *jsonschema.Schema) error {
	if s == nil {
		return nil
	}
	switch {
	case w.on[s]:
		return invalid("The manifest's config is a schema that refers to itself.")
	case s.DynamicRef != nil || s.RecursiveRef != nil:
		return invalid("The manifest's config may not use dynamic references.")
	case s.Format != nil && s.Format.Validate != nil && s.Format.Name == "regex":
		return invalid("The manifest's config may not use the format regex.")
	}
	w.on[s] = true
	defer delete(w.on, s)
	w.own(s)
	if w.cost.steps > maxSchema {
		return invalid("The manifest's config is too large: written out it has more than %d parts.", maxSchema)
	}
	if w.cost.patterns > maxSchemaPatterns {
		return invalid("The regular expressions of the manifest's config are too large together.")
	}
	return w.inner(s)
}

// own counts what a schema does itself.
func (w *schemaWalk) own(s *jsonschema.Schema) {
	w.cost.steps += 1 + len(s.Required) + len(s.DependentRequired)
	if s.Enum != nil {
		for _, v := range s.Enum.Values {
			w.cost.steps += sizeOf(v)
		}
	}
	if s.Const != nil {
		w.cost.steps += sizeOf(*s.Const)
	}
	for _, names := range s.DependentRequired {
		w.cost.steps += len(names)
	}
	for _, of := range s.Dependencies {
		if names, ok := of.([]string); ok {
			w.cost.steps += len(names)
		}
	}
	if s.UniqueItems {
		w.cost.unique++
	}
	if p, ok := s.Pattern.(*schemaPattern); ok {
		w.cost.patterns += p.size
	}
	for of := range s.PatternProperties {
		if p, ok := of.(*schemaPattern); ok {
			w.cost.patterns += p.size
		}
	}
}

// inner walks over the subschemas.
func (w *schemaWalk) inner(s *jsonschema.Schema) error {
	all := []*jsonschema.Schema{
		s.Ref, s.Not, s.If, s.Then, s.Else, s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema,
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		all = append(all, list...)
	}
	for _, of := range s.Properties {
		all = append(all, of)
	}
	for _, of := range s.PatternProperties {
		all = append(all, of)
	}
	for _, of := range s.DependentSchemas {
		all = append(all, of)
	}
	some := []any{s.AdditionalProperties, s.Items, s.AdditionalItems}
	for _, of := range s.Dependencies {
		some = append(some, of)
	}
	for _, of := range some {
		switch of := of.(type) {
		case *jsonschema.Schema:
			all = append(all, of)
		case []*jsonschema.Schema:
			all = append(all, of...)
		}
	}
	for _, of := range all {
		if err := w.schema(of); err != nil {
			return err
		}
	}
	return nil
}

// affords refuses a configuration that is too much for its schema.
func (c *schemaCost) affords(config []byte, doc any) error {
	var m measure
	if err := m.value(doc); err != nil {
		return invalid("its configuration is wrong: %v.", err)
	}
	work := c.steps*m.values + c.patterns*len(config)/16
	if c.unique > 0 {
		work += c.unique * m.widest * m.widest
	}
	if work > maxSchemaWork {
		return invalid("its configuration is too large to be held against the schema of its module.")
	}
	return nil
}

// A measure is how large a JSON value is.
type measure struct {
	values int // names of members included
	widest int // elements of the longest list of something else than texts, which alone can have many elements of one hash
}

func (m *measure) value(v any) error {
	m.values++
	switch v := v.(type) {
	case json.Number:
		if _, exponent, ok := strings.Cut(strings.ToLower(v.String()), "e"); ok {
			if n, err := strconv.Atoi(exponent); err != nil || n > maxExponent || n < -maxExponent {
				return fmt.Errorf("the number %s is too large or too small", short(v.String()))
			}
		}
	case []any:
		others := 0
		for _, e := range v {
			if _, text := e.(string); !text {
				others++
			}
			if err := m.value(e); err != nil {
				return err
			}
		}
		m.widest = max(m.widest, others)
	case map[string]any:
		m.values += len(v)
		for _, e := range v {
			if err := m.value(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func sizeOf(v any) int {
	var m measure
	_ = m.value(v) // the schema's numbers were looked at before
	return m.values
}

// A schemaPattern is a regular expression of a schema, and how many instructions it has.
type schemaPattern struct {
	*regexp.Regexp
	size int
}

// patternEngine returns what compiles the regular expressions of one schema, until they are too many.
func patternEngine() jsonschema.RegexpEngine {
	all := 0
	return func(pattern string) (jsonschema.Regexp, error) {
		if all > maxSchemaPatterns {
			return nil, errors.New("the regular expressions are too large together")
		}
		re, size, err := compileExpr(pattern)
		if err != nil {
			return nil, err
		}
		all += size
		return &schemaPattern{re, size}, nil
	}
}
