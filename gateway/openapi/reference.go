package openapi

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Reference is the description as people read it, one page a subject.
type Reference struct {
	Title, Version string
	Intro          template.HTML
	Subjects       []Subject
	Schemas        []SchemaDoc
}

// Subject is a page: the operations with one tag.
type Subject struct {
	Slug, Name, Description string
	Operations              []OperationDoc
}

// OperationDoc is an operation as it is shown.
type OperationDoc struct {
	ID, Method, Path, Summary string
	Description               template.HTML
	Access, Recent            string // who may call, and what else they need
	Limit                     string // of the body
	Parameters                []Row
	Bodies                    []MediaDoc
	Responses                 []ResponseDoc
	Curl                      string
}

// ResponseDoc is a reply as it is shown.
type ResponseDoc struct {
	Status, Meaning string // "404", "Not Found"
	Description     template.HTML
	Headers         []Row
	Bodies          []MediaDoc
	Good            bool
}

// MediaDoc is a body in one media type.
type MediaDoc struct {
	Type     string
	Schema   TypeDoc
	Rows     []Row // the members of a request's body
	Examples []ExampleDoc
}

// ExampleDoc is an example, indented.
type ExampleDoc struct{ Title, Text string }

// SchemaDoc is a named schema.
type SchemaDoc struct {
	Name        string
	Description template.HTML
	Type        TypeDoc
	Rows        []Row
}

// Row describes a parameter, a header or a member.
type Row struct {
	Name, Where string // Where: path, query, header
	Required    bool
	Type        TypeDoc
	Description template.HTML
}

// TypeDoc says what a value is: some words, and a link to a named schema.
type TypeDoc struct {
	Words, Name, Rules string
}

// Reference makes the pages' content.
func (m *Model) Reference() *Reference {
	r := &Reference{Title: m.Title, Version: m.Version, Intro: prose(m.Description)}
	for _, t := range m.Tags {
		s := Subject{Slug: strings.ToLower(t.Name), Name: t.Name, Description: t.Description}
		for i := range m.Operations {
			if m.Operations[i].Tags[0] == t.Name {
				s.Operations = append(s.Operations, m.operationDoc(&m.Operations[i]))
			}
		}
		r.Subjects = append(r.Subjects, s)
	}
	for _, e := range m.Schemas {
		r.Schemas = append(r.Schemas, SchemaDoc{
			Name: e.Key, Description: prose(e.Value.Description), Type: typeOf(e.Value), Rows: m.rows(e.Value),
		})
	}
	return r
}

func (m *Model) operationDoc(op *Operation) OperationDoc {
	d := OperationDoc{ID: op.ID, Method: op.Method, Path: op.Path, Summary: op.Summary, Description: prose(op.Description),
		Access: accessWords(op), Curl: curl(op)}
	if op.Recent {
		d.Recent = "With a session cookie, the password must have been given in the last 15 minutes."
	}
	for _, p := range op.Parameters {
		d.Parameters = append(d.Parameters, Row{p.Name, p.In, p.Required, typeOf(p.Schema), prose(p.Description)})
	}
	if op.Body != nil {
		d.Limit = bytesOf(op.BodyLimit)
		d.Bodies = m.bodies(op.Body.Content, true)
	}
	for _, r := range op.Responses {
		d.Responses = append(d.Responses, m.responseDoc(r.Key, r.Value))
	}
	return d
}

func (m *Model) responseDoc(status string, r Response) ResponseDoc {
	d := ResponseDoc{Status: status, Description: prose(r.Description), Bodies: m.bodies(r.Content, false), Good: status[0] == '2'}
	if n, err := strconv.Atoi(status); err == nil {
		d.Meaning = http.StatusText(n)
	}
	for _, h := range r.Headers {
		d.Headers = append(d.Headers, Row{Name: h.Key, Type: typeOf(h.Value.Schema), Description: prose(h.Value.Description)})
	}
	return d
}

