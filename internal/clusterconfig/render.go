package clusterconfig

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"ticketing/config"
)

// secrets are the settings that belong to a machine or a person, and not into a file that was made elsewhere.
var secrets = map[string]bool{"operator.email": true, "operator.password": true, "smtp.url": true}

// Render returns a config as a YAML file: data and everything that is not the default, in the order of the struct, but no password. The
// comment goes to the top.
func Render(c config.Config, comment string) ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	value, initial := reflect.ValueOf(c), reflect.ValueOf(config.Default())
	for i, key := range config.Keys() {
		if v := value.Field(i); !secrets[key] && (key == "data" || !reflect.DeepEqual(v.Interface(), initial.Field(i).Interface())) {
			if err := put(root, key, v.Interface()); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return encode(root, comment)
}

// RenderIdentity returns the part of a config that a new certificate replaces.
func RenderIdentity(id Identity, comment string) ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range [...][2]string{{"cluster.ca", id.CA}, {"cluster.cert", id.Cert}, {"cluster.key", id.Key}} {
		if err := put(root, s[0], s[1]); err != nil {
			return nil, err
		}
	}
	return encode(root, comment)
}

func encode(root *yaml.Node, comment string) ([]byte, error) {
	var out bytes.Buffer
	if comment != "" {
		out.WriteString("# " + comment + "\n")
	}
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(root); err != nil {
		return nil, err
	}
	return out.Bytes(), e.Close()
}

// put adds a setting; the parts of its key between dots are maps in maps.
func put(root *yaml.Node, key string, v any) error {
	if d, ok := v.(time.Duration); ok {
		v = d.String()
	}
	leaf := new(yaml.Node)
	if err := leaf.Encode(v); err != nil {
		return err
	}
	parts := strings.Split(key, ".")
	for _, p := range parts[:len(parts)-1] {
		root = child(root, p)
	}
	root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: parts[len(parts)-1]}, leaf)
	return nil
}

// child finds or adds a map in a map.
func child(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	c := &yaml.Node{Kind: yaml.MappingNode}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, c)
	return c
}
