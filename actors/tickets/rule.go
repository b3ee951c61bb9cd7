package tickets

import (
	"encoding/binary"
	"fmt"

	"ticketing"
	"ticketing/runtime/shard"
)

// ruleTickets is the slot in which the tickets about rules live: control has no slots, and events of it are routed to the first.
const ruleTickets ticketing.Slot = 0

// aboutRule stands for a rule where other tickets have their subject.
func aboutRule(rule string) ticketing.ID {
	return ticketing.NewID(ruleTickets, ticketing.ID{}.Time(), ticketing.Hash64([]byte("rule"), []byte(rule)))
}

// pluginChanged opens a ticket for operators when a version is put into quarantine. While one about the rule is open, it joins that.
func (s *service) pluginChanged(tx *shard.Tx, ev *ticketing.Event, e *ticketing.PluginChanged) error {
	c := &e.Change
	if c.To != ticketing.VersionQuarantined {
		return nil
	}
	text := fmt.Sprintf("The version %s of the rule %s was %s and is in quarantine until %s: %s.", c.Version, c.Name, c.From, c.Until.UTC().Format("15:04:05 UTC"), c.Why)
	if t, ok := openAbout(tx, ticketing.ID{}, ticketing.TicketRule, aboutRule(c.Name)); ok {
		if t.Notes >= ticketing.MaxTicketNotes {
			return nil
		}
		t.Notes++
		record(tx, &t, ticketing.TicketEntry{Kind: ticketing.EntryNote, Text: text})
		changed(tx, &t)
		return nil
	}
	t := ticketing.Ticket{ID: ticketing.NewID(ruleTickets, tx.At(), ticketing.Hash64([]byte("quarantine"), []byte(c.Name), binary.BigEndian.AppendUint64(nil, ev.Seq))),
		Kind: ticketing.TicketRule, State: ticketing.TicketOpen, Rule: c.Name, Text: text, CreatedAt: tx.At()}
	tx.Put(openKey(ticketing.ID{}, t.Kind, aboutRule(c.Name)), t.ID)
	record(tx, &t, ticketing.TicketEntry{Kind: ticketing.EntryOpened, Text: text})
	put(tx, &t)
	tx.Emit(&ticketing.TicketOpened{Ticket: t})
	return nil
}
