package node

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/plugins/host/hosttest"
)

// became waits until a version is in a state.
func became(t *testing.T, n *Node, d ticketing.Digest, want ticketing.VersionState) ticketing.PluginVersion {
	t.Helper()
	var v ticketing.PluginVersion
	for end := time.Now().Add(time.Minute); ; {
		all, err := n.rules.Plugins(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		states := map[string]ticketing.VersionState{}
		for _, v = range all {
			if v.Digest == d && v.State == want {
				return v
			}
			states[v.Name+" "+v.Version] = v.State
		}
		if time.Now().After(end) {
			t.Fatalf("never %s: %v", want, states)
		}
		n.pause(t.Context(), 20*time.Millisecond)
	}
}

// A node that stops in any state of an upload takes it to its end when it is back.
func TestInterruptedUploadIsTakenUp(t *testing.T) {
	fs := vfs.NewMem()
	n := openShards(t, fs, 1)
	modules := map[ticketing.VersionState][]byte{"": hosttest.ApproveAll, ticketing.VersionAdmitted: hosttest.RejectAll, ticketing.VersionCompiled: hosttest.HoldAll}
	for last, module := range modules {
		v, _, err := n.control.Register(t.Context(), ticketing.UploadPlugin{By: nobody, Name: "links", Module: module})
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range []ticketing.VersionState{ticketing.VersionAdmitted, ticketing.VersionCompiled} {
			if last == "" || last == ticketing.VersionAdmitted && to == ticketing.VersionCompiled {
				break
			}
			if v, err = n.control.Step(t.Context(), control.Step{Name: "links", Digest: v.Digest, From: v.State, To: to}); err != nil {
				t.Fatal(err)
			}
		}
	}
	closeNode(t, n)
	n = openShards(t, fs, 1)
	for _, module := range modules {
		became(t, n, ticketing.DigestOf(module), ticketing.VersionProbed)
	}
}

// gatedEngine compiles when it is let.
type gatedEngine struct {
	ticketing.RuleEngine
	entered chan struct{}
}

func (e *gatedEngine) Compile(ctx context.Context, d ticketing.Digest) error {
	close(e.entered)
	<-ctx.Done()
	return ctx.Err()
}

// While an interrupted upload is compiled, the leader goes on with everything else, and its loop ends with the node.
func TestTakingUpHoldsNothingUp(t *testing.T) {
	n := openShards(t, vfs.NewMem(), 1)
	d := ticketing.DigestOf(hosttest.HoldAll)
	n.rules.uploads.begin(d) // the node's own loop leaves it alone
	if _, _, err := n.control.Register(t.Context(), ticketing.UploadPlugin{By: nobody, Name: "links", Module: hosttest.HoldAll}); err != nil {
		t.Fatal(err)
	}
	e := &gatedEngine{n.host, make(chan struct{})}
	rounds := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	m := &ruleManager{control: n.control, moderation: n.rules.moderation, engine: e, console: n.host, shards: 1, log: n.log, format: n.rules.format, now: n.rules.now,
		leads: func() bool {
			select {
			case rounds <- struct{}{}:
			case <-ctx.Done():
			}
			return true
		}}
	m.seeded.Store(true)
	var run sync.WaitGroup
	run.Go(func() { m.run(ctx) })
	late := time.After(time.Minute)
	after := 0
	for entered := e.entered; after < 2; {
		select {
		case <-entered:
			entered = nil
		case <-rounds:
			if entered == nil {
				after++
			}
		case <-late:
			t.Error("the leader's loop stands still")
			after = 2
		}
	}
	cancel()
	run.Wait()
}

// A breaker's word puts the version into quarantine, the last good one judges on every shard, and operators find a ticket.
func TestTripRestores(t *testing.T) {
	n := openShards(t, vfs.NewMem(), 2)
	for _, module := range [][]byte{hosttest.ApproveAll, hosttest.Trap} {
		v, _, err := n.rules.Upload(t.Context(), ticketing.UploadPlugin{By: nobody, Name: "links", Module: module})
		if err != nil || v.State != ticketing.VersionProbed {
			t.Fatalf("%+v %v", v, err)
		}
		if _, err := n.rules.SetRule(t.Context(), ticketing.SetRule{By: nobody, Name: "links", Active: v.Digest, IfMatch: ticketing.AnyMatch}); err != nil {
			t.Fatal(err)
		}
	}
	bad := ticketing.DigestOf(hosttest.Trap)
	for range 3 {
		n.rules.trips.add(ticketing.RuleTrip{Rule: "links", Digest: bad, Role: "active", Cause: "trap"})
	}
	v := became(t, n, bad, ticketing.VersionQuarantined)
	if v.Trips != 1 {
		t.Errorf("%d quarantines", v.Trips)
	}
	became(t, n, ticketing.DigestOf(hosttest.ApproveAll), ticketing.VersionActive)
	set, err := n.rules.RuleSet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		for g := uint64(0); g < set.Generation; n.pause(t.Context(), 5*time.Millisecond) {
			if g, err = n.rules.moderation.Generation(t.Context(), i, 2); err != nil {
				t.Fatal(err)
			}
		}
	}
	for end := time.Now().Add(time.Minute); ; n.pause(t.Context(), 20*time.Millisecond) {
		found, err := n.query.Tickets(t.Context(), ticketing.TicketFilter{Kind: ticketing.TicketRule, State: ticketing.TicketOpen}, ticketing.Page{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Tickets) == 1 && found.Tickets[0].Rule == "links" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no ticket: %+v", found)
		}
	}
}

