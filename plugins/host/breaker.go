package host

import "time"

// When a version has failed too often: so many times within so short a time, or more than so many times within so many calls.
const (
	tripFailures = 5
	tripWithin   = 60 * time.Second
	tripShare    = 10 // of tripCalls: 1 %
	tripCalls    = 1_000
)

// A breaker remembers the last failures of a version.
type breaker struct {
	last []failure // oldest first; at most tripShare+1
}

type failure struct {
	at   time.Time
	call uint64 // how many calls the version had had
}

// failed notes a failure and reports whether it is one too many. After that it starts anew, so that it trips again if nobody
// does anything about the version.
func (b *breaker) failed(at time.Time, call uint64) bool {
	if len(b.last) > tripShare {
		b.last = append(b.last[:0], b.last[1:]...)
	}
	b.last = append(b.last, failure{at, call})
	n := len(b.last)
	soon := n >= tripFailures && at.Sub(b.last[n-tripFailures].at) <= tripWithin
	many := n > tripShare && call-b.last[0].call < tripCalls
	if soon || many {
		b.last = b.last[:0]
	}
	return soon || many
}
