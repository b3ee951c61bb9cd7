package node

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/config"
	"ticketing/internal/backup"
	"ticketing/runtime/store/storetest"
)

func openShards(t *testing.T, fs vfs.FS, shards int) *Node {
	t.Helper()
	cfg := smallConfig(shards)
	n, err := Open(t.Context(), cfg, quietOptions(t, fs))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	return n
}

func closeNode(t *testing.T, n *Node) {
	t.Helper()
	if err := n.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func smallConfig(shards int) config.Config {
	cfg := config.Default()
	cfg.Dev, cfg.Data, cfg.Shards, cfg.Cache, cfg.MemTable = true, "/data", shards, 4, 1
	return cfg
}

func quietOptions(t *testing.T, fs vfs.FS) Options {
	return Options{compiler: compiler(), FS: fs, Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }}
}

// town is a node that people write on.
type town struct {
	*Node
	t     *testing.T
	users []ticketing.User

	mu    sync.Mutex
	acked map[ticketing.ID]ticketing.ID // post or comment → author
	posts []ticketing.ID
	keyed []ticketing.CreatePost // under keys of clients
}

func newTown(t *testing.T, n *Node) *town {
	w := &town{Node: n, t: t, acked: map[ticketing.ID]ticketing.ID{}}
	for i := range 6 {
		u, err := n.CreateUser(t.Context(), fmt.Sprintf("u%d@example.org", i), fmt.Sprintf("User %d", i), "correct horse battery", ticketing.RoleUser)
		if err != nil {
			t.Fatal(err)
		}
		w.users = append(w.users, u)
	}
	for i := range w.users {
		w.post(rand.New(rand.NewPCG(1, uint64(i))))
	}
	return w
}

func meta(r *rand.Rand) ticketing.Meta {
	at := time.Now().UTC().Truncate(time.Millisecond)
	return ticketing.Meta{ID: ticketing.NewCommandID(at, r.Uint64()), At: at, Fresh: true}
}

// post writes a post under a client's key.
func (w *town) post(r *rand.Rand) {
	w.t.Helper()
	u := w.users[r.IntN(len(w.users))]
	c := ticketing.CreatePost{Meta: meta(r), Author: ticketing.Author{ID: u.ID, Name: u.Name}, Title: "A title", Body: fmt.Sprint("A body of ", r.Uint32())}
	c.Meta.ID, c.Meta.Fresh = ticketing.KeyCommandID(u.ID, "POST /api/posts", fmt.Sprint("key", r.Uint64())), false
	c.ID = ticketing.NewID(ticketing.SlotOf(u.ID[:], c.Meta.ID[:]), c.Meta.At, r.Uint64())
	made, err := w.Services().Posts.CreatePost(w.t.Context(), c)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked[made.ID] = u.ID
	w.posts, w.keyed = append(w.posts, made.ID), append(w.keyed, c)
}

// comment writes a comment on some post; one that comments has not heard of yet is none.
func (w *town) comment(r *rand.Rand) {
	w.t.Helper()
	w.mu.Lock()
	post := w.posts[r.IntN(len(w.posts))]
	w.mu.Unlock()
	u := w.users[r.IntN(len(w.users))]
	m := meta(r)
	c := ticketing.CreateComment{Meta: m, ID: ticketing.NewID(post.Slot(), m.At, r.Uint64()), Post: post, Author: ticketing.Author{ID: u.ID, Name: u.Name}, Text: fmt.Sprint("A remark, ", r.Uint32())}
	made, err := w.Services().Comments.CreateComment(w.t.Context(), c)
	if ticketing.KindOf(err) == ticketing.NotFound {
		return
	}
	if err != nil {
		w.t.Error(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked[made.ID] = u.ID
}

// busy has several people write until stop is called.
func (w *town) busy(seed uint64) (stop func()) {
	done := make(chan struct{})
	var people sync.WaitGroup
	for i := range 4 {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		people.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if r.IntN(10) == 0 {
					w.post(r)
				} else {
					w.comment(r)
				}
			}
		})
	}
	stop = sync.OnceFunc(func() { close(done); people.Wait() })
	w.t.Cleanup(stop)
	return stop
}

