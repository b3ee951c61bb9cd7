package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"go.yaml.in/yaml/v3"
)

// first is the part that the document begins with.
const first = "openapi.yaml"

// Document is the merged description. Nobody changes it.
type Document struct {
	root *yaml.Node
	json []byte
}

// Load merges the parts. It takes some milliseconds; its errors are faults of the embedded files.
func Load() (*Document, error) { return load(parts) }

func load(files fs.FS) (*Document, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, err
	}
	root, err := readPart(files, first)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name == first {
			continue
		}
		part, err := readPart(files, name)
		if err != nil {
			return nil, err
		}
		if err := merge(root, part, ""); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	d := &Document{root: root}
	var b bytes.Buffer
	if err := writeJSON(&b, root); err != nil {
		return nil, err
	}
	d.json = b.Bytes()
	return d, nil
}

// JSON is the document as JSON, with the members in the order of the files. Nobody may change it.
func (d *Document) JSON() []byte { return d.json }

func readPart(files fs.FS, name string) (*yaml.Node, error) {
	b, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	var n yaml.Node
	if err := yaml.Unmarshal(b, &n); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(n.Content) != 1 || n.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s is not a mapping", name)
	}
	return n.Content[0], nil
}

// merge adds the members of a part. Only paths and components, and the kinds of components, may be in both.
func merge(into, part *yaml.Node, at string) error {
	for i := 0; i+1 < len(part.Content); i += 2 {
		key, value := part.Content[i], part.Content[i+1]
		path := at + "/" + key.Value
		there := member(into, key.Value)
		switch {
		case there == nil:
			into.Content = append(into.Content, key, value)
		case at == "" || at == "/components":
			if there.Kind != yaml.MappingNode || value.Kind != yaml.MappingNode {
				return fmt.Errorf("%s is there twice", path)
			}
			if err := merge(there, value, path); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is there twice", path)
		}
	}
	return nil
}

// member returns a mapping's value, nil if there is none.
func member(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// writeJSON writes a node with its members in their order.
func writeJSON(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.AliasNode:
		return writeJSON(b, n.Alias)
	case yaml.ScalarNode:
		return writeScalar(b, n)
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeJSON(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, n.Content[i].Value)
			b.WriteByte(':')
			if err := writeJSON(b, n.Content[i+1]); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	}
	return errors.New("a YAML node of no known kind")
}

func writeScalar(b *bytes.Buffer, n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!null":
		b.WriteString("null")
	case "!!bool", "!!int", "!!float":
		if !json.Valid([]byte(n.Value)) {
			return fmt.Errorf("line %d: %q is not written as JSON has it", n.Line, n.Value)
		}
		b.WriteString(n.Value)
	default:
		writeString(b, n.Value)
	}
	return nil
}

func writeString(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string into a buffer: cannot fail
	b.Truncate(b.Len() - 1)
}
