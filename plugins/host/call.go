package host

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/sys"

	"ticketing"
	"ticketing/plugins/abi"
)

// maxLogLines bounds the lines that a rule of a judge logs per second.
const maxLogLines = 100

// errStopped ends a guest's call from inside of an import; call.failure says why.
var errStopped = errors.New("stopped")

// A call is what the imports of one rule's instance work on: the item in hand, and what the guest has said so far. Imports
// reach it through the context that the instance is called with, which is the same for all its calls.
type call struct {
	rule  *ticketing.Rule
	sets  *sets
	limit limiter
	log   *slog.Logger
	now   func() time.Time

	view    *view // nil while the instance starts
	state   ticketing.RuleState
	used    int // calls of imports
	logged  int // bytes
	labels  []string
	detail  string
	failure string // why an import stopped the call
	mark    int    // of the state when the call began
	keys    []byte // of counters

	hits    [][]hit             // by place in searched
	scanned [len(searched)]bool // whether hits are of this item
	second  time.Time           // in which lines counts
	lines   int
}

// searched are the fields in which words are looked for.
var searched = [...]abi.FieldID{abi.FieldText, abi.FieldTitle, abi.FieldAuthorName, abi.FieldLocale}

func newCall(h *Host, rule *ticketing.Rule, s *sets) *call {
	c := &call{rule: rule, sets: s, limit: h.limiter(rule.Trusted), log: h.opts.Log, now: h.opts.Now}
	if s.words != nil {
		c.hits = make([][]hit, len(searched))
		for i := range c.hits {
			c.hits[i] = make([]hit, s.words.sets)
		}
	}
	return c
}

// begin readies the call for an item; a nil view is for starting an instance.
func (c *call) begin(v *view, state ticketing.RuleState) {
	c.view, c.state = v, state
	c.used, c.logged, c.labels, c.detail, c.failure = 0, 0, nil, "", ""
	c.keys = c.keys[:0]
	if state != nil {
		c.mark = state.Mark()
	}
	clear(c.scanned[:])
}

// stop ends the guest's call as a failure.
func (c *call) stop(reason string) {
	c.failure = reason
	panic(errStopped)
}

// enter is the beginning of every import.
func (c *call) enter() {
	if c.used++; c.used > abi.MaxHostCalls {
		c.stop("too many host calls")
	}
	if c.limit.overdue() {
		c.stop(failedLate)
	}
}

// undo takes back what the call wrote to the state.
func (c *call) undo() {
	if c.state != nil {
		c.state.Rewind(c.mark)
	}
}

// reason says in a few words why a call failed.
func (c *call) reason(err error) string {
	var exit *sys.ExitError
	switch {
	case c.failure != "":
		return c.failure
	case errors.Is(err, errDeadline):
		return failedLate
	case errors.As(err, &exit):
		if code := exit.ExitCode(); code == sys.ExitCodeDeadlineExceeded || code == sys.ExitCodeContextCanceled {
			return failedLate
		}
		return "closed"
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	if trap, ok := strings.CutPrefix(line, "wasm error: "); ok {
		return "trap: " + trap
	}
	if line == "stack overflow" {
		return "trap: stack overflow"
	}
	c.log.Error("a host function failed", "rule", c.rule.Name, "err", err)
	return "host error"
}

// mayLog reports whether one more line may be logged now.
func (c *call) mayLog(n int) bool {
	if c.logged += n; c.logged > abi.MaxLog {
		return false
	}
	if now := c.now(); now.Sub(c.second) >= time.Second {
		c.second, c.lines = now, 0
	}
	c.lines++
	return c.lines <= maxLogLines
}
