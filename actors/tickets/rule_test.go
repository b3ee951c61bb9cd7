package tickets

import (
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

// quarantined tells of a version's quarantine.
func (d *desk) quarantined(rule, version string) {
	d.t.Helper()
	d.stepped(ticketing.VersionChange{Name: rule, Version: version, From: ticketing.VersionActive, To: ticketing.VersionQuarantined,
		Why: "trap", At: d.at, Until: d.at.Add(30 * time.Second)})
}

func (d *desk) stepped(c ticketing.VersionChange) {
	d.t.Helper()
	if _, err := d.ask(ticketing.ServiceControl, opEmit, &emit{Meta: d.meta(), Plugin: &ticketing.PluginChanged{Change: c}}); err != nil {
		d.t.Fatal(err)
	}
}

// aboutRule finds the open ticket about a rule.
func (d *desk) aboutRule(rule string) (id ticketing.ID) {
	d.t.Helper()
	err := d.actors[Name].Read(func(v *shard.View) error {
		v.Get(openKey(ticketing.ID{}, ticketing.TicketRule, aboutRule(rule)), &id)
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return id
}

// A quarantine opens a ticket that operators alone see, claim and close; the same rule's next one joins it while it is open.
func TestRuleTicket(t *testing.T) {
	d := newDesk(t)
	d.stepped(ticketing.VersionChange{Name: "links", Version: "v1", From: ticketing.VersionProbed, To: ticketing.VersionActive})
	d.quarantined("links", "v2")
	eventually(t, "the ticket is open", func() bool { return !d.aboutRule("links").IsZero() })
	id := d.aboutRule("links")
	tk, lines := d.read(id)
	if tk.Kind != ticketing.TicketRule || tk.Rule != "links" || tk.ID.Slot() != 0 || tk.Item != 0 || !strings.Contains(tk.Text, "v2") || !strings.Contains(tk.Text, "trap") {
		t.Errorf("%+v", tk)
	}
	if len(lines) != 1 {
		t.Errorf("%q", lines)
	}
	for _, p := range []ticketing.Principal{ada, mia} {
		if tk.VisibleTo(p) {
			t.Errorf("%s sees it", p.Name)
		}
		d.do(ticketing.NotFound, opNote, d.note(p, id, false))
	}
	d.do(ticketing.NotFound, opClaim, d.claim(mia, id))
	d.do(ticketing.NotFound, opDecide, d.decide(mia, id, ticketing.OutcomeAnswered))
	d.quarantined("links", "v3")
	d.quarantined("spam", "v1")
	eventually(t, "the second quarantine joined", func() bool { tk, _ := d.read(id); return tk.Notes == 1 })
	eventually(t, "another rule has its own ticket", func() bool { other := d.aboutRule("spam"); return !other.IsZero() && other != id })
	d.do(ticketing.OK, opClaim, d.claim(op, id))
	for _, outcome := range []string{ticketing.OutcomeApprove, ticketing.OutcomeReject} {
		d.do(ticketing.Invalid, opDecide, d.decide(op, id, outcome)) // there is no item to decide about
	}
	if tk = d.do(ticketing.OK, opDecide, d.decide(op, id, ticketing.OutcomeAnswered)); tk.State != ticketing.TicketClosed || tk.Note != "So." {
		t.Errorf("%+v", tk)
	}
	d.quarantined("links", "v4")
	eventually(t, "a new ticket after the first was closed", func() bool { next := d.aboutRule("links"); return !next.IsZero() && next != id })
}
