package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
	"ticketing/runtime/wire"
)

// feeds finds event logs on this node and on others. What is applied has committed, so any replica may serve a log; one on this node is
// preferred.
type feeds struct{ n *Node }

var _ shard.Exporter = feeds{}

// pollSlack is how much longer than the other node waits for events this one waits for its answer.
const pollSlack = 2 * time.Second

// local returns this node's replica of a log if it has read up to the cursor. A replica that has nothing yet cannot tell an empty log
// from one that it still has to get, so only its leader's word counts.
func (f feeds) local(sh *system.Shard, after shard.Cursor) *shard.Actor {
	a := sh.Local()
	if a == nil || a.Leading() || !f.n.cfg.Clustered() {
		return a
	}
	head := a.Feed().Head()
	if a.Empty() || head.Seq < after.Seq || after.Epoch != 0 && head.Epoch != after.Epoch {
		return nil
	}
	return a
}

// elsewhere returns a node to ask for a log: its leader, or any other that holds a replica; empty: there is none.
func (f feeds) elsewhere(sh *system.Shard) string {
	if leader := sh.Leader(); leader != "" && leader != f.n.name {
		return leader
	}
	for _, node := range f.n.members.holders(sh.Service, sh.Index) {
		if node != f.n.name {
			return node
		}
	}
	return ""
}

// find returns a shard's replica here, or else a node to ask.
func (f feeds) find(producer string, index int, after shard.Cursor) (here *shard.Actor, node string, err error) {
	sh := f.n.sys.Shard(producer, index)
	if sh == nil {
		return nil, "", shard.ErrNoLog
	}
	if here = f.local(sh, after); here != nil {
		return here, "", nil
	}
	if node = f.elsewhere(sh); node != "" {
		return nil, node, nil
	}
	if here = sh.Local(); here != nil {
		return here, "", nil
	}
	return nil, "", shard.ErrNoLog
}

type pollLog struct {
	Producer string        `cbor:"1,keyasint"`
	Index    int           `cbor:"2,keyasint"`
	Consumer string        `cbor:"3,keyasint"`
	Shard    int           `cbor:"4,keyasint"`
	After    shard.Cursor  `cbor:"5,keyasint"`
	Durable  uint64        `cbor:"6,keyasint"`
	Wait     time.Duration `cbor:"7,keyasint"`
}

// What a log says besides events.
const (
	logTrimmed = iota + 1
	logAhead
	logNone
)

type polled struct {
	Events [][]byte     `cbor:"1,keyasint,omitempty"` // sequence number (8 bytes) and value, see package wire
	Upto   shard.Cursor `cbor:"2,keyasint"`
	Fault  int          `cbor:"3,keyasint,omitempty"`
}

// Poll implements shard.Source.
func (f feeds) Poll(ctx context.Context, producer string, index int, c shard.Consumer, after shard.Cursor, durable uint64, wait time.Duration) ([]ticketing.Event, shard.Cursor, error) {
	here, node, err := f.find(producer, index, after)
	if err != nil {
		return nil, after, err
	}
	if here != nil {
		return here.Feed().Poll(ctx, c, after, durable, wait)
	}
	ctx, cancel := context.WithTimeout(ctx, wait+pollSlack)
	defer cancel()
	r, err := call[polled](ctx, f.n, node, callPoll, pollLog{producer, index, c.Service, c.Shard, after, durable, wait})
	if err != nil {
		f.n.sys.Shard(producer, index).Doubt(node)
		return nil, after, fmt.Errorf("%w: %w", shard.ErrNoLog, err)
	}
	switch r.Fault {
	case logTrimmed:
		return nil, after, shard.ErrTrimmed
	case logAhead:
		return nil, after, shard.ErrAhead
	case logNone:
		return nil, after, shard.ErrNoLog
	}
	evs, err := readEvents(r.Events)
	return evs, r.Upto, err
}

func appendEvents(evs []ticketing.Event) [][]byte {
	out := make([][]byte, len(evs))
	for i := range evs {
		out[i] = wire.AppendEventOf(binary.BigEndian.AppendUint64(nil, evs[i].Seq), &evs[i])
	}
	return out
}

func readEvents(raw [][]byte) ([]ticketing.Event, error) {
	evs := make([]ticketing.Event, len(raw))
	for i, b := range raw {
		if len(b) < 8 {
			return nil, errors.New("node: an event without a number")
		}
		ev, err := wire.ReadEventHeader(binary.BigEndian.Uint64(b), b[8:])
		if err != nil {
			return nil, err
		}
		_ = wire.DecodeEventData(&ev) // an undecodable event keeps its bytes: the handler refuses it, and it is parked
		evs[i] = ev
	}
	return evs, nil
}

// poll answers another node's Poll.
func (f feeds) poll(ctx context.Context, _ string, q pollLog) (polled, error) {
	sh := f.n.sys.Shard(q.Producer, q.Index)
	if sh == nil || sh.Local() == nil {
		return polled{Fault: logNone}, nil
	}
	a := f.local(sh, q.After)
	if a == nil {
		return polled{Fault: logNone}, nil
	}
	c := shard.Consumer{Service: q.Consumer, Shard: q.Shard, Want: f.n.wants(q.Consumer, q.Shard, q.Producer)}
	evs, upto, err := a.Feed().Poll(ctx, c, q.After, q.Durable, min(q.Wait, time.Minute))
	switch {
	case errors.Is(err, shard.ErrTrimmed):
		return polled{Fault: logTrimmed}, nil
	case errors.Is(err, shard.ErrAhead):
		return polled{Fault: logAhead}, nil
	case errors.Is(err, shard.ErrNoLog):
		return polled{Fault: logNone}, nil
	case err != nil:
		return polled{}, err
	}
	return polled{Events: appendEvents(evs), Upto: upto}, nil
}

