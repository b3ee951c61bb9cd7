package contract

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/config"
	"ticketing/internal/node"
	"ticketing/runtime/store/storetest"
)

// TestPowerLoss cuts the power of a whole node at random moments, on a file system that forgets what was not synced (or any part of it). A fixed set
// of seeds in make test, as many as CHAOS_SEEDS says in make chaos.
func TestPowerLoss(t *testing.T) {
	seeds := kills(8)
	total := 0
	for seed := range seeds {
		n, err := powerLoss(t, uint64(seed+1))
		if total += n; err != nil {
			t.Errorf("seed %d: %v", seed+1, err)
		}
		if seed%50 == 49 {
			t.Logf("%d seeds, %d acknowledged comments so far", seed+1, total)
		}
	}
	t.Logf("%d seeds, %d acknowledged comments", seeds, total)
}

// plant is a node on a file system in memory, and what was acknowledged there.
type plant struct {
	rng   *rand.Rand
	node  *node.Node
	mu    sync.Mutex
	sent  map[ticketing.CommandID]ticketing.CreateComment
	acked map[ticketing.ID]bool
}

func openPlant(fs vfs.FS) (*node.Node, error) {
	cfg := config.Default()
	cfg.Dev, cfg.Data, cfg.Shards, cfg.Cache, cfg.MemTable = true, "/data", 2, 4, 1
	return node.Open(context.Background(), cfg, node.Options{FS: fs, Log: slog.New(slog.NewTextHandler(debugOut, &slog.HandlerOptions{Level: slog.LevelWarn})), Fatal: func(error) {}})
}

func powerLoss(t *testing.T, seed uint64) (acked int, err error) {
	fs := storetest.NewDisk()
	p := &plant{rng: rand.New(rand.NewPCG(seed, 1)), sent: map[ticketing.CommandID]ticketing.CreateComment{}, acked: map[ticketing.ID]bool{}}
	if p.node, err = openPlant(fs); err != nil {
		return 0, err
	}
	defer func() { _ = p.node.Close(context.Background()) }()
	post, author, err := p.thread()
	if err != nil {
		return 0, err
	}
	for range 1 + p.rng.IntN(3) {
		if fs, err = p.crash(fs, post, author, time.Duration(5+p.rng.IntN(150))*time.Millisecond); err != nil {
			return len(p.acked), err
		}
	}
	if err := p.settle(t.Context()); err != nil {
		return len(p.acked), err
	}
	if err := p.node.Close(context.Background()); err != nil {
		return len(p.acked), err
	}
	a := auditNode(t, fs, "/data")
	a.check(t)
	for id := range p.acked {
		if a.created[id] != 1 {
			err = fmt.Errorf("the acknowledged comment %v was created %d times", id, a.created[id])
		}
	}
	if len(a.created) != len(p.acked) {
		err = fmt.Errorf("%d comments are stored, %d were acknowledged", len(a.created), len(p.acked))
	}
	return len(p.acked), err
}

// thread makes an author and a post.
func (p *plant) thread() (post ticketing.ID, author ticketing.Author, err error) {
	ctx, s := context.Background(), p.node.Services()
	id, err := s.Users.UserID(ctx, "ada@example.org", time.Now())
	if err != nil {
		return post, author, err
	}
	author = ticketing.Author{ID: id, Name: "Ada"}
	if _, err = s.Users.SignUp(ctx, ticketing.SignUp{ID: id, Email: "ada@example.org", Name: "Ada"}); err != nil {
		return post, author, err
	}
	post = ticketing.NewID(ticketing.PostSlot(id, "thread", nil), time.Now(), 1)
	_, err = s.Posts.CreatePost(ctx, ticketing.CreatePost{ID: post, Author: author, Title: "A thread", Body: "About nothing."})
	if err != nil {
		return post, author, err
	}
	known, err := s.Posts.Post(ctx, post)
	if err != nil {
		return post, author, err
	}
	ref := known.Ref() // so that nobody waits for the post's event
	p.send(ctx, s.Comments, ticketing.CreateComment{Meta: ticketing.Meta{ID: ticketing.NewCommandID(time.Now(), 0), At: time.Now().UTC()},
		ID: ticketing.NewID(post.Slot(), time.Now(), 0), Post: post, Author: author, Text: "The first remark.", Known: &ref})
	return post, author, nil
}

