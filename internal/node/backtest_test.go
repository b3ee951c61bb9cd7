package node

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/plugins/rules"
)

// testator is who asks for backtests.
var testator = ticketing.Principal{Name: "olga", Roles: ticketing.RoleUser | ticketing.RoleOperator}

// write makes people say things, some of them advertising, and waits until all is decided. It returns how much.
func (w *town) write(n int) (decided uint64) {
	w.t.Helper()
	r := rand.New(rand.NewPCG(7, 8))
	var last ticketing.CreateComment
	for i := range n {
		u := w.users[i%len(w.users)]
		text := fmt.Sprint("a thought, number ", i)
		if i%3 == 0 {
			text = fmt.Sprint("check out my channel, number ", i)
		}
		post := w.posts[r.IntN(len(w.posts))]
		last = ticketing.CreateComment{Meta: meta(r), Post: post, Author: ticketing.Author{ID: u.ID, Name: u.Name}, Text: text}
		last.ID = ticketing.NewID(post.Slot(), last.At, r.Uint64())
		eventually(w.t, "the post is known", func() bool {
			_, err := w.Services().Comments.CreateComment(w.t.Context(), last)
			if err != nil && ticketing.KindOf(err) != ticketing.NotFound {
				w.t.Fatal(err)
			}
			return err == nil
		})
	}
	want := uint64(n + len(w.posts))
	eventually(w.t, "everything is decided", func() bool { return evidence(w.t, w.Node) == want })
	return want
}

