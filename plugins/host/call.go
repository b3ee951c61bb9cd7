package host

import (
	"errors"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/sys"

	"ticketing"
	"ticketing/plugins/abi"
)

// What a call can fail by, besides what an import says.
const (
	failedLate   = "deadline"
	failedFuel   = "fuel"
	failedDeep   = "call depth"
	failedMemory = "memory"
	failedReads  = "reads too much from its memory"
	failedStart  = "cannot start"
	failedHost   = "host error" // of ours: no fault of the rule
)

// clockEvery is after how many imports the clock is read, whatever they cost: their time is not that of a slice.
const clockEvery = 64

// errStopped ends a guest's call from inside of an import; call.failure says why.
var errStopped = errors.New("stopped")

// A call is what the imports of one rule's instance work on: the item in hand, and what the guest has said so far. Imports
// reach it through the context that the instance is called with, which is the same for all its calls.
type call struct {
	tank
	host    *Host
	rule    string
	version string
	loaded  *loadedRule
	limits  ticketing.RuleLimits
	log     func(ticketing.RuleLog) // where lines go

	view    *view // nil while the instance starts
	state   ticketing.RuleState
	mark    int    // of the state when the call began
	imports uint32 // calls of imports so far
	owed    int64  // units for the import that runs, until the next charge
	written uint32 // bytes of labels, detail and log
	logged  uint32 // bytes
	labels  []string
	detail  string
	failure string     // why an import stopped the call
	denied  abi.Fields // that the guest asked for, and its manifest does not name
	random  random
	clocks  uint64 // readings of WASI's clock
	reads   []byte // what the state has answered, see reads.go
	told    string // the last line that the guest logged while it started
	keys    []byte // of counters and values
	kept    int    // bytes written to the state

	scanner int                 // of the view, that knows the rule's words
	base    int32               // the number of its first set there
	scanned [len(searched)]bool // what the call has paid for
	prepaid int                 // units, before it began
	rate    rate                // of lines
}

func newCall(h *Host, rule, version string, l *loadedRule, limits ticketing.RuleLimits) *call {
	c := &call{host: h, rule: rule, version: version, loaded: l, limits: limits, log: h.logs.add}
	c.clock = h.clock
	return c
}

// begin readies the call for an item; a nil view is for starting an instance.
func (c *call) begin(v *view, state ticketing.RuleState) {
	c.view, c.state = v, state
	c.imports, c.written, c.logged, c.labels, c.detail, c.failure = 0, 0, 0, nil, "", ""
	c.keys, c.reads, c.kept = c.keys[:0], c.reads[:0], 0
	c.clocks, c.random.seeded = 0, false
	if state != nil {
		c.mark = state.Mark()
	}
	c.scanned, c.denied = [len(searched)]bool{}, 0
}

// stop ends the guest's call as a failure.
func (c *call) stop(reason string) {
	c.failure = reason
	panic(errStopped)
}

// enter is the beginning of every import, and leave the end. In between it may charge for its work.
func (c *call) enter() {
	if c.imports++; c.imports > c.limits.HostCalls {
		c.stop("too many host calls")
	}
	if c.imports%clockEvery == 0 {
		c.onTime()
	}
	c.owed = costImport
}

func (c *call) leave() {
	if c.owed > 0 {
		c.charge(0)
	}
}

// undo takes back what the call wrote to the state.
func (c *call) undo() {
	if c.state != nil {
		c.state.Rewind(c.mark)
	}
}

// hasRead ends the call if it has got more from its state than is kept with a decision.
func (c *call) hasRead() {
	if len(c.reads) > maxReads {
		c.stop(failedReads)
	}
}

// evidence returns a copy of what the call has read.
func (c *call) evidence() []byte {
	if len(c.reads) == 0 {
		return nil
	}
	return slices.Clone(c.reads)
}

// reason says in a few words why a call failed. full says whether the instance used most of the memory that it may have.
func (c *call) reason(err error, full bool) string {
	var exit *sys.ExitError
	switch {
	case c.failure != "":
		if full && strings.HasPrefix(c.failure, "exit ") {
			return failedMemory
		}
		return c.failure
	case errors.As(err, &exit):
		return "closed"
	case c.depth != nil && c.overflowed():
		return failedDeep
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	trap, ok := strings.CutPrefix(line, "wasm error: ")
	switch {
	case ok && full && (trap == "unreachable" || trap == "out of bounds memory access"):
		return failedMemory
	case ok:
		return "trap: " + trap
	case line == "stack overflow":
		return failedDeep
	}
	c.host.opts.Log.Error("a host function failed", "rule", c.rule, "err", err)
	return failedHost
}

// write counts what a guest says.
func (c *call) write(n int) {
	if c.written += uint32(n); c.written > c.limits.OutputBytes {
		c.stop("bad output: too much")
	}
}