// crash writes from several goroutines, cuts the power after a while, and starts the node again on what the disk kept.
func (p *plant) crash(fs *storetest.Disk, post ticketing.ID, author ticketing.Author, after time.Duration) (*storetest.Disk, error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	comments := p.node.Services().Comments
	for w := range 8 {
		wg.Go(func() {
			for n := uint64(0); ctx.Err() == nil; n++ {
				c := ticketing.CreateComment{Post: post, Author: author, Text: fmt.Sprintf("Remark %d of %d.", n, w)}
				p.mu.Lock()
				entropy := p.rng.Uint64()
				p.mu.Unlock()
				c.Meta = ticketing.Meta{ID: ticketing.NewCommandID(time.Now(), entropy), At: time.Now().UTC().Truncate(time.Millisecond)}
				c.ID = ticketing.NewID(post.Slot(), c.At, entropy)
				p.send(ctx, comments, c)
			}
		})
	}
	timer := time.NewTimer(after) // the moment of the power loss; nothing is waited for
	<-timer.C
	p.mu.Lock()
	before := make(map[ticketing.ID]bool, len(p.acked))
	for id := range p.acked {
		before[id] = true
	}
	kept := []int{0, 0, 30, 70, 100}[p.rng.IntN(5)]
	rng := rand.New(rand.NewPCG(p.rng.Uint64(), 2))
	p.mu.Unlock()
	clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: rng})
	cancel()
	wg.Wait()
	_ = p.node.Close(context.Background())
	p.acked = before // what was acknowledged after the power was gone, nobody heard
	var err error
	if p.node, err = openPlant(clone); err != nil {
		return clone, fmt.Errorf("after a power loss that kept %d %%: %w", kept, err)
	}
	return clone, nil
}

// send sends a command; it stays on the list of what must take effect once.
func (p *plant) send(ctx context.Context, s ticketing.CommentService, c ticketing.CreateComment) {
	p.mu.Lock()
	p.sent[c.Meta.ID] = c
	p.mu.Unlock()
	r, err := s.CreateComment(ctx, c)
	if err == nil {
		p.mu.Lock()
		p.acked[r.ID] = true
		p.mu.Unlock()
	}
}

// settle repeats every command, and waits until every comment is decided.
func (p *plant) settle(ctx context.Context) error {
	s := p.node.Services()
	for _, c := range p.sent {
		r, err := s.Comments.CreateComment(ctx, c)
		if err != nil {
			return fmt.Errorf("repeating %v: %w", c.ID, err)
		}
		p.acked[r.ID] = true
	}
	for end := time.Now().Add(20 * time.Second); ; {
		totals, err := s.Query.Totals(ctx)
		if err != nil {
			return err
		}
		have := uint64(0)
		for _, n := range totals.Comments {
			have += n
		}
		if totals.Comments["pending"] == 0 && have == uint64(len(p.acked)) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("query has %v, %d comments were acknowledged: %s", totals.Comments, len(p.acked), p.undecided(ctx))
		}
		tick := time.NewTimer(2 * time.Millisecond)
		<-tick.C
	}
}

// undecided says where the first comment stands that its owner has not heard a decision about.
func (p *plant) undecided(ctx context.Context) string {
	s := p.node.Services()
	_, health := p.node.Ready()
	for id := range p.acked {
		c, err := s.Comments.Comment(ctx, id)
		if err == nil && c.Status == ticketing.Pending {
			ds, err := s.Moderation.Decisions(ctx, c.Author.ID, id)
			return fmt.Sprintf("comment %v is pending with %d decisions (%v), health %v", id, len(ds), err, health)
		}
	}
	return fmt.Sprintf("every owner has a decision; query is behind; health %v", health)
}

var debugOut io.Writer = os.Stderr

// A node that is closed leaves nothing running: nodes are opened and closed by tools and tests, too.
func TestCloseLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		n, err := openPlant(vfs.NewMem())
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "the nodes' goroutines end", func() bool { return runtime.NumGoroutine() <= before+8 }) // proto.actor's throttlers end late
}
