package moderation

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host/hosttest"
	"ticketing/runtime/shard"
	"ticketing/runtime/wire"
)

// all reads the evidence of a slot page by page.
func (w *world) all(q Query) (cases []Case, missing, looked uint64, pages int) {
	w.t.Helper()
	for {
		p, err := w.Evidence(w.t.Context(), q)
		if err != nil {
			w.t.Fatal(err)
		}
		cases, missing, looked = append(cases, p.Cases...), missing+p.Missing, looked+p.Looked
		if pages++; p.Next.IsZero() {
			return cases, missing, looked, pages
		}
		q.After = p.Next
	}
}

// Pages give out every decision of rules once, in the order of its time, within the range and of the kinds that were asked for; deleted items
// are counted, and what a person decided later is said.
func TestEvidencePages(t *testing.T) {
	w := newWorld(t, hosttest.HoldAll)
	w.rules(rule("hold", hosttest.HoldAll, ""))
	ann := w.author(1)
	slot := ann.ID.Slot()
	long := strings.Repeat("a long text ", 6_000) // four fill a page
	var ids []ticketing.ID
	for i := range 12 {
		d := w.comment(ann, fmt.Sprint(i, long))
		ids = append(ids, d.Subject)
		w.later(time.Second)
	}
	w.post(ann, "a title", "a body")
	cases, missing, looked, pages := w.all(Query{Slot: slot})
	if len(cases) != 13 || missing != 0 || looked != 13 || pages < 3 {
		t.Errorf("%d cases, %d missing, %d looked at, %d pages", len(cases), missing, looked, pages)
	}
	for i, c := range cases[:12] {
		if c.Evidence.Item.ID != ids[i] || c.Was.Subject != ids[i] || c.Status != ticketing.Held || c.Human {
			t.Errorf("%d: %+v", i, c.Was)
		}
	}
	if cases, _, looked, _ := w.all(Query{Slot: slot, Kinds: []ticketing.ItemKind{ticketing.KindPost}}); len(cases) != 1 || looked != 13 {
		t.Errorf("%d posts of %d", len(cases), looked)
	}
	if cases, _, _, _ := w.all(Query{Slot: slot, From: noon.Add(3 * time.Second), To: noon.Add(5 * time.Second)}); len(cases) != 2 || cases[0].Evidence.Item.ID != ids[3] {
		t.Errorf("%d in the range", len(cases))
	}
	if n, err := w.CountEvidence(t.Context(), noon.Add(3*time.Second), time.Time{}); err != nil || n != 10 {
		t.Errorf("%d %v", n, err)
	}
	w.emit("tickets", &ticketing.TicketDecided{Ticket: ticketing.Ticket{ID: ticketing.NewID(slot, w.at, 1), Kind: ticketing.TicketHeld, Item: ticketing.KindComment,
		Subject: ids[0], Rev: 1, Author: ann.ID, DecidedBy: ticketing.NewID(3, noon, 3), Outcome: ticketing.OutcomeReject}})
	w.last(ann.ID, ids[0], 2)
	w.emit("comments", &ticketing.CommentDeleted{Comment: ticketing.Comment{ID: ids[1], Author: ann}})
	eventually(t, "one is gone", func() bool {
		cases, missing, _, _ = w.all(Query{Slot: slot})
		return missing == 1
	})
	if c := cases[0]; len(cases) != 12 || !c.Human || c.Status != ticketing.Rejected || c.Was.Status != ticketing.Held {
		t.Errorf("%d cases, %v %v", len(cases), c.Status, c.Human)
	}
	if slices.ContainsFunc(cases, func(c Case) bool { return c.Evidence.Item.ID == ids[1] }) {
		t.Error("the deleted one is there")
	}
}

// What is stored, byte by byte: a changed key or type turns it red.
func TestStoredEvidence(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	id := ticketing.NewID(3, at, 7)
	item := ticketing.Item{Kind: ticketing.KindComment, ID: id, Rev: 2, Text: "t", Author: ticketing.Author{ID: id, Name: "n"}, At: at}
	for _, v := range []any{
		storedEvidence{Item: item, Reads: [][]byte{{1}, nil}},
		storedEvidence{Item: item, Gone: true},
		storedStats{Stats: ticketing.VersionStats{Rule: "r", Role: roleShadow, Judged: 1}, Last: at},
		[]shard.Key{evidenceKey(id), configKey(ticketing.Digest{1}), statsKey(5, statsID{"r", ticketing.Digest{2}, roleActive})},
		[]int{opDecision, opConfig, opEvidence, opCount, opStats},
	} {
		name := fmt.Sprintf("%T", v)
		if got := hex.EncodeToString(wire.Marshal(v)); !slices.Contains(golden, got) {
			t.Errorf("%s is stored as\n%s", name, got)
		}
	}
	if !PerShard(configKey(ticketing.Digest{})) || PerShard(evidenceKey(id)) {
		t.Error("configurations are every shard's, evidence is not")
	}
}