func (m *Model) bodies(content Map[Media], members bool) []MediaDoc {
	var all []MediaDoc
	for _, c := range content {
		d := MediaDoc{Type: c.Key, Schema: typeOf(c.Value.Schema)}
		if members {
			d.Rows = m.rows(c.Value.Schema)
		}
		if !c.Value.Example.IsZero() {
			d.Examples = append(d.Examples, ExampleDoc{Text: pretty(&c.Value.Example)})
		}
		for _, e := range c.Value.Examples {
			d.Examples = append(d.Examples, ExampleDoc{e.Value.Summary, pretty(&e.Value.Value)})
		}
		all = append(all, d)
	}
	return all
}

// rows are the members of an object, those of what it is made of included.
func (m *Model) rows(s *Schema) []Row {
	if s == nil {
		return nil
	}
	if s.Ref != "" {
		target, _ := m.Schemas.Get(s.Name())
		return m.rows(target)
	}
	var rows []Row
	for _, part := range s.AllOf {
		rows = append(rows, m.rows(part)...)
	}
	for _, p := range s.Properties {
		required := false
		for _, name := range s.Required {
			required = required || name == p.Key
		}
		rows = append(rows, Row{Name: p.Key, Required: required, Type: typeOf(p.Value), Description: prose(p.Value.Description)})
	}
	if len(rows) == 0 && s.Content != nil {
		return m.rows(s.Content)
	}
	return rows
}

// accessWords says who may call an operation.
func accessWords(op *Operation) string {
	words := "Everybody."
	for _, requirement := range op.Security {
		if len(requirement) == 0 {
			return "Everybody; who is signed in may see more."
		}
		words = "Who is signed in."
		for _, roles := range requirement {
			for _, role := range roles {
				words = map[string]string{"moderator": "Moderators and operators.", "operator": "Operators."}[role]
			}
			if len(roles) > 0 {
				return words
			}
		}
	}
	return words
}

func bytesOf(n int) string {
	switch {
	case n >= 1<<20:
		return strconv.Itoa(n>>20) + " MiB"
	case n >= 1<<10:
		return strconv.Itoa(n>>10) + " KiB"
	}
	return strconv.Itoa(n) + " bytes"
}

// curl is a command that sends the operation's example. URL and TOKEN are the reader's.
func curl(op *Operation) string {
	var b strings.Builder
	path := op.Path
	var query []string
	for _, p := range op.Parameters {
		switch {
		case p.In == "path":
			path = strings.Replace(path, "{"+p.Name+"}", p.Example.Value, 1)
		case p.In == "query" && p.Required:
			query = append(query, p.Name+"="+strings.ReplaceAll(p.Example.Value, " ", "+"))
		}
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	b.WriteString("curl")
	if op.Method != http.MethodGet {
		b.WriteString(" -X " + op.Method)
	}
	b.WriteString(` "$URL` + path + `"`)
	header := func(h string) { b.WriteString(" \\\n  -H " + h) }
	if len(op.Security) > 0 && len(op.Security[0]) > 0 {
		header(`"Authorization: Bearer $TOKEN"`)
	}
	for _, p := range op.Parameters {
		if p.Name == "If-Match" && p.Required {
			header(`'If-Match: "2"'`)
		}
	}
	if op.Body != nil {
		c := op.Body.Content[0]
		header("'Content-Type: " + c.Key + "'")
		b.WriteString(" \\\n  --data-binary " + data(&c.Value))
	}
	return b.String()
}

// data is a body for the shell; what is no text is a file.
func data(m *Media) string {
	example := &m.Example
	if len(m.Examples) > 0 {
		example = &m.Examples[0].Value.Value
	}
	if example.IsZero() {
		return "@rule.wasm"
	}
	text := example.Value
	if example.Kind != yaml.ScalarNode {
		var b bytes.Buffer
		if writeJSON(&b, example) == nil {
			text = b.String()
		}
	}
	return "'" + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "'", `'\''`) + "'"
}

// pretty is an example, indented; text is shown as it is.
func pretty(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		return n.Value
	}
	var compact, out bytes.Buffer
	if writeJSON(&compact, n) != nil || json.Indent(&out, compact.Bytes(), "", "  ") != nil {
		return ""
	}
	return out.String()
}