// A backtest runs under the limits that the operator has set for the rule.
func TestBacktestHasTheRulesLimits(t *testing.T) {
	n := openShards(t, vfs.NewMem(), 1)
	v, _, err := n.rules.Upload(t.Context(), ticketing.UploadPlugin{By: nobody, Name: "links", Module: hosttest.HoldAll})
	if err != nil {
		t.Fatal(err)
	}
	for fuel, failure := range map[uint64]string{0: "", 1: "fuel"} {
		if _, err := n.rules.SetRule(t.Context(), ticketing.SetRule{By: nobody, Name: "links", Active: v.Digest, IfMatch: ticketing.AnyMatch,
			Limits: ticketing.RuleLimits{Fuel: fuel}}); err != nil {
			t.Fatal(err)
		}
		j, err := n.backtests.open(t.Context(), &ticketing.Backtest{Rule: "links", Digest: v.Digest})
		if err != nil {
			t.Fatal(err)
		}
		if o := j.Judge(&ticketing.Item{Kind: ticketing.KindPost, Text: "x", At: time.Unix(1_000_000, 0)}, nil).Outcomes[0]; o.Failure != failure {
			t.Errorf("with %d units: %+v", fuel, o)
		}
		j.Close()
	}
}

// A generation that cannot be prepared is tried again every two seconds, and is in the log once.
func TestFailedPreparationIsNewsOnce(t *testing.T) {
	var m ruleManager
	for i, tc := range []struct {
		generation uint64
		err        error
		news       bool
	}{
		{1, nil, true}, {2, errors.New("no room"), true}, {2, ticketing.Wrap("host.Prepare", errors.New("no room")), false}, {3, errors.New("no room"), true}, {3, errors.New("no room"), false},
		{3, nil, true}, {4, errors.New("no room"), true},
	} {
		if news := m.note(tc.generation, tc.err); news != tc.news {
			t.Errorf("step %d is news: %v", i, news)
		}
		if have, failure := m.prepared(); (failure == "") != (tc.err == nil) || have == tc.generation != (tc.err == nil) {
			t.Errorf("step %d: generation %d, %q", i, have, failure)
		}
	}
}

// A node on which golden tests fail, such as after an upgrade of the program, says so and starts all the same; without others it leads as before.
func TestGoldenTestsFailOnANode(t *testing.T) {
	fs := vfs.NewMem()
	closeNode(t, openShards(t, fs, 1))
	opts := quietOptions(t, fs)
	opts.limits.Fuel = 1
	n, err := Open(t.Context(), smallConfig(1), opts)
	if err != nil {
		t.Fatal(err)
	}
	if r := n.report(); r.Generation != 0 || !strings.Contains(r.RuleError, "of its golden tests do not pass") || !strings.HasPrefix(r.RuleError, "The rule ") {
		t.Errorf("prepared %d: %q", r.Generation, r.RuleError)
	}
	closeNode(t, n)
	n = openShards(t, fs, 1)
	if r := n.report(); r.Generation == 0 || r.RuleError != "" {
		t.Errorf("prepared %d: %q", r.Generation, r.RuleError)
	}
}