// While programs of the first format may be among the cluster's nodes no evidence, no configuration and no statistics are stored: such a program would
// keep the text of an item that is deleted. As soon as the format is raised they are.
func TestNothingNewBeforeTheFormat(t *testing.T) {
	w := newWorld(t, hosttest.HoldAll)
	w.format.Store(ticketing.FirstFormat)
	w.rules(rule("hold", hosttest.HoldAll, `{"a": 1}`))
	ann := w.author(0)
	early := w.comment(ann, "early")
	w.later(2 * flushEvery)
	w.comment(ann, "early, too")
	if _, _, looked, _ := w.all(Query{Slot: ann.ID.Slot()}); looked != 0 || len(w.stored(0, "hold")) != 0 {
		t.Errorf("%d pieces of evidence, statistics %+v", looked, w.stored(0, "hold"))
	}
	if r := w.replay(early.ID); r.Same || !strings.Contains(r.Note, "from before the server kept what the rules saw") {
		t.Errorf("%+v", r)
	}
	w.format.Store(ticketing.PlatformFormat)
	w.later(2 * flushEvery)
	late := w.comment(ann, "late")
	if r := w.replay(late.ID); !r.Same {
		t.Errorf("%+v", r)
	}
	if rows := w.stored(0, "hold"); len(rows) != 1 || rows[0].Judged != 3 {
		t.Errorf("%+v", rows)
	}
	p, err := w.Evidence(t.Context(), Query{Slot: ann.ID.Slot()})
	if err != nil || p.Unseen != 2 || len(p.Cases) != 1 {
		t.Errorf("%d decisions without evidence, %d cases, %v", p.Unseen, len(p.Cases), err)
	}
	p, err = w.Evidence(t.Context(), Query{Slot: ann.ID.Slot(), From: early.At.Add(time.Millisecond), Kinds: []ticketing.ItemKind{ticketing.KindComment}})
	if err != nil || p.Unseen != 1 {
		t.Errorf("%d decisions without evidence after the first, %v", p.Unseen, err)
	}
	p, err = w.Evidence(t.Context(), Query{Slot: ann.ID.Slot(), Kinds: []ticketing.ItemKind{ticketing.KindPost}})
	if err != nil || p.Unseen != 0 {
		t.Errorf("%d decisions about posts without evidence, %v", p.Unseen, err)
	}
	w.rules(rule("hold", hosttest.HoldAll, `{"a": 2}`))
	if r := w.replay(late.ID); !r.Same { // by the configuration of then
		t.Errorf("%+v", r)
	}
}

// With an account its names go from all evidence, and what was written stays, as everywhere else. What is judged later keeps none either. Other
// authors keep theirs, and other changes of an account change nothing.
func TestRemovedAccount(t *testing.T) {
	w := newWorld(t, hosttest.Ask)
	w.rules(rule("ask", hosttest.Ask, ""))
	zoltan, bela := w.author(0), w.author(0)
	zoltan.Name, bela.Name = "zoltan the third", "bela"
	first := w.post(zoltan, "name", "one")
	other := w.post(bela, "name", "two")
	w.emit("users", &ticketing.UserChanged{User: ticketing.User{ID: zoltan.ID, Name: "zoltan"}})
	zoltan.Name = "zoltan the fourth"
	second := w.post(zoltan, "name", "three")
	if first.Rules[0].Code != 16 || other.Rules[0].Code != 4 || !w.stores("zoltan the third") || !w.stores("zoltan the fourth") || !w.replay(first.ID).Same {
		t.Fatalf("this proves nothing: %+v, %+v", first.Rules, other.Rules)
	}
	w.emit("users", &ticketing.UserChanged{User: ticketing.User{ID: zoltan.ID, Name: ticketing.RemovedName, Removed: true}})
	eventually(t, "the names are gone", func() bool { return !w.stores("zoltan the third") && !w.stores("zoltan the fourth") })
	w.post(zoltan, "name", "late")
	if w.stores("zoltan the fourth") || !w.stores("bela") {
		t.Error("a name that came late is kept, or another author's is not")
	}
	cases, _, _, _ := w.all(Query{Slot: zoltan.ID.Slot()})
	for _, c := range cases {
		want := ticketing.RemovedName
		if c.Was.Author == bela.ID {
			want = "bela"
		}
		if c.Evidence.Item.Author.Name != want || c.Evidence.Item.Text == "" {
			t.Errorf("%+v", c.Evidence.Item)
		}
	}
	for _, d := range []ticketing.Decision{first, second} {
		if r := w.replay(d.ID); r.Same || !strings.Contains(r.Rules[0].Note, "account was removed") {
			t.Errorf("%+v", r)
		}
	}
	if r := w.replay(other.ID); !r.Same || len(cases) != 4 {
		t.Errorf("%d cases, %+v", len(cases), r)
	}
}
