package shard

import (
	"fmt"

	"ticketing"
	"ticketing/runtime/wire"
)

// A Spec is what a service is to its shard: what it answers to, and what it listens to. It is one shard's own: the functions may close
// over state that only this shard's evaluation touches.
type Spec struct {
	Service       string
	Handlers      []Handler
	Subscriptions []Subscription
	// Gain, if set, runs when the shard begins to lead, before anything is evaluated. While it fails, the shard does not lead.
	Gain func(v *View) error
	// Lose, if set, runs when the shard stops to lead; whatever Gain or the handlers cached is stale then.
	Lose func()
	// Export, if set, emits the whole state as events that create it, for consumers that begin from nothing.
	Export func(v *View, emit func(ticketing.EventData) error) error
	// Redact, if set, says what a value of the state is in a cut, which leaves the cluster: secrets stay behind.
	Redact func(k Key, value []byte) ([]byte, error)
}

// A Handler answers one command or query. Its code is on the wire: never reuse one within a service.
type Handler struct {
	code        uint16
	eval        func(tx *Tx, c any) (any, error)
	newCommand  func() any
	decodeReply func([]byte) (any, error)
	write       bool
}

// commander is a command: it embeds Meta.
type commander[C any] interface {
	*C
	CommandMeta() *ticketing.Meta
}

// Command makes a handler of a command that may write. fn's error is the caller's reply, and discards what fn wrote. The reply is
// remembered under the command's id, so it must hold no secret.
func Command[C, R any, P commander[C]](code uint16, fn func(tx *Tx, c P) (R, error)) Handler {
	return Handler{
		code: code, write: true,
		eval:        func(tx *Tx, c any) (any, error) { return fn(tx, c.(P)) },
		newCommand:  func() any { return P(new(C)) },
		decodeReply: decodeAs[R],
	}
}

// Query makes a handler that only reads.
func Query[Q, R any](code uint16, fn func(v *View, q *Q) (R, error)) Handler {
	return Handler{
		code:        code,
		eval:        func(tx *Tx, q any) (any, error) { return fn(&tx.View, q.(*Q)) },
		newCommand:  func() any { return new(Q) },
		decodeReply: decodeAs[R],
	}
}

func decodeAs[R any](b []byte) (any, error) {
	var r R
	err := wire.Unmarshal(b, &r)
	return r, err
}

// A Route says which slot of the consumer an event belongs to, by its header alone (Data is not decoded yet).
type Route func(ev *ticketing.Event) ticketing.Slot

// BySubject routes an event to the slot of the item that it is about.
func BySubject(ev *ticketing.Event) ticketing.Slot { return ev.Subject.Slot() }

// ByAuthor routes an event to the slot of its subject's author.
func ByAuthor(ev *ticketing.Event) ticketing.Slot { return ev.Author.Slot() }

// A Subscription is a consumer's interest in the events of a producer.
type Subscription struct {
	Producer string
	Route    Route
	On       map[ticketing.EventType]EventHandler
	// Shards is the producer's number of shards, if that is another one than the consumer's.
	Shards int
	// Wants, if set, narrows the interest by an event's header.
	Wants func(ev *ticketing.Event) bool
}

// producers is how many shards the producer has, for a consumer of own shards.
func (s *Subscription) producers(own int) int {
	if s.Shards > 0 {
		return s.Shards
	}
	return own
}

// An EventHandler takes an event. Its error discards what it wrote; after some retries the event is parked.
type EventHandler func(tx *Tx, ev *ticketing.Event) error

// On makes a handler of the events whose data is an E.
func On[E any](fn func(tx *Tx, ev *ticketing.Event, data *E) error) EventHandler {
	return func(tx *Tx, ev *ticketing.Event) error {
		data, ok := ev.Data.(*E)
		if !ok {
			return fmt.Errorf("event %d of type %v carries %T", ev.Seq, ev.Type, ev.Data)
		}
		return fn(tx, ev, data)
	}
}

// Wanted reports whether the event is of interest to a shard of n of the consumer.
func (s *Subscription) Wanted(ev *ticketing.Event, shard, n int) bool { return s.wants(ev, shard, n) }

// wants reports whether the event is of interest to a shard of n. An event of a type that this version does not know goes to the shard
// that it is routed to, whose dead-letter list keeps it: only a newer version can tell.
func (s *Subscription) wants(ev *ticketing.Event, shard, n int) bool {
	if _, ok := s.On[ev.Type]; !ok && ev.Type.Known() {
		return false
	}
	return s.Route(ev).Shard(n) == shard && (s.Wants == nil || s.Wants(ev))
}
