package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"ticketing"
	"ticketing/runtime/store"
	"ticketing/runtime/wire"
)

// MaxFreeze bounds how long a freeze may last.
const MaxFreeze = 10 * time.Minute

// frozenLook is how often a puller looks whether a freeze is over.
const frozenLook = 20 * time.Millisecond

// A Freeze is a shard's record that no events are delivered to it for a while. Commands go on. The zero value is none.
//
// Whether it is in force is decided by the entries' own time: an entry at or after Until may deliver. So a state whose record is there and
// whose time is before Until holds no delivery since the freeze was committed, whoever led meanwhile.
type Freeze struct {
	ID    string // whose it is
	Until int64  // ms
}

// holds reports whether an entry of a time, in ms, may deliver nothing.
func (f Freeze) holds(at int64) bool { return f.ID != "" && at < f.Until }

var (
	freezeKey = []byte("freeze")
	errFreeze = errors.New("shard: the freeze record is of an unknown format")
)

const maxFreezeID = 64 // bytes

func (f Freeze) encode() []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(f.Until)), f.ID...)
}

func decodeFreeze(v []byte) (Freeze, error) {
	if len(v) <= 8 || len(v) > 8+maxFreezeID {
		return Freeze{}, errFreeze
	}
	return Freeze{ID: string(v[8:]), Until: int64(binary.BigEndian.Uint64(v))}, nil
}

// freezeOf is what an operation on the kind meta makes of the freeze.
func freezeOf(op wire.Op) (Freeze, error) {
	switch {
	case string(op.Key) != string(freezeKey) || op.Op == wire.OpDeleteRange:
		return Freeze{}, errors.New("shard: an entry writes an unknown record")
	case op.Op == wire.OpDelete:
		return Freeze{}, nil
	}
	return decodeFreeze(op.Value)
}

// freezeFeeds asks for a freeze, and thawFeeds for its end.
type (
	freezeFeeds struct {
		id    string
		until time.Time
	}
	thawFeeds struct{ id string }
)

// Freeze stops deliveries to the shard until a time of its entries, at most [MaxFreeze] from now, and returns when that is committed. The
// same id again moves the time. Only the leader can; Unavailable says that another freeze is in force, that the shard does not lead here, or
// that the outcome is unknown: the same call may be repeated.
func (a *Actor) Freeze(ctx context.Context, id string, until time.Time) error {
	return ticketing.Wrap("shard.Freeze", a.order(ctx, &freezeFeeds{id, until}))
}

// Thaw ends the freeze of an id, and does nothing if there is none of that id any more. The errors are those of Freeze.
func (a *Actor) Thaw(ctx context.Context, id string) error {
	return ticketing.Wrap("shard.Thaw", a.order(ctx, &thawFeeds{id}))
}

// order sends an internal command and waits for its reply.
func (a *Actor) order(ctx context.Context, cmd any) error {
	r := &Request{Cmd: cmd, Reply: make(chan Reply, 1)}
	a.self.Send(r)
	select {
	case reply := <-r.Reply:
		return reply.Err
	case <-ctx.Done():
		return &ticketing.Error{Kind: ticketing.Unavailable, Msg: "The shard did not answer in time.", RetryAfter: time.Second, Err: ctx.Err()}
	}
}

// freezeFeeds adds a freeze to the batch.
func (a *Actor) freezeFeeds(b *batch, c *freezeFeeds) error {
	until := c.until.UnixMilli()
	switch {
	case c.id == "" || len(c.id) > maxFreezeID:
		return ticketing.Errorf(ticketing.BadRequest, "The id of a freeze has 1 to %d bytes.", maxFreezeID)
	case until <= b.now || until > b.now+MaxFreeze.Milliseconds():
		return ticketing.Errorf(ticketing.BadRequest, "A freeze lasts at most %v.", MaxFreeze)
	case b.freeze.holds(b.now) && b.freeze.ID != c.id:
		return &ticketing.Error{Kind: ticketing.Unavailable, Msg: "Another backup is being begun; try again in a moment.", RetryAfter: 5 * time.Second}
	}
	b.freeze = Freeze{c.id, until}
	b.set(write{store.KindMeta, freezeKey, b.freeze.encode()})
	return nil
}

// thawFeeds takes the freeze of an id out of the state.
func (a *Actor) thawFeeds(b *batch, c *thawFeeds) {
	if b.freeze.ID != c.id {
		return
	}
	b.freeze = Freeze{}
	b.set(write{store.KindMeta, freezeKey, nil})
}

// thawExpired removes the record of a freeze that is over and that nobody has ended.
func (a *Actor) thawExpired() {
	f := a.cfg.Machine.Meta().Freeze
	if a.leading && f.ID != "" && !f.holds(a.cfg.Now().UnixMilli()) {
		a.enqueue(&Request{Cmd: &thawFeeds{f.ID}})
	}
}

// awaitThaw returns when deliveries may go on, as far as this replica knows.
func (a *Actor) awaitThaw(ctx context.Context) {
	for ctx.Err() == nil && a.cfg.Machine.Meta().Freeze.holds(a.cfg.Now().UnixMilli()) {
		pause(ctx, frozenLook)
	}
}
