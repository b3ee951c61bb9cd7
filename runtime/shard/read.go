package shard

import (
	"fmt"
	"reflect"

	"ticketing"
	"ticketing/runtime/wire"
)

// Read calls fn with a view of this replica's state as of one moment. On a replica that does not lead it may be an older state; what it
// shows has committed.
func (a *Actor) Read(fn func(v *View) error) (err error) {
	snap := a.log.DB().NewSnapshot()
	defer snap.Close()
	defer catchDecode(&err)
	return fn(&View{shard: a.shard, db: snap, fatal: a.fatal})
}

// catchDecode, deferred, turns a value that could not be decoded into an error.
func catchDecode(err *error) {
	switch p := recover().(type) {
	case nil:
	case errDecode:
		*err = p.err
	default:
		panic(p)
	}
}

// Empty reports whether this replica has applied nothing yet: it is new, and still gets what the others have.
func (a *Actor) Empty() bool { return a.cfg.Machine.Meta().Base == 0 }

// Stale evaluates a query on this replica's own state, whoever leads. Commands are refused.
func (a *Actor) Stale(code uint16, q any) (value any, err error) {
	h := a.readers()[code]
	if h == nil || h.write {
		return nil, ticketing.Errorf(ticketing.Unavailable, "Only a leader can do this.")
	}
	err = a.Read(func(v *View) error {
		value, err = h.eval(&Tx{View: *v}, q)
		return err
	})
	return value, err
}

// Decode reads a command or query that another node sent.
func (a *Actor) Decode(code uint16, payload []byte) (any, error) {
	h := a.readers()[code]
	if h == nil {
		return nil, ticketing.Errorf(ticketing.Unavailable, "This node does not know the operation %d; it may be of an older version.", code)
	}
	c := h.newCommand()
	if err := wire.Unmarshal(payload, c); err != nil {
		return nil, ticketing.Wrap(fmt.Sprintf("shard.Decode %v", reflect.TypeOf(c)), err)
	}
	return c, nil
}

// Applied returns the index of the last entry that is applied and visible here.
func (a *Actor) Applied() uint64 { return a.log.Applied() }

// Leader returns the node that leads as far as this replica knows, empty if it knows none.
func (a *Actor) Leader() string {
	node, _ := a.log.Leader()
	return node
}
