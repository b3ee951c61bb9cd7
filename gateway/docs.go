package gateway

import (
	"strings"

	"ticketing/gateway/openapi"
)

// schemasSlug is the page of all named schemas.
const schemasSlug = "schemas"

// docsPage is what the reference's template gets.
type docsPage struct {
	*openapi.Reference
	Here    string           // the slug of the page; "" for the first
	Subject *openapi.Subject // nil on the first page and on that of the schemas
}

// docsHome shows what holds for the whole API.
func (g *Gateway) docsHome(c *call) error { return g.docs(c, "") }

// docsSubject shows the operations of a subject, or the schemas.
func (g *Gateway) docsSubject(c *call) error {
	slug, _ := c.UserValue("subject").(string)
	return g.docs(c, strings.Clone(slug))
}

func (g *Gateway) docs(c *call, slug string) error {
	d, err := g.spec.load()
	if err != nil {
		return err
	}
	p := docsPage{Reference: d.reference, Here: slug}
	title := "API"
	switch slug {
	case "":
	case schemasSlug:
		title = "API: Schemas"
	default:
		for i := range d.reference.Subjects {
			if d.reference.Subjects[i].Slug == slug {
				p.Subject = &d.reference.Subjects[i]
			}
		}
		if p.Subject == nil {
			return notFound()
		}
		title = "API: " + p.Subject.Name
	}
	return g.render(c, 200, "docs.html", view{Title: title, Tab: "docs", Wide: true, Data: p})
}
