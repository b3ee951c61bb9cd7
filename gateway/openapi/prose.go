package openapi

import (
	"html/template"
	"regexp"
	"strings"
)

var (
	inCode = regexp.MustCompile("`([^`]+)`")
	inBold = regexp.MustCompile(`\*\*([^*]+)\*\*`)
)

// prose makes HTML of the little Markdown that descriptions use: paragraphs, headings of the second level, lists, code and
// bold. Everything else is text.
func prose(text string) template.HTML {
	var b strings.Builder
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		lines := strings.Split(block, "\n")
		if title, ok := strings.CutPrefix(lines[0], "## "); ok {
			b.WriteString("<h2>" + inline(title) + "</h2>")
			lines = lines[1:]
		}
		writeBlock(&b, lines)
	}
	return template.HTML(b.String()) // inline has escaped every part of it
}

// writeBlock writes a paragraph, or a list whose items may go over several lines.
func writeBlock(b *strings.Builder, lines []string) {
	rest := strings.Join(lines, "\n")
	if strings.TrimSpace(rest) == "" {
		return
	}
	items := strings.Split("\n"+rest, "\n* ")
	if p := strings.TrimSpace(items[0]); p != "" {
		b.WriteString("<p>" + inline(p) + "</p>")
	}
	if len(items) == 1 {
		return
	}
	b.WriteString("<ul>")
	for _, item := range items[1:] {
		b.WriteString("<li>" + inline(strings.Join(strings.Fields(item), " ")) + "</li>")
	}
	b.WriteString("</ul>")
}

func inline(s string) string {
	s = template.HTMLEscapeString(s)
	s = inCode.ReplaceAllString(s, "<code>$1</code>")
	return inBold.ReplaceAllString(s, "<strong>$1</strong>")
}