// wants returns which of a producer's events a consumer has subscribed to, so that no others travel; nil: all.
func (n *Node) wants(consumer string, index int, producer string) func(*ticketing.Event) bool {
	if consumer == revocationsName {
		return revokes
	}
	for _, s := range n.services() {
		if s.name != consumer {
			continue
		}
		for _, sub := range s.spec().Subscriptions {
			if sub.Producer == producer {
				return func(ev *ticketing.Event) bool { return sub.Wanted(ev, index, s.shards) }
			}
		}
	}
	return nil
}

type ackLog struct {
	Producer string `cbor:"1,keyasint"`
	Index    int    `cbor:"2,keyasint"`
	Consumer string `cbor:"3,keyasint"`
	Shard    int    `cbor:"4,keyasint"`
	Durable  uint64 `cbor:"5,keyasint"`
}

// Acked implements shard.Source.
func (f feeds) Acked(producer string, index int, c shard.Consumer, durable uint64) {
	sh := f.n.sys.Shard(producer, index)
	if sh == nil || !f.n.cfg.Clustered() {
		return
	}
	leader := sh.Leader()
	if leader == "" || leader == f.n.name {
		if a := sh.Local(); a != nil {
			a.Feed().Ack(c.Service, c.Shard, durable)
		}
		return
	}
	go func() { // not waited for: it ends with the node, and changes nothing here
		ctx, cancel := context.WithTimeout(f.n.life, pollSlack)
		defer cancel()
		_, _ = call[nothing](ctx, f.n, leader, callAck, ackLog{producer, index, c.Service, c.Shard, durable}) // another one follows
	}()
}

func (f feeds) ack(_ context.Context, _ string, q ackLog) (nothing, error) {
	if sh := f.n.sys.Shard(q.Producer, q.Index); sh != nil {
		if a := sh.Local(); a != nil {
			a.Feed().Ack(q.Consumer, q.Shard, q.Durable)
		}
	}
	return nothing{}, nil
}

type whichLog struct {
	Producer string    `cbor:"1,keyasint"`
	Index    int       `cbor:"2,keyasint"`
	Since    time.Time `cbor:"3,keyasint,omitzero"`
}

type logBounds struct {
	Head  shard.Cursor `cbor:"1,keyasint"`
	Since shard.Cursor `cbor:"2,keyasint"`
	Fault int          `cbor:"3,keyasint,omitempty"`
}

// Bounds returns the end of a log, and the place before its first event at or after a time.
func (f feeds) Bounds(ctx context.Context, producer string, index int, since time.Time) (logBounds, error) {
	here, node, err := f.find(producer, index, shard.Cursor{})
	if err != nil {
		return logBounds{}, err
	}
	if here != nil {
		return boundsOf(here, since)
	}
	b, err := call[logBounds](ctx, f.n, node, callLog, whichLog{producer, index, since})
	if err == nil && b.Fault != 0 {
		err = shard.ErrNoLog
	}
	return b, err
}

func boundsOf(a *shard.Actor, since time.Time) (b logBounds, err error) {
	b.Head = a.Feed().Head()
	if !since.IsZero() {
		b.Since, err = a.Feed().Since(since)
	}
	return b, err
}

func (f feeds) bounds(_ context.Context, _ string, q whichLog) (logBounds, error) {
	sh := f.n.sys.Shard(q.Producer, q.Index)
	if sh == nil || sh.Local() == nil {
		return logBounds{Fault: logNone}, nil
	}
	return boundsOf(sh.Local(), q.Since)
}

type lastOfLog struct {
	Producer string                `cbor:"1,keyasint"`
	Index    int                   `cbor:"2,keyasint"`
	Limit    int                   `cbor:"3,keyasint"`
	Types    []ticketing.EventType `cbor:"4,keyasint"`
}

// Last returns the newest events of some types, newest first.
func (f feeds) Last(ctx context.Context, producer string, index, limit int, types ...ticketing.EventType) ([]ticketing.Event, error) {
	here, node, err := f.find(producer, index, shard.Cursor{})
	if err != nil {
		return nil, &ticketing.Error{Kind: ticketing.Unavailable, Msg: "No replica of the log can be reached.", Err: err}
	}
	if here != nil {
		return lastOf(here, limit, types)
	}
	raw, err := call[[][]byte](ctx, f.n, node, callLast, lastOfLog{producer, index, limit, types})
	if err != nil {
		return nil, err
	}
	return readEvents(raw)
}

func lastOf(a *shard.Actor, limit int, types []ticketing.EventType) ([]ticketing.Event, error) {
	return a.Feed().Last(limit, func(ev *ticketing.Event) bool {
		for _, t := range types {
			if ev.Type == t {
				return true
			}
		}
		return false
	})
}

func (f feeds) last(_ context.Context, _ string, q lastOfLog) ([][]byte, error) {
	sh := f.n.sys.Shard(q.Producer, q.Index)
	if sh == nil || sh.Local() == nil {
		return nil, ticketing.Errorf(ticketing.Unavailable, "There is no replica of the log here.")
	}
	evs, err := lastOf(sh.Local(), min(q.Limit, 1000), q.Types)
	return appendEvents(evs), err
}

// answerFeeds lets other nodes read the logs of this one.
func (n *Node) answerFeeds() {
	f := feeds{n}
	answer(n, callPoll, f.poll)
	answer(n, callAck, f.ack)
	answer(n, callLog, f.bounds)
	answer(n, callLast, f.last)
	n.peers.Handle(exportPurpose, f.export)
}
