package moderation

import (
	"context"
	"encoding/binary"
	"sort"

	"ticketing"
	"ticketing/runtime/system"
)

// Client asks the service, wherever its shards lead.
type Client struct {
	sys      *system.System
	logs     Logs
	replayer ticketing.Replayer
}

// Logs reads the ends of event logs, wherever there are replicas of them.
type Logs interface {
	// Last returns the newest events of some types, newest first.
	Last(ctx context.Context, producer string, shard, limit int, types ...ticketing.EventType) ([]ticketing.Event, error)
}

var _ ticketing.ModerationService = Client{}

// NewClient makes a client. replayer recomputes outcomes on this node.
func NewClient(sys *system.System, logs Logs, replayer ticketing.Replayer) Client {
	return Client{sys, logs, replayer}
}

// Decisions implements ticketing.ModerationService.
func (c Client) Decisions(ctx context.Context, author, subject ticketing.ID) ([]ticketing.Decision, error) {
	return system.Query[[]ticketing.Decision](ctx, c.sys, Name, author.Slot(), opDecisions, &bySubject{author, subject})
}

// Recent implements ticketing.ModerationService: it reads the ends of the shards' event logs.
func (c Client) Recent(ctx context.Context, limit int) ([]ticketing.Decision, error) {
	ds := []ticketing.Decision{}
	for i := range c.sys.Shards(Name) {
		evs, err := c.logs.Last(ctx, Name, i, limit, ticketing.EvModerated, ticketing.EvPostDecided)
		if err != nil {
			return nil, ticketing.Wrap("moderation.Recent", err)
		}
		for i := range evs {
			if m, ok := evs[i].Data.(*ticketing.Moderated); ok {
				ds = append(ds, m.Decision)
			}
		}
	}
	sort.Slice(ds, func(i, j int) bool { return ds[i].At.After(ds[j].At) })
	return ds[:min(limit, len(ds))], nil
}

// TakeGeneration moves one shard to a rule set, unless it has a newer one. It returns the generation that the shard then has.
func (c Client) TakeGeneration(ctx context.Context, index, shards int, set ticketing.RuleSet) (uint64, error) {
	cmd := &takeGeneration{Shard: index, Set: set}
	cmd.ID = ticketing.DerivedCommandID("generation", binary.BigEndian.AppendUint64(nil, set.Generation), []byte{byte(index)})
	g, _, err := system.Command[uint64](ctx, c.sys, Name, slotOf(index, shards), opTakeGeneration, cmd)
	return g, err
}

// Generation returns the generation that a shard judges by.
func (c Client) Generation(ctx context.Context, index, shards int) (uint64, error) {
	return system.Query[uint64](ctx, c.sys, Name, slotOf(index, shards), opGeneration, &whichGeneration{})
}

// slotOf returns a slot of the shard.
func slotOf(index, shards int) ticketing.Slot {
	return ticketing.Slot(index * ticketing.Slots / shards)
}
