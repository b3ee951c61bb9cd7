package gateway

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"ticketing"
)

// maxDepth bounds how deep JSON from outside nests.
const maxDepth = 32

// body returns the request's body if its media type is one of those accepted, it is not compressed, and it fits.
func (c *call) body(types ...string) ([]byte, error) {
	if enc := c.Request.Header.ContentEncoding(); len(enc) > 0 && string(enc) != "identity" {
		return nil, ticketing.Errorf(ticketing.Unsupported, "Send the body without Content-Encoding.")
	}
	accepted := false
	media := c.mediaType()
	for _, t := range types {
		accepted = accepted || bytes.EqualFold(media, []byte(t))
	}
	if !accepted {
		return nil, ticketing.Errorf(ticketing.Unsupported, "Send the body as %s.", types[0])
	}
	b := c.PostBody()
	if len(b) > c.route.limit {
		c.SetConnectionClose()
		return nil, ticketing.Errorf(ticketing.TooLarge, "The body has at most %d bytes here.", c.route.limit)
	}
	return b, nil
}

// json decodes the body into v, strictly.
func (c *call) json(v any) error {
	b, err := c.body("application/json")
	if err != nil {
		return err
	}
	return decodeJSON(b, v)
}

// optionalJSON decodes the body into v as json does, or leaves v as it is if there is none.
func (c *call) optionalJSON(v any) error {
	if len(c.PostBody()) == 0 {
		return nil
	}
	return c.json(v)
}

// decodeJSON accepts one JSON value with known members only, each given once, in their exact case, in valid UTF-8,
// and not nested too deep.
func decodeJSON(b []byte, v any) error {
	if tooDeep(b) {
		return ticketing.Errorf(ticketing.BadRequest, "The JSON nests deeper than %d levels.", maxDepth)
	}
	err := json.Unmarshal(b, v, strict)
	if err == nil {
		return nil
	}
	return jsonFault(err)
}

var strict = json.RejectUnknownMembers(true)

// jsonFault says what is wrong with a client's JSON, without the words of our types.
func jsonFault(err error) error {
	var domain *ticketing.Error
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return ticketing.Errorf(ticketing.BadRequest, "A member of the JSON is given twice.")
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return ticketing.Errorf(ticketing.BadRequest, "The body is not valid JSON at byte %d.", syntax.ByteOffset)
	}
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return ticketing.Errorf(ticketing.BadRequest, "The body is not valid JSON.")
	}
	field := fieldName(string(semantic.JSONPointer))
	switch {
	case errors.As(err, &domain):
		return ticketing.InvalidField(field, "%s", domain.Msg)
	case errors.Is(err, json.ErrUnknownName):
		return ticketing.InvalidField(field, "This member is not known here.")
	}
	return ticketing.InvalidField(field, "This value has the wrong type.")
}

// fieldName shortens a JSON pointer to the name that a form would have: "/rows/3/title" is "rows.3.title".
func fieldName(pointer string) string {
	name := strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", ".")
	if len(name) > 100 {
		name = strings.ToValidUTF8(name[:100], "")
	}
	return name
}

// tooDeep scans for brackets outside of strings; it does not care whether the rest is JSON.
func tooDeep(b []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString:
			if c == '\\' {
				i++
			} else if c == '"' {
				inString = false
			}
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// ifMatch reads If-Match: a version, AnyMatch for "*", or Required if there is none.
func (c *call) ifMatch() (uint64, error) {
	v, given, err := c.optionalIfMatch()
	if err == nil && !given {
		return 0, ticketing.Errorf(ticketing.Required, "Send If-Match with the ETag of the version that you changed.")
	}
	return v, err
}

// ifMatchOrAny is for changes that need no If-Match but heed one.
func (c *call) ifMatchOrAny() (uint64, error) {
	v, given, err := c.optionalIfMatch()
	if err == nil && !given {
		v = ticketing.AnyMatch
	}
	return v, err
}

func (c *call) optionalIfMatch() (version uint64, given bool, err error) {
	all := c.Request.Header.PeekAll("If-Match")
	switch len(all) {
	case 0:
		return 0, false, nil
	case 1:
		version, err = parseIfMatch(string(all[0]))
		return version, true, err
	}
	return 0, true, ticketing.Errorf(ticketing.BadRequest, "Send one If-Match.")
}

// parseIfMatch reads "*" or one entity tag of ours. Somebody else's tag, a weak one among them, is well formed and never
// matches: that is Precondition.
func parseIfMatch(s string) (uint64, error) {
	if s == "*" {
		return ticketing.AnyMatch, nil
	}
	weak := strings.HasPrefix(s, "W/")
	tag := strings.TrimPrefix(s, "W/")
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' || strings.ContainsAny(tag[1:len(tag)-1], "\" ,") {
		return 0, ticketing.Errorf(ticketing.BadRequest, "If-Match takes one entity tag in quotes, or *.")
	}
	digits := tag[1 : len(tag)-1]
	n, err := strconv.ParseUint(digits, 10, 64)
	if weak || err != nil || n == ticketing.AnyMatch || strconv.FormatUint(n, 10) != digits {
		return 0, ticketing.Errorf(ticketing.Precondition, "The item has changed since.")
	}
	return n, nil
}

// idempotencyKey reads the header, or the hidden field that makes a form count once, however often it is sent.
func (c *call) idempotencyKey() (string, error) {
	if c.sent != nil {
		if key := c.sent.get(keyField); key != "" {
			return parseIdempotencyKey(key)
		}
		return "", nil
	}
	all := c.Request.Header.PeekAll("Idempotency-Key")
	switch len(all) {
	case 0:
		return "", nil
	case 1:
		return parseIdempotencyKey(string(all[0]))
	}
	return "", ticketing.Errorf(ticketing.BadRequest, "Send one Idempotency-Key.")
}

// parseIdempotencyKey accepts 8 to 128 visible ASCII characters, bare or as a quoted string.
func parseIdempotencyKey(s string) (string, error) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	ok := len(s) >= 8 && len(s) <= 128
	for i := 0; i < len(s) && ok; i++ {
		ok = s[i] >= 0x21 && s[i] <= 0x7e && s[i] != '"'
	}
	if !ok {
		return "", ticketing.Errorf(ticketing.BadRequest, "An Idempotency-Key has 8 to 128 visible ASCII characters.")
	}
	return s, nil
}
