package control_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/runtime/shard"
)

// The cluster's format rises when the last member runs a program that knows a newer one, and not before. Afterwards a program that does not know
// it is refused, whether it starts or joins.
func TestFormatRisesWithTheLastMember(t *testing.T) {
	c, _ := founded(t, 3, posts)
	ctx := t.Context()
	raise := func() (int, error) { return c.RaiseFormat(ctx, ticketing.RaiseFormat{By: operator}) }
	j, err := c.Join(ctx, joining("n2", "token"))
	must(t, err)
	announce := func(newest int) error {
		return c.Announce(ctx, ticketing.AnnounceMember{Node: "n2", Incarnation: j.Incarnation, Address: "n2:1", Formats: ticketing.Formats{Oldest: 1, Newest: newest}})
	}
	_, err = raise()
	refused(t, err, ticketing.Conflict, "no newer one: n2.")
	_, err = c.RaiseFormat(ctx, ticketing.RaiseFormat{By: ticketing.Principal{Roles: ticketing.RoleUser}})
	refused(t, err, ticketing.Forbidden, "operator")
	must(t, announce(3))
	before := mapOf(t, c)
	if before.Format != 1 || before.Common() != 2 { // n1 knows 1 and 2
		t.Fatalf("format %d, common %d", before.Format, before.Common())
	}
	must(t, announce(1)) // the way back is open until the format is raised
	must(t, announce(3))
	for range 2 {
		if format, err := raise(); err == nil && format != 2 {
			t.Errorf("%d, %v", format, err)
		}
	}
	if m := mapOf(t, c); m.Format != 2 || m.Version != before.Version+3 {
		t.Errorf("format %d, version %d after %d", m.Format, m.Version, before.Version)
	}
	refused(t, announce(1), ticketing.Conflict, "is of format 2; the program on n2 knows the formats 1 to 1")
	_, err = c.Join(ctx, joining("n3", "another"))
	refused(t, err, ticketing.Conflict, "is of format 2; the program on n3 knows the formats 1 to 1")
}

// A cluster whose members all know the same is as it should be.
func TestFormatThatIsTheNewest(t *testing.T) {
	c, _ := founded(t, 1, posts)
	for range 2 {
		if format, err := c.RaiseFormat(t.Context(), ticketing.RaiseFormat{By: operator}); err != nil || format != 2 {
			t.Errorf("%d, %v", format, err)
		}
	}
}

// firstTables is what programs of the first format know of the tables of control's state, and firstEvents of its events.
const firstTables = "kpdmrgfcnstx"

func firstEvents(t ticketing.EventType) bool {
	return t == ticketing.EvPluginUploaded || t == ticketing.EvRuleSetChanged || t == ticketing.EvClusterChanged
}

// TestPlatformWaitsForTheFormat: while programs of the first format may be among the cluster's nodes nothing is written that they do not know. What they
// know goes on; the rest is refused with the words that say what to do, and works as soon as the format is raised.
func TestPlatformWaitsForTheFormat(t *testing.T) {
	var format atomic.Int64
	format.Store(ticketing.FirstFormat)
	c, a := openSpec(t, control.Older, func() int { return int(format.Load()) })
	r := &registry{c, t, a, time.Now().UTC().Truncate(time.Millisecond)}
	ctx := t.Context()
	v1, v2 := ticketing.DigestOf([]byte("one")), ticketing.DigestOf([]byte("two"))
	must(t, r.Legacy(ctx, "spam", v1, v2))

	shadow := &ticketing.Candidate{Digest: v1}
	later := map[string]func() error{
		"an upload": func() error {
			_, _, err := r.Register(ctx, ticketing.UploadPlugin{Meta: r.meta(), By: operator, Name: "links", Module: []byte("m")})
			return err
		},
		"an empty one": func() error {
			_, _, err := r.Register(ctx, ticketing.UploadPlugin{Meta: r.meta(), By: operator, Name: "links"})
			return err
		},
		"a shadow": func() error { _, err := r.set(ticketing.SetRule{Name: "spam", Active: v2, Shadow: shadow}); return err },
		"a limit": func() error {
			_, err := r.set(ticketing.SetRule{Name: "spam", Active: v2, Limits: ticketing.RuleLimits{Fuel: 1000}})
			return err
		},
		"a step": func() error {
			_, err := r.Step(ctx, control.Step{Meta: r.meta(), Name: "spam", Digest: v2, From: ticketing.VersionActive, To: ticketing.VersionActive})
			return err
		},
		"a key": func() error {
			_, err := r.SetSigner(ctx, ticketing.SetSigner{Meta: r.meta(), By: operator, Key: ticketing.SignerKey{Name: "k", Public: make([]byte, 32)}})
			return err
		},
		"a sweep": func() error { _, err := r.SweepUploads(ctx, r.at); return err },
		"a backtest": func() error {
			_, err := r.StartBacktest(ctx, ticketing.StartBacktest{Meta: r.meta(), By: operator, Rule: "spam", Digest: v2})
			return err
		},
		"a settlement": func() error { _, err := r.Settle(ctx, control.Settle{Meta: r.meta(), Generation: 100}); return err },
		"a trip": func() error {
			_, err := r.Quarantine(ctx, control.Quarantine{Meta: r.meta(), Trip: ticketing.RuleTrip{Rule: "spam", Digest: v2, Role: "active"}})
			return err
		},
	}
	for what, do := range later {
		if err := do(); ticketing.KindOf(err) != ticketing.Conflict || !strings.Contains(err.Error(), "needs format 2") || !strings.Contains(err.Error(), "ticketing cluster upgrade") {
			t.Errorf("%s: %v", what, err)
		}
	}
	r.done(ticketing.SetRule{Name: "spam", Active: v2, Config: []byte("{}"), OnFailure: ticketing.FailAllow})
	if rule := r.done(ticketing.SetRule{Name: "spam", Rollback: true}); rule.Active != v2 || rule.Previous != v2 {
		t.Errorf("%+v", rule)
	}
	r.done(ticketing.SetRule{Name: "spam"})
	r.done(ticketing.SetRule{Name: "spam", Active: v2, Older: true})

	evs, _, err := a.Feed().Poll(ctx, shard.Consumer{Service: "node"}, shard.Cursor{Epoch: 1}, 0, time.Second)
	must(t, err)
	for _, ev := range evs {
		if !firstEvents(ev.Type) {
			t.Errorf("the event %v is none of the first format", ev.Type)
		}
	}
	tables, err := r.Tables(ctx)
	must(t, err)
	if s := strings.Trim(tables, firstTables); s != "" || len(evs) < 5 {
		t.Errorf("tables that the first format does not have: %q; %d events", s, len(evs))
	}

	format.Store(ticketing.PlatformFormat)
	delete(later, "a backtest") // of a version that has left its rule; and the trip comes to nothing
	for what, do := range later {
		if err := do(); err != nil && strings.Contains(err.Error(), "format") {
			t.Errorf("afterwards, %s: %v", what, err)
		}
	}
}
