package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"ticketing"
)

// schemaURL names a manifest's schema to the library; nothing is ever loaded.
const schemaURL = "manifest:config"

// nothingElse refuses every reference of a schema to something outside of it: the library would read files otherwise.
type nothingElse struct{}

func (nothingElse) Load(url string) (any, error) {
	return nil, fmt.Errorf("a schema may not refer to %q", short(url))
}

// A schema is the JSON Schema of a manifest, and what it costs to hold a configuration against it.
type schema struct {
	*jsonschema.Schema
	cost schemaCost
}

// compileSchema reads the JSON Schema of a manifest; an empty one is no schema. Faults are Invalid.
func compileSchema(text json.RawMessage) (*schema, error) {
	if len(text) == 0 {
		return nil, nil
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, invalid("The manifest's config is not JSON: %v.", err)
	}
	var m measure
	if err := m.value(doc); err != nil {
		return nil, invalid("The manifest's config is wrong: %v.", err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nothingElse{})
	c.UseRegexpEngine(patternEngine())
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, invalid("The manifest's config is no JSON Schema: %v.", err)
	}
	s, err := c.Compile(schemaURL)
	if err != nil {
		line, _, _ := strings.Cut(strings.ReplaceAll(err.Error(), "\n", " "), "\r")
		return nil, invalid("The manifest's config is no JSON Schema: %s.", line)
	}
	cost, err := costOf(s)
	return &schema{s, cost}, err
}

// checkSchema holds a configuration against the schema of its module. The fault names the first place that is wrong.
func checkSchema(s *schema, config []byte) error {
	if s == nil {
		return nil
	}
	if len(config) == 0 {
		config = []byte("{}")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(config))
	if err != nil {
		return invalid("its configuration is not JSON: %v.", err)
	}
	if err := s.cost.affords(config, doc); err != nil {
		return err
	}
	err = s.Validate(doc)
	var fault *jsonschema.ValidationError
	if !errors.As(err, &fault) {
		return ticketing.Wrap("host.checkSchema", err)
	}
	for len(fault.Causes) > 0 {
		fault = fault.Causes[0]
	}
	where := "/" + strings.Join(fault.InstanceLocation, "/")
	return invalid("its configuration is wrong at %s: %s.", where, fault.ErrorKind.LocalizedString(message.NewPrinter(language.English)))
}

// Fits reports, as Invalid, why a configuration is not one of a module with a manifest.
func Fits(m *ticketing.Manifest, config []byte) error {
	const op = "host.Fits"
	s, err := compileSchema(m.Config)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	return ticketing.Wrap(op, checkSchema(s, config))
}

// Defaults returns the configuration of the defaults that a manifest's schema names: its own, or those of its members.
func Defaults(m *ticketing.Manifest) ([]byte, error) {
	config, err := json.Marshal(defaults(m.Config))
	if err != nil || string(config) == "null" {
		config = []byte("{}")
	}
	return config, Fits(m, config)
}

// defaults is the default of a schema, nil if there is none. Of an object without one it is the members that have some.
func defaults(text json.RawMessage) any {
	var s struct {
		Default    any                        `json:"default"`
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(text, &s) != nil { // true and false are schemas, too
		return nil
	}
	if s.Default != nil {
		return s.Default
	}
	members := map[string]any{}
	for name, of := range s.Properties {
		if value := defaults(of); value != nil {
			members[name] = value
		}
	}
	if len(members) == 0 {
		return nil
	}
	return members
}
