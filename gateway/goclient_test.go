package gateway

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"ticketing"
	goclient "ticketing/client"
)

// browsersOnly are the operations that the Go client has no use for.
var browsersOnly = map[string]bool{"signIn": true, "listPosts": true}

// recorder stands between a client and a site and notes which operations are asked for.
type recorder struct {
	mu    sync.Mutex
	asked map[string]bool
	url   string
}

func (w *world) record(k *contract) *recorder {
	r := &recorder{asked: make(map[string]bool)}
	to := &url.URL{Scheme: "http", Host: w.addr}
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if op := k.operation(req.Method, req.URL.EscapedPath()); op != nil {
			r.mu.Lock()
			r.asked[op.ID] = true
			r.mu.Unlock()
		}
		proxy.ServeHTTP(rw, req)
	}))
	w.t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

// goProgram is a Go client and what went wrong with it so far.
type goProgram struct {
	*goclient.Client
	t   *testing.T
	ctx context.Context
}

func (p *goProgram) ok(errs ...error) {
	p.t.Helper()
	if err := errors.Join(errs...); err != nil {
		p.t.Fatal(err)
	}
}

// programOf is a Go client with somebody's tokens.
func (w *world) programOf(t *testing.T, r *recorder, c *client) *goProgram {
	t.Helper()
	token := ""
	if c != nil {
		us, err := w.m.Session(t.Context(), c.user, w.m.sessionOf(c.user))
		if err != nil {
			t.Fatal(err)
		}
		if token, err = w.g.tokens.issue(forAPI, us); err != nil {
			t.Fatal(err)
		}
	}
	p, err := goclient.New(r.url, goclient.Options{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return &goProgram{p, t, t.Context()}
}

// The Go client has a method for every operation, and the real gateway understands it.
func TestGoClient(t *testing.T) {
	k, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	r := w.record(k)
	ann := w.programOf(t, r, nil)
	w.useAccount(ann)
	ann.useItems()
	w.useTickets(w.programOf(t, r, w.author), w.programOf(t, r, w.mod))
	w.useOperation(w.programOf(t, r, w.op))
	w.useCluster(w.programOf(t, r, w.op))
	w.useBacktests(w.programOf(t, r, w.op))
	w.useRules(w.programOf(t, r, w.op))
	w.useEnd(ann)
	for _, op := range k.model.Operations {
		if !r.asked[op.ID] && !browsersOnly[op.ID] {
			t.Errorf("the Go client does not ask for %s", op.ID)
		}
	}
}

// useBacktests starts one, follows it over a lost connection to its end, and cancels another.
func (w *world) useBacktests(p *goProgram) {
	p.t.Helper()
	versions, err := p.Plugins(p.ctx)
	p.ok(err)
	n := goclient.NewBacktest{Rule: versions[0].Name, Digest: versions[0].Digest.String(), Config: []byte(`{"max":2}`), Kinds: []string{"comment"}, CPU: 0.5,
		Labels: []goclient.Label{{Key: "k", Label: "bad"}, {ID: ticketing.ID{0, 7}, Label: "good"}}}
	b, err := p.StartBacktest(p.ctx, n)
	if p.ok(err); b.State != ticketing.BacktestQueued || b.CPU != 0.5 || b.Labels != 2 || string(b.Config) != `{"max":2}` {
		p.t.Errorf("%+v", b)
	}
	var seen []goclient.BacktestProgress
	err = p.FollowBacktest(p.ctx, b.ID, func(g goclient.BacktestProgress) error {
		seen = append(seen, g)
		if g.State.Ended() {
			return nil
		}
		w.m.backtests.goOn(b.ID, func(t *ticketing.Backtest) {
			t.State, t.Total = ticketing.BacktestRunning, 2
			if t.Done++; t.Done == 2 {
				t.State = ticketing.BacktestDone
				t.Report = &ticketing.BacktestReport{Judged: 2, Unseen: 7, Labels: ticketing.Confusion{TruePositive: 1, FalseNegative: 1}}
			}
		})
		return nil
	})
	if p.ok(err); len(seen) != 3 || seen[2].State != ticketing.BacktestDone || seen[2].Type != "end" || seen[1].Done != 1 {
		p.t.Errorf("%+v", seen)
	}
	other, err := p.StartBacktest(p.ctx, n)
	p.ok(err)
	if other, err = p.CancelBacktest(p.ctx, other.ID); err != nil || other.State != ticketing.BacktestCancelled {
		p.t.Errorf("%+v, %v", other, err)
	}
	all, err := p.Backtests(p.ctx, 10)
	if p.ok(err); len(all) < 2 || all[0].ID != other.ID {
		p.t.Errorf("%+v", all)
	}
	one, err := p.Backtest(p.ctx, b.ID)
	if p.ok(err); one.Done != 2 || one.Report == nil || one.Report.Unseen != 7 || one.Report.Labels.TruePositive != 1 || one.Report.Labels.Recall != 0.5 {
		p.t.Errorf("%+v", one)
	}
	decision := w.m.decisions[0]
	if r, err := p.Replay(p.ctx, decision.ID); err != nil || !r.Same || r.Decision.ID != decision.ID {
		p.t.Errorf("%+v, %v", r, err)
	}
}

const annsPassword = "correct horse battery"

func (w *world) useAccount(p *goProgram) {
	p.t.Helper()
	u, err := p.SignUp(p.ctx, "ann@example.org", annsPassword, "Ann")
	p.ok(err, p.SignIn(p.ctx, "ann@example.org", annsPassword))
	me, err := p.Me(p.ctx)
	if p.ok(err); me.ID != u.ID || me.Name != "Ann" {
		p.t.Errorf("%+v is not %+v", me, u)
	}
	_, err1 := p.CurrentUser(p.ctx)
	_, err2 := p.SetName(p.ctx, "Anna")
	_, err3 := p.CSRFToken(p.ctx)
	_, err4 := p.Export(p.ctx)
	p.ok(err1, err2, err3, err4, p.AskVerification(p.ctx), p.AskReset(p.ctx, "ann@example.org"))
	p.ok(p.SetPassword(p.ctx, annsPassword, "staple horse correct"))
	w.clock.advance(tokenLife) // the refresh token has to do
	sessions, err := p.Sessions(p.ctx)
	if p.ok(err); len(sessions) != 1 || !sessions[0].Current {
		p.t.Errorf("%+v", sessions)
	}
	text, hash := newMailed(u.ID)
	_, err = w.m.StartProof(p.ctx, ticketing.StartProof{Meta: testMeta(w.clock.now()), User: u.ID, Kind: ticketing.ProveVerify, Token: hash})
	p.ok(err)
	if u, err = p.ConfirmVerification(p.ctx, text); err != nil || !u.Verified {
		p.t.Errorf("%+v, %v", u, err)
	}
}

func (p *goProgram) useItems() {
	p.t.Helper()
	post, err := p.CreatePost(p.ctx, "", "A title", "A body.")
	p.ok(err)
	read, err := p.Post(p.ctx, post.ID)
	p.ok(err)
	edited, err := p.EditPost(p.ctx, post.ID, read.ETag, "New", "A body.")
	if p.ok(err); edited.Title != "New" || edited.Position == "" || edited.ETag == read.ETag {
		p.t.Errorf("%+v", edited)
	}
	var e *goclient.Error
	if _, err := p.EditPost(p.ctx, post.ID, read.ETag, "", "x"); !errors.As(err, &e) || e.Status != 400 || e.Field("title") == "" {
		p.t.Errorf("%v", err)
	}
	comment, err := p.CreateComment(p.ctx, "comment-0001", post.ID, ticketing.ID{}, "One")
	p.ok(err)
	again, err := p.CreateComment(p.ctx, "comment-0001", post.ID, ticketing.ID{}, "One")
	if p.ok(err); again.ID != comment.ID {
		p.t.Error("a key makes two comments")
	}
	reply, err := p.CreateComment(p.ctx, "", post.ID, comment.ID, "Two")
	p.ok(err)
	page := goclient.Page{Limit: 1, Position: reply.Position}
	list, err := p.Comments(p.ctx, post.ID, page)
	if p.ok(err); len(list.Items) != 1 || list.Next == "" {
		p.t.Errorf("%+v", list)
	}
	page.Cursor = list.Next
	if list, err = p.Comments(p.ctx, post.ID, page); err != nil || len(list.Items) != 1 || list.Items[0].ParentID != comment.ID || list.Next != "" {
		p.t.Errorf("%+v, %v", list, err)
	}
	one, err := p.Comment(p.ctx, post.ID, comment.ID)
	p.ok(err)
	one, err = p.EditComment(p.ctx, post.ID, comment.ID, one.ETag, "Three")
	p.ok(err)
	_, err1 := p.DeleteComment(p.ctx, post.ID, comment.ID, one.ETag)
	_, err2 := p.Feed(p.ctx, goclient.Page{})
	_, err3 := p.Thread(p.ctx, post.ID, goclient.Page{})
	_, err4 := p.Search(p.ctx, "bicycle", goclient.Page{})
	_, err5 := p.MyPosts(p.ctx, ticketing.Pending, goclient.Page{})
	_, err6 := p.MyComments(p.ctx, 0, goclient.Page{})
	_, err7 := p.Notices(p.ctx, goclient.Page{})
	_, err8 := p.ReadNotices(p.ctx, post.CreatedAt)
	_, err9 := p.DeletePost(p.ctx, post.ID, "*")
	p.ok(err1, err2, err3, err4, err5, err6, err7, err8, err9)
}

func (w *world) useTickets(author, mod *goProgram) {
	author.t.Helper()
	ctx := author.ctx
	asked, err := author.Ask(ctx, "Help.")
	author.ok(err)
	_, err1 := author.Message(ctx, asked.ID, "Please.")
	_, err2 := mod.Claim(ctx, asked.ID)
	_, err3 := mod.Note(ctx, asked.ID, "A note.")
	_, err4 := mod.Release(ctx, asked.ID)
	_, err5 := mod.Escalate(ctx, asked.ID, "Too hard.")
	_, err6 := mod.CountTickets(ctx)
	_, err7 := mod.History(ctx, w.author.user)
	author.ok(err1, err2, err3, err4, err5, err6, err7)
	report, err := mod.Report(ctx, ticketing.KindComment, w.comment, "Spam.")
	author.ok(err)
	found, err := mod.Ticket(ctx, report.ID)
	if author.ok(err); found.Item == nil || found.Item.Comment == nil || found.ETag == "" {
		author.t.Errorf("%+v", found)
	}
	decided, err := mod.Decide(ctx, report.ID, found.ETag, "reject", "It is.")
	if author.ok(err); decided.State != ticketing.TicketClosed {
		author.t.Errorf("%+v", decided)
	}
	w.m.judge(w.comment, ticketing.Rejected, "It is.")
	open, err := mod.Tickets(ctx, goclient.TicketFilter{State: ticketing.TicketOpen, Oldest: true}, goclient.Page{})
	if author.ok(err); len(open.Items) == 0 {
		author.t.Error("no ticket is open")
	}
	_, err1 = author.AppealTicket(ctx, mustID(author.t, w.real.Replace(exampleTicket)), "It is not.")
	_, err2 = mod.Stats(ctx)
	_, err3 = author.Decisions(ctx, w.comment)
	_, err4 = author.Appeal(ctx, ticketing.KindPost, mustID(author.t, w.real.Replace(exampleRefused)), "It is not.")
	author.ok(err1, err2, err3, err4)
	stop := errors.New("heard enough")
	if err := author.Events(ctx, ticketing.ID{}, func(goclient.Event) error { return stop }); !errors.Is(err, stop) {
		author.t.Errorf("%v", err)
	}
}

func (w *world) useOperation(p *goProgram) {
	p.t.Helper()
	v, existed, err := p.Upload(p.ctx, "links", []byte(wasm+"x"))
	if p.ok(err); existed {
		p.t.Error("it was there already")
	}
	rule, err := p.Rule(p.ctx, "links")
	p.ok(err)
	_, err1 := p.SetRule(p.ctx, "links", rule.ETag, goclient.RuleChange{Active: v.Digest.String()})
	_, err2 := p.Rollback(p.ctx, "links", "Too strict.")
	_, err3 := p.Retire(p.ctx, "links", "*", "")
	_, err4 := p.Rules(p.ctx)
	_, err5 := p.Plugins(p.ctx)
	_, err6 := p.Versions(p.ctx, "links")
	_, err7 := p.Recent(p.ctx, 1)
	_, err8 := p.Import(p.ctx, []goclient.Row{{Type: "user", Key: "u1", Name: "Bob"}})
	p.ok(err1, err2, err3, err4, err5, err6, err7, err8)
	_, err1 = p.SetRoles(p.ctx, w.author.user, "moderator")
	_, err2 = p.Disable(p.ctx, w.author.user)
	_, err3 = p.Enable(p.ctx, w.author.user)
	_, err4 = p.RotateKeys(p.ctx)
	_, err5 = p.Keys(p.ctx)
	_, err6 = p.Description(p.ctx)
	copied, err8 := p.Backup(p.ctx, "")
	p.ok(err8)
	_, err8 = io.Copy(io.Discard, copied)
	p.ok(err8, copied.Close())
	_, err7 = p.SetUp(p.ctx, exampleSetup, "root@example.org", annsPassword, "Root")
	p.ok(err1, err2, err3, err4, err5, err6, err7)
	if !p.Ready(p.ctx) || !p.Healthy(p.ctx) {
		p.t.Error("the site is not ready")
	}
}

// useRules takes a version through what operators do with it.
func (w *world) useRules(p *goProgram) {
	p.t.Helper()
	v, _, err := p.Upload(p.ctx, "lives", []byte(wasm+"lives"))
	p.ok(err)
	public, private, err := ed25519.GenerateKey(nil)
	p.ok(err, p.AddSigner(p.ctx, "ann", public))
	keys, err := p.Signers(p.ctx)
	if p.ok(err); len(keys) != 1 || keys[0].Name != "ann" {
		p.t.Fatalf("%+v", keys)
	}
	signed, err := p.Sign(p.ctx, "lives", v.Digest, keys[0].ID, ed25519.Sign(private, ticketing.SignedMessage(v.Digest, "lives", v.Manifest.Version)))
	if p.ok(err); len(signed.Signatures) != 1 {
		p.t.Errorf("%+v", signed)
	}
	p.ok(p.RemoveSigner(p.ctx, keys[0].ID))
	shadow := &goclient.Candidate{Digest: v.Digest.String()}
	_, err = p.SetRule(p.ctx, "lives", "", goclient.RuleChange{Active: v.Digest.String(), Shadow: shadow})
	p.ok(err)
	watched, err := p.SetRule(p.ctx, "watched", "", goclient.RuleChange{Shadow: shadow})
	if p.ok(err); watched.Active != "" || watched.Shadow == nil {
		p.t.Errorf("%+v", watched)
	}
	watched, err = p.Promote(p.ctx, "watched", goclient.Promotion{}) // there is nothing beside which it could be a canary
	if p.ok(err); watched.Active != v.Digest.String() || watched.Shadow != nil {
		p.t.Errorf("%+v", watched)
	}
	_, err1 := p.Promote(p.ctx, "lives", goclient.Promotion{To: "canary", Share: 100})
	_, err2 := p.RuleLogs(p.ctx, "lives", 10)
	_, err3 := p.PluginHistory(p.ctx, "lives", 10)
	_, err4 := p.Usage(p.ctx)
	p.ok(err1, err2, err3, err4)
	stats, err := p.RuleStats(p.ctx, "lives")
	if p.ok(err); len(stats) != 2 || stats[0].Judged != 3 || stats[1].Agreement == nil || len(stats[1].Matrix) != 5 || stats[1].Samples[0].ShadowWhy == "" {
		p.t.Errorf("%+v", stats)
	}
	tried, err := p.Try(p.ctx, "lives", goclient.Trial{Text: "please hold it", Author: "Somebody", AuthorAge: 1000, Counts: ticketing.Counts{Held: 2}})
	if p.ok(err); tried.Outcome.Action != ticketing.ActionHold || len(tried.Logs) != 1 || tried.Logs[0].Text != "Seen an item of Somebody, 1000 ms old, 2 held." {
		p.t.Errorf("%+v", tried)
	}
	findVersion(w.m.plugins, "lives", v.Digest).State = ticketing.VersionQuarantined
	if v, err = p.Resume(p.ctx, "lives", v.Digest, "It is fine."); err != nil || v.State != ticketing.VersionStandby {
		p.t.Errorf("%+v, %v", v, err)
	}
	lived, err := p.PluginHistory(p.ctx, "lives", 1)
	if p.ok(err); len(lived) != 1 || lived[0].ByName != w.m.users[w.op.user].Name {
		p.t.Errorf("%+v", lived)
	}
	var e *goclient.Error
	if _, err = p.Resume(p.ctx, "lives", v.Digest, ""); !errors.As(err, &e) || e.Status != 409 {
		p.t.Errorf("a version that is not in quarantine: %v", err)
	}
}

func (w *world) useCluster(p *goProgram) {
	p.t.Helper()
	status, err := p.Cluster(p.ctx)
	if p.ok(err); len(status.Nodes) != 3 || status.Nodes[1].Node != "n2" || len(status.Groups) != 3 || status.Groups[0].Replicas[0].Stage != ticketing.StageVoter {
		p.t.Errorf("%+v", status)
	}
	state := func(i int, want ticketing.MemberState) {
		p.t.Helper()
		if got := w.m.cluster.Nodes[i].State; got != want {
			p.t.Errorf("the node %d is %v, not %v", i, got, want)
		}
	}
	format, err := p.RaiseFormat(p.ctx)
	if p.ok(err); format != 2 || w.m.cluster.Format != 2 {
		p.t.Errorf("the cluster is of format %d", format)
	}
	p.ok(p.Drain(p.ctx, "n2"))
	state(1, ticketing.MemberDraining)
	p.ok(p.Undrain(p.ctx, "n2"))
	state(1, ticketing.MemberUp)
	p.ok(p.RemoveNode(p.ctx, "n2"), p.RemoveDeadNode(p.ctx, "n3"))
	state(1, ticketing.MemberLeaving)
	state(2, ticketing.MemberRemoved)
	var e *goclient.Error
	if err := p.RemoveDeadNode(p.ctx, "n1"); !errors.As(err, &e) || e.Status != 409 {
		p.t.Errorf("a node that is alive: %v", err)
	}
}

// useEnd is what ends sessions, and the account.
func (w *world) useEnd(p *goProgram) {
	p.t.Helper()
	me, err := p.Me(p.ctx)
	p.ok(err, p.EndOtherSessions(p.ctx))
	text, hash := newMailed(me.ID)
	_, err = w.m.StartProof(p.ctx, ticketing.StartProof{Meta: testMeta(w.clock.now()), User: me.ID, Kind: ticketing.ProveReset, Token: hash})
	p.ok(err)
	_, err = p.ConfirmReset(p.ctx, text, annsPassword)
	w.clock.advance(time.Second)
	p.ok(err, p.SignIn(p.ctx, "ann@example.org", annsPassword))
	sessions, err := p.Sessions(p.ctx)
	p.ok(err, p.EndSession(p.ctx, sessions[0].ID))
	w.clock.advance(time.Second)
	p.ok(p.SignIn(p.ctx, "ann@example.org", annsPassword), p.SignOut(p.ctx))
	w.clock.advance(time.Second)
	p.ok(p.SignIn(p.ctx, "ann@example.org", annsPassword), p.RemoveMe(p.ctx, annsPassword))
}
