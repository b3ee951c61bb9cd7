// Package locale reads the languages that people name, and those that browsers say they prefer.
package locale

import (
	"golang.org/x/text/language"

	"ticketing"
)

// Parse returns a language tag of BCP 47 in its usual spelling, such as pt-BR for pt_br. Of the empty string it is empty. What is no tag,
// or names a language that is not registered, is Invalid.
func Parse(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	t, err := language.Parse(s)
	if err != nil || len(s) > maxLength {
		return "", ticketing.InvalidField("locale", "Enter a language tag such as en or pt-BR.")
	}
	return t.String(), nil
}

// maxLength is what BCP 47 advises to make room for, section 4.4.1.
const maxLength = 35

// Preferred returns the language that an Accept-Language header (RFC 9110, section 12.5.4) prefers, as Parse does; empty if it is
// damaged or prefers none.
func Preferred(header string) string {
	if header == "" || len(header) > maxAcceptLanguage {
		return ""
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil || len(tags) == 0 || tags[0] == language.Und || tags[0] == anyLanguage {
		return ""
	}
	if s := tags[0].String(); len(s) <= maxLength {
		return s
	}
	return ""
}

// maxAcceptLanguage bounds the headers that are read, in bytes: browsers send some dozens.
const maxAcceptLanguage = 256

// anyLanguage is what "*" is read as.
var anyLanguage = language.Make("mul")
