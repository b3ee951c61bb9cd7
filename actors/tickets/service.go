// Package tickets is the service that owns the cases for humans: what the rules hold, what users report, and what they ask. A ticket
// about an item lives in the slot of the item's author, beside the decisions that it may overturn.
package tickets

import (
	"encoding/binary"

	"ticketing"
	"ticketing/runtime/shard"
)

// Name is the service's name.
const Name = "tickets"

// Codes of the operations, on the wire: never reuse one.
const (
	opOpen = iota + 1
	opDecide
	opTicket
	opClaim
	opRelease
	opNote
	opEscalate
	opCase
)

// New returns what the service answers and listens to.
func New() shard.Spec {
	s := &service{}
	return shard.Spec{
		Service: Name,
		Handlers: []shard.Handler{
			shard.Command(opOpen, s.open),
			shard.Command(opDecide, s.decide),
			shard.Query(opTicket, s.ticket),
			shard.Command(opClaim, s.claim),
			shard.Command(opRelease, s.release),
			shard.Command(opNote, s.note),
			shard.Command(opEscalate, s.escalate),
			shard.Query(opCase, s.timeline),
		},
		Subscriptions: []shard.Subscription{{
			Producer: "moderation", Route: shard.ByAuthor,
			On: map[ticketing.EventType]shard.EventHandler{
				ticketing.EvModerated:   shard.On(s.moderated),
				ticketing.EvPostDecided: shard.On(s.moderated),
				ticketing.EvWithdrawn:   shard.On(s.withdrawn),
			},
		}, {
			Producer: ticketing.ServiceControl, Shards: 1, Route: shard.ByAuthor, // nobody's: the first slot
			On: map[ticketing.EventType]shard.EventHandler{
				ticketing.EvPluginChanged: shard.On(s.pluginChanged),
			},
		}},
		Export: export,
	}
}

// Tables of the state.
const (
	tableTicket = 't' // ticket id → Ticket
	tableOpen   = 'o' // slot, ticket kind(1), subject id → id of the open ticket about the subject
	tableEntry  = 'e' // ticket id, number(4) → TicketEntry
	tableAppeal = 'a' // author id, subject id, revision(4) → id of the appeal
)

func key(id ticketing.ID) shard.Key { return shard.KeyOf(tableTicket, id) }

func openKey(author ticketing.ID, kind ticketing.TicketKind, subject ticketing.ID) shard.Key {
	return shard.KeyAt(tableOpen, author.Slot(), []byte{byte(kind)}, subject[:])
}

func entryKey(ticket ticketing.ID, n uint32) shard.Key {
	return binary.BigEndian.AppendUint32(shard.KeyOf(tableEntry, ticket), n)
}

func appealKey(author, subject ticketing.ID, rev uint32) shard.Key {
	return binary.BigEndian.AppendUint32(shard.KeyOf(tableAppeal, author, subject[:]), rev)
}

// export emits every ticket as it is, for projections that begin from nothing.
func export(v *shard.View, emit func(ticketing.EventData) error) (err error) {
	v.Scan(nil, func(k shard.Key, decode func(any)) bool {
		if k.Table() != tableTicket {
			return true
		}
		var t ticketing.Ticket
		decode(&t)
		err = emit(&ticketing.TicketOpened{Ticket: t})
		return err == nil
	})
	return err
}
