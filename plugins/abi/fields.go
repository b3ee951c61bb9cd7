package abi

import (
	"slices"

	"ticketing"
)

// Fields is a set of fields: bit n stands for the field of that number.
type Fields uint32

// AllFields is every field that there is.
const AllFields Fields = 1<<FieldEnd - 2

// SearchedFields are those in which words can be found.
const SearchedFields Fields = 1<<FieldTitle | 1<<FieldText | 1<<FieldLocale | 1<<FieldAuthorName

// fieldWords are the manifest's words for fields, by number.
var fieldWords = [FieldEnd]string{
	FieldKind: "kind", FieldItem: "id", FieldPost: "post", FieldParent: "parent", FieldTitle: "title", FieldText: "text",
	FieldAuthor: "author", FieldAuthorAge: "author_age", FieldApproved: "approved", FieldRejected: "rejected", FieldHeld: "held",
	FieldReports: "reports", FieldLocale: "locale", FieldRevision: "revision", FieldAuthorName: "author_name",
}

func (id FieldID) String() string {
	if id < FieldEnd {
		return fieldWords[id]
	}
	return ""
}

// FieldsOf reads a manifest's words; one that is unknown or given twice is Invalid.
func FieldsOf(words []string) (Fields, error) {
	var set Fields
	for _, w := range words {
		id := slices.Index(fieldWords[:], w)
		switch {
		case id <= 0:
			return 0, ticketing.Errorf(ticketing.Invalid, "There is no field %q.", short(w))
		case set.Has(FieldID(id)):
			return 0, ticketing.Errorf(ticketing.Invalid, "The field %q is named twice.", w)
		}
		set |= 1 << id
	}
	return set, nil
}

// Has reports whether a field is in the set.
func (f Fields) Has(id FieldID) bool { return id < FieldEnd && f>>id&1 != 0 }

// Words returns the manifest's words for the set, in the order of the fields' numbers.
func (f Fields) Words() []string {
	var words []string
	for id := FieldKind; id < FieldEnd; id++ {
		if f.Has(id) {
			words = append(words, fieldWords[id])
		}
	}
	return words
}