func (w *town) written() (map[ticketing.ID]ticketing.ID, []ticketing.CreatePost) {
	w.mu.Lock()
	defer w.mu.Unlock()
	acked := make(map[ticketing.ID]ticketing.ID, len(w.acked))
	for id, author := range w.acked {
		acked[id] = author
	}
	return acked, append([]ticketing.CreatePost(nil), w.keyed...)
}

// backup makes a backup of a node, with its keys if there is a passphrase.
func (w *town) backup(path, passphrase string) {
	w.t.Helper()
	var courier *backup.Courier
	recipient := ""
	if passphrase != "" {
		var err error
		if courier, err = backup.NewCourier(passphrase); err != nil {
			w.t.Fatal(err)
		}
		recipient = courier.Recipient()
	}
	b, err := w.backups.BeginBackup(w.t.Context(), recipient)
	if err != nil {
		w.t.Fatal(err)
	}
	defer b.Close()
	r, wr := io.Pipe()
	go func() { _ = wr.CloseWithError(b.WriteTar(wr)) }()
	out, err := backup.Create(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := backup.Receive(r, out, courier, nil); err != nil {
		w.t.Fatal(err)
	}
}

// settled checks a restored node: what was acknowledged is there, everything is decided once, and repeated requests meet themselves.
func settled(t *testing.T, n *Node, people []ticketing.User, acked map[ticketing.ID]ticketing.ID, keyed []ticketing.CreatePost) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := n.deliverAll(ctx, func(backup.Progress) {}); err != nil {
		t.Fatal(err)
	}
	s := n.Services()
	for id, author := range acked {
		_, err := s.Comments.Comment(ctx, id)
		if ticketing.KindOf(err) == ticketing.NotFound {
			_, err = s.Posts.Post(ctx, id)
		}
		if err != nil {
			t.Fatalf("%v of %v was acknowledged: %v", id, author, err)
		}
	}
	items := 0
	for _, u := range people {
		items += decidedOnce(t, n, u)
	}
	if items < len(acked) {
		t.Errorf("%d items are there, %d were acknowledged", items, len(acked))
	}
	for _, c := range keyed {
		again := c
		again.ID[15]++ // what another node would make of it
		made, err := s.Posts.CreatePost(ctx, again)
		if err != nil || made.ID != c.ID {
			t.Errorf("a repeated request made %v, not %v (%v)", made.ID, c.ID, err)
		}
	}
	if _, err := n.CreateUser(ctx, people[0].Email, "Again", "correct horse battery", ticketing.RoleUser); ticketing.KindOf(err) != ticketing.Conflict {
		t.Errorf("an account is not found by its e-mail: %v", err)
	}
}

