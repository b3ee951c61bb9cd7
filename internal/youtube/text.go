package youtube

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf8"

	"ticketing"
)

// NoName is the name of an author whose name is empty.
const NoName = "(no name)"

// Name turns an author's name as found into one that an account may have: entities decoded, byte order marks and control characters
// dropped, spaces collapsed, at most [ticketing.MaxUserName] characters (the last of a longer one is an ellipsis), never empty.
func Name(s string) string {
	s = strings.Join(strings.Fields(plain(html.UnescapeString(s), false)), " ")
	if s == "" {
		return NoName
	}
	if utf8.RuneCountInString(s) > ticketing.MaxUserName {
		r := []rune(s)
		s = strings.TrimRight(string(r[:ticketing.MaxUserName-1]), " ") + "…"
	}
	return s
}

// Text turns a comment as found into what its author wrote: <br> is a line break, other tags leave their text, entities are decoded after
// that, byte order marks and control characters are dropped. A link leaves its text, followed by its address if the text does not hold it.
func Text(s string) string {
	var b strings.Builder
	var href string
	var from int // of the link's text in b
	for s != "" {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			i = len(s)
		}
		b.WriteString(html.UnescapeString(s[:i]))
		s = s[i:]
		tag, rest, ok := cutTag(s)
		if !ok {
			if s != "" { // a lone "<", as in "<3"
				b.WriteByte('<')
				s = s[1:]
			}
			continue
		}
		s = rest
		switch tagName(tag) {
		case "br":
			b.WriteByte('\n')
		case "a":
			href, from = attribute(tag, "href"), b.Len()
		case "/a":
			if href != "" && !strings.Contains(b.String()[from:], href) {
				b.WriteString(" " + href)
			}
			href = ""
		}
	}
	return strings.TrimSpace(plain(b.String(), true))
}

// cutTag splits a tag off the beginning of s. Only what looks like one counts.
func cutTag(s string) (tag, rest string, ok bool) {
	if len(s) < 3 || s[0] != '<' {
		return "", s, false
	}
	if c := s[1] | 0x20; s[1] != '/' && (c < 'a' || c > 'z') {
		return "", s, false
	}
	end := strings.IndexByte(s, '>')
	if end < 0 || strings.IndexByte(s[1:end], '<') >= 0 {
		return "", s, false
	}
	return s[1:end], s[end+1:], true
}

func tagName(tag string) string {
	name, _, _ := strings.Cut(strings.TrimRight(tag, "/ "), " ")
	return strings.ToLower(name)
}

// attribute returns a tag's attribute, decoded; "" if there is none in double quotes.
func attribute(tag, name string) string {
	_, after, ok := strings.Cut(tag, " "+name+`="`)
	if !ok {
		return ""
	}
	value, _, ok := strings.Cut(after, `"`)
	if !ok {
		return ""
	}
	return html.UnescapeString(value)
}

// plain drops byte order marks and control characters; line breaks and tabs stay if asked for, and are spaces otherwise.
func plain(s string, lines bool) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\ufeff':
			return -1
		case r == '\n' || r == '\t' || r == '\r':
			if lines && r != '\r' {
				return r
			}
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
}
