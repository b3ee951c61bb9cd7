package node

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/config"
)

// later is a clock that can be put forward.
type later struct{ by atomic.Int64 }

func (l *later) now() time.Time { return time.Now().Add(time.Duration(l.by.Load())) }

// open starts a node in memory.
func open(t *testing.T, fs vfs.FS, clock *later) *Node {
	t.Helper()
	cfg := config.Default()
	cfg.Dev, cfg.Data, cfg.Shards, cfg.Cache, cfg.MemTable = true, "/data", 1, 4, 1
	n, err := Open(t.Context(), cfg, Options{compiler: compiler(), FS: fs, Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return n
}

// bench is the users service of a node, and what tests need of it.
type bench struct {
	*testing.T
	users ticketing.UserService
	at    time.Time
	ids   uint64
}

func (b *bench) meta() ticketing.Meta {
	b.ids++
	return ticketing.Meta{ID: ticketing.NewCommandID(b.at, b.ids), At: b.at}
}

func (b *bench) signUp(email, hash string, roles ticketing.Roles) ticketing.User {
	b.Helper()
	id, err := b.users.UserID(b.Context(), email, b.at)
	b.must(err)
	u, err := b.users.SignUp(b.Context(), ticketing.SignUp{Meta: b.meta(), ID: id, Email: email, Name: "Ann", PasswordHash: hash, Roles: roles})
	b.must(err)
	return u
}

func (b *bench) start(u ticketing.User, hash string, refresh []byte) (ticketing.Session, error) {
	us, err := b.users.StartSession(b.Context(), ticketing.StartSession{Meta: b.meta(), User: u.ID, PasswordHash: hash,
		ID: ticketing.NewID(u.ID.Slot(), b.at, b.ids), Agent: "test", Address: "::1", Refresh: refresh})
	return us.Session, err
}

func (b *bench) session(u ticketing.User) ticketing.Session {
	b.Helper()
	s, err := b.start(u, "", nil)
	b.must(err)
	return s
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) kind(err error, want ticketing.Kind) {
	b.Helper()
	if got := ticketing.KindOf(err); got != want {
		b.Fatalf("%v (%v), want %v", got, err, want)
	}
}

// alive fails the test unless exactly these sessions of a user live.
func (b *bench) alive(u ticketing.User, want ...ticketing.Session) {
	b.Helper()
	got, err := b.users.Sessions(b.Context(), u.ID)
	b.must(err)
	if len(got) != len(want) {
		b.Fatalf("%d sessions live, want %d", len(got), len(want))
	}
	for _, w := range want {
		_, err := b.users.Session(b.Context(), u.ID, w.ID)
		b.must(err)
	}
}

func hashOf(text string) []byte { h := sha256.Sum256([]byte(text)); return h[:] }

func TestSessions(t *testing.T) {
	n := open(t, vfs.NewMem(), &later{})
	b := &bench{T: t, users: n.users, at: time.Now().UTC().Truncate(time.Millisecond)}
	ann, bob := b.signUp("ann@example.org", "h", ticketing.RoleUser), b.signUp("bob@example.org", "h", ticketing.RoleUser)
	first, second, third := b.session(ann), b.session(ann), b.session(ann)
	his := b.session(bob)
	if first.Agent != "test" || first.Address != "::1" || !first.ProvenAt.Equal(b.at) {
		t.Errorf("%+v", first)
	}
	end := func(u ticketing.User, session, except ticketing.ID) {
		t.Helper()
		b.must(n.users.EndSession(t.Context(), ticketing.EndSession{Meta: b.meta(), User: u.ID, Session: session, Except: except}))
	}
	end(bob, first.ID, ticketing.ID{}) // not his
	b.alive(ann, first, second, third)
	end(ann, second.ID, ticketing.ID{})
	end(ann, second.ID, ticketing.ID{}) // no fault
	b.alive(ann, first, third)
	end(ann, ticketing.ID{}, third.ID)
	b.alive(ann, third)
	end(ann, ticketing.ID{}, ticketing.ID{})
	b.alive(ann)
	b.alive(bob, his)
	// More sign-ins than a user may have end the session that was used least recently.
	oldest := b.session(ann)
	b.at = b.at.Add(time.Second)
	for range ticketing.MaxSessions {
		b.session(ann)
	}
	_, err := n.users.Session(t.Context(), ann.ID, oldest.ID)
	b.kind(err, ticketing.Unauthorized)
	if all, _ := n.users.Sessions(t.Context(), ann.ID); len(all) != ticketing.MaxSessions {
		t.Errorf("%d sessions", len(all))
	}
}

func TestRefreshTokens(t *testing.T) {
	n := open(t, vfs.NewMem(), &later{})
	b := &bench{T: t, users: n.users, at: time.Now().UTC().Truncate(time.Millisecond)}
	ann := b.signUp("ann@example.org", "h", ticketing.RoleUser)
	s, err := b.start(ann, "h", hashOf("1"))
	b.must(err)
	refresh := func(m ticketing.Meta, old, next string) (ticketing.Refreshed, error) {
		return n.users.RefreshSession(t.Context(), ticketing.RefreshSession{Meta: m, User: ann.ID, Session: s.ID, Old: hashOf(old), New: hashOf(next)})
	}
	lost := b.meta()
	r, err := refresh(lost, "1", "2")
	b.must(err)
	if again, err := refresh(lost, "1", "2"); err != nil || again.Session.Refreshes != r.Session.Refreshes || again.Reused || r.Session.Refreshes != 2 {
		t.Errorf("the same command: %+v, %v", again, err)
	}
	if r, err = refresh(b.meta(), "2", "3"); err != nil || r.Reused || r.Session.Refreshes != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err = refresh(b.meta(), "1", "2"); err != nil || !r.Reused {
		t.Errorf("an old token: %+v, %v", r, err)
	}
	_, err = refresh(b.meta(), "3", "4")
	b.kind(err, ticketing.Unauthorized)
	b.alive(ann)

	s = b.session(ann) // without
	_, err = refresh(b.meta(), "", "1")
	b.kind(err, ticketing.Unauthorized)
	b.alive(ann, s)

	// Two at once with one token: one gets the next, and the session is over.
	s, err = b.start(ann, "h", hashOf("1"))
	b.must(err)
	var wg sync.WaitGroup
	var good, reused atomic.Int32
	metas := []ticketing.Meta{b.meta(), b.meta()}
	for _, m := range metas {
		wg.Go(func() {
			if r, err := refresh(m, "1", "2"); err == nil && !r.Reused {
				good.Add(1)
			} else if err == nil {
				reused.Add(1)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 || reused.Load() != 1 {
		t.Errorf("%d good, %d reused", good.Load(), reused.Load())
	}
}

func TestPasswords(t *testing.T) {
	n := open(t, vfs.NewMem(), &later{})
	b := &bench{T: t, users: n.users, at: time.Now().UTC().Truncate(time.Millisecond)}
	ann := b.signUp("ann@example.org", "old", ticketing.RoleUser)
	b.session(ann)
	set := func(old, next string) (ticketing.UserSession, error) {
		start := ticketing.StartSession{User: ann.ID, ID: ticketing.NewID(ann.ID.Slot(), b.at, b.ids+1000)}
		return n.users.SetPassword(t.Context(), ticketing.SetPassword{Meta: b.meta(), User: ann.ID, Old: old, New: next, Session: start})
	}
	_, err := set("wrong", "new")
	b.kind(err, ticketing.Unauthorized)
	us, err := set("old", "new")
	b.must(err)
	b.alive(ann, us.Session)
	_, err = b.start(ann, "old", nil) // proved before the change, arrives after it
	b.kind(err, ticketing.Unauthorized)
	_, err = b.start(ann, "new", nil)
	b.must(err)

	proof := func(k ticketing.ProofKind, token string) error {
		_, err := n.users.StartProof(t.Context(), ticketing.StartProof{Meta: b.meta(), User: ann.ID, Kind: k, Token: hashOf(token)})
		return err
	}
	reset := func(token string) error {
		_, err := n.users.ResetPassword(t.Context(), ticketing.ResetPassword{Meta: b.meta(), User: ann.ID, Token: hashOf(token), PasswordHash: "reset"})
		return err
	}
	verify := func(token string) error {
		_, err := n.users.VerifyEmail(t.Context(), ticketing.VerifyEmail{Meta: b.meta(), User: ann.ID, Token: hashOf(token)})
		return err
	}
	b.kind(reset(""), ticketing.Invalid)
	b.must(proof(ticketing.ProveReset, "a"))
	b.must(proof(ticketing.ProveVerify, "v"))
	b.kind(reset("v"), ticketing.Invalid) // a proof of another kind
	b.at = b.at.Add(ticketing.ResetLife)
	b.kind(reset("a"), ticketing.Invalid) // too old
	b.must(proof(ticketing.ProveReset, "b"))
	b.must(proof(ticketing.ProveReset, "c"))
	b.kind(reset("b"), ticketing.Invalid) // replaced
	b.at = b.at.Add(ticketing.ResetLife - time.Millisecond)
	b.must(reset("c"))
	b.kind(reset("c"), ticketing.Invalid)
	b.alive(ann)
	if known, err := n.users.Credentials(t.Context(), ann.Email); err != nil || known.PasswordHash != "reset" || !known.User.Verified {
		t.Errorf("%+v, %v", known, err)
	}
	b.kind(verify("v"), ticketing.Invalid) // the reset has verified the address
	b.kind(proof(ticketing.ProveVerify, "w"), ticketing.Conflict)
}

func TestRemovedAndDisabled(t *testing.T) {
	n := open(t, vfs.NewMem(), &later{})
	b := &bench{T: t, users: n.users, at: time.Now().UTC().Truncate(time.Millisecond)}
	ann := b.signUp("ann@example.org", "h", ticketing.RoleUser)
	op := b.signUp("op@example.org", "h", ticketing.RoleUser|ticketing.RoleOperator)
	by := ticketing.Principal{ID: op.ID, Roles: op.Roles}
	disable := func(by ticketing.Principal, id ticketing.ID, disabled bool) error {
		_, err := n.users.SetDisabled(t.Context(), ticketing.SetDisabled{Meta: b.meta(), By: by, User: id, Disabled: disabled})
		return err
	}
	remove := func(u ticketing.User, hash string) error {
		_, err := n.users.RemoveUser(t.Context(), ticketing.RemoveUser{Meta: b.meta(), User: u.ID, PasswordHash: hash})
		return err
	}
	b.session(ann)
	b.kind(disable(ticketing.Principal{ID: ann.ID, Roles: ann.Roles}, op.ID, true), ticketing.Forbidden)
	b.kind(disable(by, op.ID, true), ticketing.Conflict)
	b.must(disable(by, ann.ID, true))
	b.alive(ann)
	_, err := b.start(ann, "h", nil)
	b.kind(err, ticketing.Unauthorized)
	_, err = n.users.SetName(t.Context(), ticketing.SetName{Meta: b.meta(), User: ann.ID, Name: "x"})
	b.kind(err, ticketing.Unauthorized)
	_, err = n.users.StartProof(t.Context(), ticketing.StartProof{Meta: b.meta(), User: ann.ID, Kind: ticketing.ProveReset, Token: hashOf("a")})
	b.kind(err, ticketing.Forbidden)
	b.must(disable(by, ann.ID, false))

	s := b.session(ann)
	b.kind(remove(ann, "wrong"), ticketing.Unauthorized)
	b.kind(remove(op, "h"), ticketing.Conflict)
	b.alive(ann, s)
	b.must(remove(ann, "h"))
	b.alive(ann)
	if u, err := n.users.User(t.Context(), ann.ID); err != nil || u.Name != ticketing.RemovedName || u.Email != "" || !u.Removed {
		t.Errorf("%+v, %v", u, err)
	}
	b.kind(disable(by, ann.ID, false), ticketing.Conflict)
	again := b.signUp("ann@example.org", "h2", ticketing.RoleUser)
	if again.ID == ann.ID {
		t.Error("the new account is the old one")
	}

	// A discreet sign-up of a taken address changes nothing, and says nothing.
	id, err := n.users.UserID(t.Context(), again.Email, b.at)
	b.must(err)
	u, err := n.users.SignUp(t.Context(), ticketing.SignUp{Meta: b.meta(), ID: id, Email: again.Email, Name: "Eve", PasswordHash: "h3", Discreet: true})
	if known, _ := n.users.Credentials(t.Context(), again.Email); err != nil || !u.ID.IsZero() || known.PasswordHash != "h2" || known.User.Name != "Ann" {
		t.Errorf("%+v, %v, %+v", u, err, known)
	}
}

// A key is known before it signs, and accepted as long as what it signed may come back.
func TestKeyRotation(t *testing.T) {
	clock, fs := &later{}, vfs.NewMem()
	n := open(t, fs, clock)
	rotate := func(roles ticketing.Roles) (string, error) {
		return n.keys.Rotate(t.Context(), ticketing.Principal{Roles: roles}, ticketing.Meta{At: clock.now().UTC().Truncate(time.Millisecond)})
	}
	if _, err := rotate(ticketing.RoleModerator); ticketing.KindOf(err) != ticketing.Forbidden {
		t.Errorf("%v", err)
	}
	first, _ := n.keys.Signing()
	public, _ := n.keys.Verifying(first)
	second, err := rotate(ticketing.RoleOperator)
	if err != nil {
		t.Fatal(err)
	}
	verifies := func(kid string, want bool) {
		t.Helper()
		if _, ok := n.keys.Verifying(kid); ok != want {
			t.Errorf("%s verifies: %v", kid, ok)
		}
	}
	signs := func(want string) {
		t.Helper()
		if kid, _ := n.keys.Signing(); kid != want {
			t.Errorf("%s signs, want %s", kid, want)
		}
	}
	signs(first)
	verifies(second, true)
	third, err := rotate(ticketing.RoleOperator) // while the second does not sign yet
	if err != nil {
		t.Fatal(err)
	}
	signs(first)
	clock.by.Add(int64(keyDelay))
	signs(third)
	for _, kid := range []string{first, second, third} {
		verifies(kid, true)
	}
	if got, _ := n.keys.Verifying(first); !got.Equal(public) {
		t.Error("the first key has changed")
	}
	if all := n.keys.Published(); len(all) != 3 || all[0].Kid != third {
		t.Errorf("%v", all)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	n = open(t, fs, clock)
	signs(third)
	verifies(first, true)
	clock.by.Add(int64(ticketing.SessionIdle + time.Hour))
	verifies(first, false)
	verifies(third, true)
	if all := n.keys.Published(); len(all) != 1 {
		t.Errorf("%v", all)
	}
	if _, err := rotate(ticketing.RoleOperator); err != nil {
		t.Fatal(err)
	}
	var k control.Keys
	if k, err = n.control.Keys(t.Context()); err != nil || len(k.Past) != 1 || k.Past[0].Kid != third {
		t.Errorf("%v, %v", k.Past, err) // the first and second are forgotten
	}
}

// The link makes one operator in a cluster's life, however many follow it at once.
func TestSetup(t *testing.T) {
	fs := vfs.NewMem()
	n := open(t, fs, &later{})
	link := n.SetupLink("http://127.0.0.1:1")
	token := n.setup.printable()
	if link != "http://127.0.0.1:1/setup?token="+token || len(token) < 43 {
		t.Fatalf("%s", link)
	}
	claim := func(token string, i int) error {
		email := fmt.Sprintf("op%d@example.org", i)
		id, err := n.users.UserID(t.Context(), email, time.Now())
		if err != nil {
			return err
		}
		_, err = n.setup.Claim(t.Context(), token, ticketing.SignUp{ID: id, Email: email, Name: "Op", PasswordHash: "h", Roles: ticketing.RoleOperator})
		return err
	}
	for _, bad := range []string{"", "x", token + "x"} {
		if err := claim(bad, 0); ticketing.KindOf(err) != ticketing.Forbidden || n.setup.Open(bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	var wg sync.WaitGroup
	var made atomic.Int32
	for i := range 20 {
		wg.Go(func() {
			if err := claim(token, i); err == nil {
				made.Add(1)
			} else if ticketing.KindOf(err) != ticketing.Forbidden {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 || n.SetupLink("http://x") != "" || n.setup.Open(token) || n.setup.Open("") {
		t.Errorf("%d operators were made", made.Load())
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n = open(t, fs, &later{}); n.SetupLink("http://x") != "" {
		t.Error("a second life has a link again")
	}
}
