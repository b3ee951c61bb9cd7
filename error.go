package ticketing

import (
	"errors"
	"fmt"
	"time"
)

// A Kind classifies an error for programs. Kinds travel between nodes and meet HTTP status codes in
// gateway/errors.go: never renumber them, only add.
type Kind uint8

const (
	OK           Kind = iota // no error
	Internal                 // our fault; the text never reaches a user
	BadRequest               // the request as a whole makes no sense
	Invalid                  // fields are wrong; see Error.Fields
	NotFound                 // there is nothing of that name, or the caller may not know
	Unauthorized             // nobody is signed in
	Forbidden                // signed in, but not allowed
	Conflict                 // contradicts what is stored
	Precondition             // the item changed since the caller read it
	TooLarge                 // over a size limit
	Unavailable              // try again: the outcome is unknown or nothing was done
	Reused                   // an idempotency key was used again with another body
	Limited                  // too many requests
	Unsupported              // a media type that is not accepted
	Required                 // a header that the operation needs is missing (If-Match)
)

var kindNames = [...]string{"ok", "internal", "bad request", "invalid", "not found", "unauthorized", "forbidden", "conflict",
	"precondition failed", "too large", "unavailable", "key reused", "rate limited", "unsupported media type", "precondition required"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// A FieldError says what is wrong with one field of a request. Field is the name in JSON, empty for the whole.
type FieldError struct {
	Message string `cbor:"1,keyasint" json:"message"`
	Field   string `cbor:"2,keyasint,omitempty" json:"field,omitempty"`
}

// Error is what every service returns: a kind for programs, a sentence for people, and the rest for the log.
type Error struct {
	Kind       Kind          `cbor:"1,keyasint"`
	Msg        string        `cbor:"2,keyasint,omitempty"` // for people; never holds a secret or an internal
	Fields     []FieldError  `cbor:"3,keyasint,omitempty"`
	RetryAfter time.Duration `cbor:"4,keyasint,omitempty"` // for Unavailable and Limited; 0 lets the gateway choose
	Op         string        `cbor:"-"`                    // package.Function, for the log
	Err        error         `cbor:"-"`                    // the cause, for the log
}

// Error is the form for the log: operation, message and cause.
func (e *Error) Error() string {
	s := e.Msg
	if s == "" {
		s = e.Kind.String()
	}
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	for _, f := range e.Fields {
		s += fmt.Sprintf("; %s: %s", f.Field, f.Message)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of a kind with a sentence for people.
func Errorf(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// InvalidField makes an Invalid error about one field.
func InvalidField(field, format string, args ...any) error {
	return &Error{Kind: Invalid, Msg: "The request is not valid.", Fields: []FieldError{{fmt.Sprintf(format, args...), field}}}
}

// Wrap adds the operation to an error, once per layer. An error that is not ours becomes Internal.
func Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		c := *e
		if c.Op == "" {
			c.Op = op
		} else {
			c.Op = op + ": " + c.Op
		}
		return &c
	}
	return &Error{Kind: Internal, Op: op, Err: err}
}

// KindOf returns the kind of an error: OK for nil, Internal for an error that is not ours.
func KindOf(err error) Kind {
	if err == nil {
		return OK
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Fields collects field errors; Err is nil while there are none.
type Fields []FieldError

// Add notes one fault.
func (f *Fields) Add(field, format string, args ...any) {
	*f = append(*f, FieldError{fmt.Sprintf(format, args...), field})
}

// Err returns the faults as one Invalid error, or nil.
func (f Fields) Err() error {
	if len(f) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Msg: "The request is not valid.", Fields: f}
}