// ended waits until a backtest is over.
func ended(t *testing.T, n *Node, id ticketing.ID) (b ticketing.Backtest) {
	t.Helper()
	eventually(t, "the backtest ends", func() bool {
		var err error
		if b, err = n.backtests.Backtest(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		return b.State.Ended()
	})
	return b
}

// spamTest is a backtest of a stricter or milder built-in rule.
func spamTest(config string) ticketing.StartBacktest {
	for _, b := range rules.Builtin() {
		if b.Name == "spam" {
			return ticketing.StartBacktest{By: testator, Rule: b.Name, Digest: ticketing.DigestOf(b.Module), Config: []byte(config), CPU: 1}
		}
	}
	panic("there is no spam")
}

// A backtest finds what was decided, and tells what a candidate would have done otherwise.
func TestBacktest(t *testing.T) {
	n := openShards(t, vfs.NewMem(), 2)
	for _, b := range rules.Builtin() { // what the other rules hold is not this rule's doing
		if b.Name == "spam" {
			continue
		}
		c := ticketing.SetRule{By: testator, Name: b.Name, IfMatch: ticketing.AnyMatch}
		if _, err := n.rules.SetRule(t.Context(), c); err != nil && ticketing.KindOf(err) != ticketing.NotFound {
			t.Fatal(err)
		}
	}
	all := newTown(t, n).write(60)
	start := func(c ticketing.StartBacktest) ticketing.Backtest {
		t.Helper()
		b, err := n.backtests.StartBacktest(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return ended(t, n, b.ID)
	}
	same := spamTest("")
	same.Config = nil // as it judges now
	if b := start(same); b.State != ticketing.BacktestDone || b.Done != all || b.Total != all || b.Report.Judged != all || b.Report.NewCaught+b.Report.NewFree != 0 ||
		b.Report.Automatic.TruePositive != 20 || b.Report.Automatic.TrueNegative != all-20 {
		t.Errorf("the same: %s %s %+v", b.State, b.Why, b.Report)
	}
	if b := start(spamTest(`{}`)); b.Report.NewFree != 20 || len(b.Report.Released) != 20 || b.Report.NewCaught != 0 {
		t.Errorf("milder: %+v", b.Report)
	}
	links := spamTest("")
	for _, b := range rules.Builtin() {
		if links.Config = nil; b.Name == "links" {
			links.Rule, links.Digest = b.Name, ticketing.DigestOf(b.Module)
		}
	}
	for from, c := range map[ticketing.ConfigSource]ticketing.StartBacktest{ticketing.ConfigOfRule: same, ticketing.ConfigGiven: spamTest(`{}`), ticketing.ConfigBuiltin: links} {
		want := c.Config
		if want == nil {
			want = rules.ConfigOf(c.Digest) // the rule that judges has it, too
		}
		if b := start(c); b.ConfigFrom != from || !bytes.Equal(b.Config, want) {
			t.Errorf("%s of %s: %q, %s", from, c.Rule, b.ConfigFrom, b.Config)
		}
	}
	strict := spamTest(`{"match": [{"signal": "plea", "points": 100, "words": ["a thought"]}]}`)
	strict.Kinds = []ticketing.ItemKind{ticketing.KindComment}
	if b := start(strict); b.Report.NewCaught != 40 || b.Report.Judged != 60 || len(b.Report.Caught) != 40 {
		t.Errorf("stricter: %+v", b.Report)
	}
	strict.To = time.Now().Add(-time.Hour)
	if b := start(strict); b.Report.Judged != 0 || b.State != ticketing.BacktestDone {
		t.Errorf("of another time: %+v", b.Report)
	}
	if _, err := n.backtests.StartBacktest(t.Context(), spamTest(`{"match": 3}`)); ticketing.KindOf(err) != ticketing.Invalid {
		t.Errorf("a bad config: %v", err)
	}
}

// A node that is stopped midway goes on where it was when it comes back, and comes to the same report as a run without a stop.
func TestBacktestResumes(t *testing.T) {
	fs, clock := vfs.NewMem(), &later{}
	opts := quietOptions(t, fs)
	opts.Now = func() time.Time { // every look at the clock takes a while, so that the backtest is busy
		clock.by.Add(int64(200 * time.Microsecond))
		return clock.now()
	}
	rests, stuck := 0, make(chan struct{})
	opts.rest = func(ctx context.Context, d time.Duration) {
		clock.by.Add(int64(d))
		switch rests++; {
		case rests == 10:
			clock.by.Add(int64(2 * saveEvery)) // the end of this slot is saved
		case rests > 12:
			if rests == 13 {
				close(stuck)
			}
			<-ctx.Done()
		}
	}
	n, err := Open(t.Context(), smallConfig(2), opts)
	if err != nil {
		t.Fatal(err)
	}
	w := newTown(t, n)
	w.write(90)
	c := spamTest(`{"rate": {"items": 3, "seconds": 600}}`)
	c.CPU, c.Labels.Bad = 0.5, w.posts
	b, err := n.backtests.StartBacktest(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-stuck:
	case <-time.After(20 * time.Second):
		t.Fatal("it never rested")
	}
	if err := n.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	opts.rest = nil
	if n, err = Open(t.Context(), smallConfig(2), opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	half, err := n.backtests.Backtest(t.Context(), b.ID)
	if err != nil || len(half.Progress) != 10 || half.Progress[0] == 0 && half.Progress[1] == 0 || half.Progress[0] >= 4 {
		t.Fatalf("it did not stop midway: %v %v", half.Progress, err)
	}
	b = ended(t, n, b.ID)
	if b.State != ticketing.BacktestDone {
		t.Fatalf("%s %s", b.State, b.Why)
	}
	c.CPU, c.To, c.Meta = 1, b.To, ticketing.Meta{}
	whole, err := n.backtests.StartBacktest(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	whole = ended(t, n, whole.ID)
	b.Report.Micros, whole.Report.Micros = 0, 0
	if !reflect.DeepEqual(b.Report, whole.Report) || b.Done != whole.Done || whole.Report.NewCaught == 0 || whole.Report.Labels.Total() != uint64(len(w.posts)) {
		t.Errorf("interrupted:\n%+v\nin one go:\n%+v", b.Report, whole.Report)
	}
}

// A run has its share of a core and no more, however small that is, and however badly it sleeps; it has not saved up what it slept too long.
func TestPace(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, share := range []float64{0.01, 0.05, 0.25, 0.9, 1} {
		p := pace{share: share}
		var work, rest time.Duration
		for work < 20*time.Second {
			d := time.Duration(r.Int64N(int64(20 * time.Millisecond)))
			work += d
			for p.worked(d); p.owed >= minRest; {
				d := min(p.owed, sayEvery) + time.Duration(r.Int64N(int64(2*time.Millisecond)))
				rest += d
				p.rested(d)
			}
		}
		if got := float64(work) / float64(work+rest); got < share*0.995 || got > share*1.005 {
			t.Errorf("of a share of %v it took %.4f", share, got)
		}
		if p.rested(time.Hour); p.owed != -maxCredit {
			t.Errorf("after an hour's sleep it owes %v", p.owed)
		}
	}
}

// In a long slot, too, a backtest says how far it is, rests as long as its share asks for, and ends within a second when it is cancelled.
func TestBacktestInALongSlot(t *testing.T) {
	clock, slow := &later{}, atomic.Bool{}
	opts := quietOptions(t, vfs.NewMem())
	opts.Now = func() time.Time { // the backtest's items take long
		if slow.Load() {
			clock.by.Add(int64(5 * time.Millisecond))
		}
		return clock.now()
	}
	var n *Node
	var id ticketing.ID
	var rested, after time.Duration // since it was cancelled
	var last, step uint64
	cancelled, asked := false, make(chan struct{})
	opts.rest = func(ctx context.Context, d time.Duration) {
		clock.by.Add(int64(d))
		<-asked
		b, err := n.backtests.Backtest(ctx, id)
		if err != nil {
			t.Error(err)
			return
		}
		last, step = b.Done, max(step, b.Done-last)
		if rested += d; cancelled {
			after += d
		} else if b.Done >= 30 {
			if _, err := n.backtests.CancelBacktest(ctx, testator, id); err != nil {
				t.Error(err)
			}
			cancelled = true
		}
	}
	n, err := Open(t.Context(), smallConfig(1), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	w := newTown(t, n)
	w.users = w.users[:1]
	all := w.write(60)
	slow.Store(true)
	c := spamTest("")
	c.CPU, c.Kinds = 0.01, []ticketing.ItemKind{ticketing.KindComment}
	b, err := n.backtests.StartBacktest(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	id = b.ID
	close(asked)
	next, err := n.backtests.StartBacktest(t.Context(), spamTest("")) // runs when the one before has let go
	if err != nil {
		t.Fatal(err)
	}
	if b := ended(t, n, next.ID); b.State != ticketing.BacktestDone || b.Done != all {
		t.Fatalf("%s %s", b.State, b.Why)
	}
	if !cancelled || step > 10 || after > sayEvery+minRest || rested < 30*time.Second/10 {
		t.Errorf("cancelled %v after %v of rest in steps of %d, and rested %v more", cancelled, rested, step, after)
	}
}

// A cancelled backtest ends, and the next one runs.
func TestBacktestCancelled(t *testing.T) {
	n := openShards(t, vfs.NewMem(), 1)
	newTown(t, n).write(10)
	slow := spamTest("")
	slow.CPU = 0.01
	first, err := n.backtests.StartBacktest(t.Context(), slow)
	if err != nil {
		t.Fatal(err)
	}
	next, err := n.backtests.StartBacktest(t.Context(), spamTest(""))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it runs", func() bool {
		b, err := n.backtests.Backtest(t.Context(), first.ID)
		return err == nil && b.State == ticketing.BacktestRunning
	})
	if b, err := n.backtests.CancelBacktest(t.Context(), testator, first.ID); err != nil || b.State != ticketing.BacktestCancelled {
		t.Fatal(b.State, err)
	}
	if b := ended(t, n, next.ID); b.State != ticketing.BacktestDone {
		t.Errorf("%s %s", b.State, b.Why)
	}
	if b, err := n.backtests.Backtest(t.Context(), first.ID); err != nil || b.State != ticketing.BacktestCancelled {
		t.Error(b.State, err)
	}
}
