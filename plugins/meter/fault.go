package meter

import (
	"fmt"

	"ticketing"
)

// A Fault says why a module is refused, and where.
type Fault struct {
	Section  string // "code", "import"…; empty for the module as a whole
	Offset   int    // bytes from the beginning of the module
	Function int    // index of the function, imported ones first; -1 outside of functions
	Msg      string // what is wrong, without the place
}

// Error says all of it in a sentence for people.
func (f *Fault) Error() string {
	switch {
	case f.Function >= 0:
		return fmt.Sprintf("The module is refused: function %d %s (byte %d).", f.Function, f.Msg, f.Offset)
	case f.Section != "":
		return fmt.Sprintf("The module is refused: its %s section %s (byte %d).", f.Section, f.Msg, f.Offset)
	}
	return fmt.Sprintf("The module is refused: it %s (byte %d).", f.Msg, f.Offset)
}

// Unwrap gives the fault its kind: a refused module is Invalid.
func (f *Fault) Unwrap() error { return ticketing.Errorf(ticketing.Invalid, "%s", f.Error()) }
