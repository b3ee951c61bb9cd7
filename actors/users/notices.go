package users

import (
	"context"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// opReadNotices begins a range of codes of its own.
const opReadNotices = 40

// tableNotices holds up to when a user has read their notices: user id → time.
const tableNotices = 'n'

func noticesKey(user ticketing.ID) shard.Key { return shard.KeyOf(tableNotices, user) }

// readNotices moves the mark up to which a user has read their notices, never back, and never into the future: what is still to come is
// not read.
func (s *service) readNotices(tx *shard.Tx, c *ticketing.ReadNotices) (struct{}, error) {
	if _, err := find(&tx.View, c.User); err != nil {
		return struct{}{}, err
	}
	upTo := c.UpTo
	if upTo.After(tx.At()) {
		upTo = tx.At()
	}
	var have time.Time
	if tx.Get(noticesKey(c.User), &have) && !upTo.After(have) {
		return struct{}{}, nil
	}
	tx.Put(noticesKey(c.User), upTo)
	tx.Emit(&ticketing.NoticesRead{User: c.User, UpTo: upTo})
	return struct{}{}, nil
}

// exportNotices emits a user's mark.
func exportNotices(k shard.Key, decode func(any), emit func(ticketing.EventData) error) error {
	e := ticketing.NoticesRead{User: ticketing.ID(k[3:])}
	decode(&e.UpTo)
	return emit(&e)
}

// ReadNotices implements ticketing.UserService.
func (c Client) ReadNotices(ctx context.Context, cmd ticketing.ReadNotices) (ticketing.Position, error) {
	_, pos, err := system.Command[struct{}](ctx, c.sys, Name, cmd.User.Slot(), opReadNotices, &cmd)
	return pos, err
}
