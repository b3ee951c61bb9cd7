package openapi

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// typeOf says in words what a value is.
func typeOf(s *Schema) TypeDoc {
	if s == nil {
		return TypeDoc{}
	}
	switch {
	case s.Ref != "":
		return TypeDoc{Name: s.Name()}
	case len(s.AllOf) == 1:
		return typeOf(s.AllOf[0])
	case len(s.AllOf) > 1:
		d := typeOf(s.AllOf[0])
		d.Rules = "and more"
		return d
	case len(s.OneOf) > 0:
		return oneOf(s.OneOf)
	case s.Items != nil:
		d := typeOf(s.Items)
		d.Words = strings.TrimSpace("list of " + d.Words)
		d.Rules = join(counted(s.MinItems, s.MaxItems, "items"), d.Rules)
		return d
	}
	kinds := slices.DeleteFunc(slices.Clone([]string(s.Type)), func(t string) bool { return t == "null" })
	d := TypeDoc{Words: strings.Join(kinds, " or ")}
	if len(kinds) < len(s.Type) {
		d.Words = strings.TrimPrefix(d.Words+" or null", " or ")
	}
	d.Rules = join(s.Format, enum(s.Enum), counted(s.MinLength, s.MaxLength, "characters"), counted(s.Minimum, s.Maximum, ""))
	if s.Pattern != "" && s.MaxLength == nil && len(s.Enum) == 0 {
		d.Rules = join(d.Rules, "matches "+s.Pattern)
	}
	if !s.Default.IsZero() {
		d.Rules = join(d.Rules, "default "+s.Default.Value)
	}
	return d
}

func oneOf(all []*Schema) TypeDoc {
	var names []string
	var d TypeDoc
	for _, s := range all {
		t := typeOf(s)
		if t.Name != "" && d.Name == "" {
			d.Name = t.Name
			continue
		}
		names = append(names, t.Words+t.Name)
	}
	d.Rules = "or " + strings.Join(names, " or ")
	return d
}

func enum(values []yaml.Node) string {
	var names []string
	for _, v := range values {
		names = append(names, v.Value)
	}
	if len(names) == 0 {
		return ""
	}
	return "one of " + strings.Join(names, ", ")
}

// counted says between which bounds a number or a length is.
func counted(least, most *int, unit string) string {
	var words string
	switch {
	case least != nil && most != nil && *least == 0:
		words = fmt.Sprintf("at most %d", *most)
	case least != nil && most != nil:
		words = fmt.Sprintf("%d to %d", *least, *most)
	case least != nil && *least > 0:
		words = fmt.Sprintf("at least %d", *least)
	case most != nil:
		words = fmt.Sprintf("at most %d", *most)
	default:
		return ""
	}
	return strings.TrimSpace(words + " " + unit)
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}