// decidedOnce checks that everything that somebody wrote has one automatic decision, which counts once, and returns how much there is.
func decidedOnce(t *testing.T, n *Node, u ticketing.User) (items int) {
	t.Helper()
	s := n.Services()
	var subjects []ticketing.ID
	p := ticketing.Page{Limit: ticketing.MaxLimit}
	for {
		f, err := s.Query.OwnPosts(t.Context(), u.ID, 0, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range f.Posts {
			if one.Post.Status == ticketing.Pending {
				t.Errorf("the post %v is pending", one.Post.ID)
			}
			subjects = append(subjects, one.Post.ID)
		}
		if p.After = f.Next; f.Next == "" {
			break
		}
	}
	p.After = ""
	for {
		f, err := s.Query.OwnComments(t.Context(), u.ID, 0, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range f.Comments {
			if one.Status == ticketing.Pending {
				t.Errorf("the comment %v is pending", one.ID)
			}
			subjects = append(subjects, one.ID)
		}
		if p.After = f.Next; f.Next == "" {
			break
		}
	}
	for _, id := range subjects {
		ds, err := s.Moderation.Decisions(t.Context(), u.ID, id)
		if err != nil || len(ds) != 1 {
			t.Errorf("%v has %d decisions (%v)", id, len(ds), err)
		}
	}
	r, err := s.Moderation.Record(t.Context(), u.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := int(r.Counts.Approved + r.Counts.Rejected + r.Counts.Held); got != len(subjects) {
		t.Errorf("%d decisions about %v's %d items count", got, u.Name, len(subjects))
	}
	return len(subjects)
}

// TestBackup backs a busy cluster up and restores it into as many shards, more, and fewer.
func TestBackup(t *testing.T) {
	for _, tc := range []struct {
		name     string
		from, to int
		file     string
		secret   string
	}{
		{"as before", 2, 0, "b.tar.zst", "open sesame"},
		{"split", 2, 4, "b", ""},
		{"merge", 4, 1, "b.tar.zst", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newTown(t, openShards(t, vfs.NewMem(), tc.from))
			stop := w.busy(7)
			eventually(t, "people write", func() bool { acked, _ := w.written(); return len(acked) > 300 })
			acked, keyed := w.written()
			path := filepath.Join(t.TempDir(), tc.file)
			w.backup(path, tc.secret)
			more := len(acked)
			eventually(t, "the cluster goes on", func() bool { acked, _ := w.written(); return len(acked) > more+100 })
			stop()
			kid, _ := w.Node.keys.Signing()
			set, err := w.control.RuleSet(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			cluster, people := w.record.Cluster, w.users
			closeNode(t, w.Node)

			fs := vfs.NewMem()
			r := Restoration{Shards: tc.to, Passphrase: tc.secret}
			out, err := Restore(t.Context(), smallConfig(0), path, r, quietOptions(t, fs))
			if err != nil {
				t.Fatal(err)
			}
			n := openShards(t, fs, 0)
			want := tc.to
			if want == 0 {
				want = tc.from
			}
			if n.cfg.Shards != want || n.record.Cluster == cluster || out.Cluster != n.record.Cluster {
				t.Errorf("%d shards of %s, restored %+v", n.cfg.Shards, n.record.Cluster, out)
			}
			if got, _ := n.keys.Signing(); (got == kid) != (tc.secret != "") {
				t.Errorf("the signing key is %s, and was %s", got, kid)
			}
			if got, err := n.control.RuleSet(t.Context()); err != nil || got.Generation != set.Generation {
				t.Errorf("generation %d, was %d (%v)", got.Generation, set.Generation, err)
			}
			settled(t, n, people, acked, keyed)
			v := newVisitor(t, n, people)
			v.post(rand.New(rand.NewPCG(9, 9)))
			acked2, _ := v.written()
			settled(t, n, people, acked2, nil)
		})
	}
}

// newVisitor writes on a node whose people are there already.
func newVisitor(t *testing.T, n *Node, people []ticketing.User) *town {
	return &town{Node: n, t: t, users: people, acked: map[ticketing.ID]ticketing.ID{}}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for left := 30_000; !cond(); <-tick.C {
		if left--; left < 0 {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestRestoreRefuses: nothing is touched that is not empty, and a wrong passphrase or a damaged backup makes nothing.
func TestRestoreRefuses(t *testing.T) {
	w := newTown(t, openShards(t, vfs.NewMem(), 1))
	path := filepath.Join(t.TempDir(), "b")
	w.backup(path, "open sesame")
	plain := filepath.Join(t.TempDir(), "plain")
	w.backup(plain, "")
	try := func(fs vfs.FS, path string, r Restoration) error {
		_, err := Restore(t.Context(), smallConfig(0), path, r, quietOptions(t, fs))
		return err
	}
	fs := vfs.NewMem()
	for name, err := range map[string]error{
		"a wrong passphrase": try(fs, path, Restoration{Passphrase: "open barley"}),
		"no keys":            try(fs, plain, Restoration{Passphrase: "open sesame"}),
		"three shards":       try(fs, path, Restoration{Shards: 3}),
		"no backup":          try(fs, filepath.Join(path, "nowhere"), Restoration{}),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if names, _ := fs.List("/data"); len(names) != 0 {
		t.Errorf("a refused restore left %v", names)
	}
	if err := try(w.opts.FS, path, Restoration{}); err == nil {
		t.Error("a cluster was restored over")
	}
	if err := fs.MkdirAll("/data/precious", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := try(fs, path, Restoration{}); err == nil {
		t.Error("a directory with something in it was taken")
	}
}

// TestRestoreCrash: a crash at any time of a restore leaves a directory that is refused, and that the next restore makes good; or one that
// is whole.
func TestRestoreCrash(t *testing.T) {
	w := newTown(t, openShards(t, vfs.NewMem(), 2))
	acked, keyed := w.written()
	path := filepath.Join(t.TempDir(), "b")
	w.backup(path, "")
	people := w.users
	closeNode(t, w.Node)
	for shards, every := range map[int]int{2: 3, 1: 40} {
		fs := storetest.NewDisk()
		watched := &watchedFS{FS: fs, mem: fs, every: every}
		if _, err := Restore(t.Context(), smallConfig(0), path, Restoration{Shards: shards}, quietOptions(t, watched)); err != nil {
			t.Fatal(err)
		}
		watched.left = append(watched.left, fs.CrashClone(vfs.CrashCloneCfg{}))
		refused, whole := 0, 0
		for i, left := range watched.left {
			n, err := Open(t.Context(), smallConfig(0), quietOptions(t, left))
			if err != nil {
				if i%5 != 0 {
					refused++
					continue
				}
				if _, err := Restore(t.Context(), smallConfig(0), path, Restoration{Shards: shards}, quietOptions(t, left)); err != nil {
					t.Fatalf("crash %d: restoring again: %v", i, err)
				}
				if n, err = Open(t.Context(), smallConfig(0), quietOptions(t, left)); err != nil {
					t.Fatalf("crash %d: after restoring again: %v", i, err)
				}
				refused++
			} else if isFresh(t, n) {
				closeNode(t, n) // nothing had begun: the server has made a new cluster
				continue
			} else {
				whole++
			}
			settled(t, n, people, acked, keyed)
			closeNode(t, n)
		}
		t.Logf("%d shards: %d crashes left a directory that is refused, %d a whole one", shards, refused, whole)
		if refused < 5 || whole == 0 {
			t.Errorf("%d crashes came in the middle, %d at the end", refused, whole)
		}
	}
}

// isFresh reports whether a cluster was made by the server itself.
func isFresh(t *testing.T, n *Node) bool {
	t.Helper()
	b, err := feeds{n}.Bounds(t.Context(), "users", 0, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return b.Head.Epoch == 1
}

// watchedFS takes a copy of the disk, as a power loss would leave it, before every few writes that matter.
type watchedFS struct {
	vfs.FS
	mem   *storetest.Disk
	every int

	mu    sync.Mutex
	count int
	left  []*storetest.Disk
}

func (w *watchedFS) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count++; w.count%w.every == 0 {
		w.left = append(w.left, w.mem.CrashClone(vfs.CrashCloneCfg{}))
	}
}

func (w *watchedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	w.look()
	return w.FS.Create(name, c)
}

func (w *watchedFS) Rename(a, b string) error {
	w.look()
	return w.FS.Rename(a, b)
}

func (w *watchedFS) Remove(name string) error {
	w.look()
	return w.FS.Remove(name)
}

func (w *watchedFS) OpenDir(name string) (vfs.File, error) {
	w.look()
	return w.FS.OpenDir(name)
}

// TestDeliverAll: events that are held back are waited for, and so is what comes of them.
func TestDeliverAll(t *testing.T) {
	w := newTown(t, openShards(t, vfs.NewMem(), 2))
	b := everywhere{w.backups, t.Context()}
	for i := range 2 {
		s := backup.Shard{Service: "moderation", Number: 4, Index: i}
		if err := b.Freeze(t.Context(), s, "somebody", time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(20) {
		w.post(rand.New(rand.NewPCG(31, i)))
	}
	if err := w.deliverAll(t.Context(), func(backup.Progress) {}); err != nil {
		t.Fatal(err)
	}
	acked, _ := w.written()
	for id := range acked {
		if p, err := w.Services().Posts.Post(t.Context(), id); err != nil || p.Status == ticketing.Pending {
			t.Errorf("%v is %v (%v)", id, p.Status, err)
		}
	}
}
