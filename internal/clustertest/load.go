package clustertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"ticketing"
)

// Load is clients that write comments, and remember what was acknowledged.
type Load struct {
	// Retries is how often a request whose connection failed is sent again under its key; below zero: until it is answered, 503 is no answer.
	Retries int
	// Rate bounds the requests per second of all clients together; 0: none.
	Rate float64

	c     *Cluster
	user  *Client
	name  string
	posts []string

	mu     sync.Mutex
	next   int
	acked  map[string]comment // by key
	open   map[string]string  // keys without an answer, and their posts
	failed []string
	acks   []ack
}

type comment struct{ post, id string }

// ack is an acknowledged write.
type ack struct {
	at, end time.Time
	shard   int
}

// NewLoad makes an author and posts of which every shard of comments gets at least one. name is part of all keys.
func (c *Cluster) NewLoad(name string) *Load {
	c.tb.Helper()
	via := c.Live()[0]
	l := &Load{Retries: -1, c: c, user: c.SignUp(via, name), name: name, acked: map[string]comment{}, open: map[string]string{}}
	covered := map[int]bool{}
	for i := 0; len(covered) < c.shards; i++ {
		id := l.user.must(c.tb, via, 201, "POST", "/api/posts", map[string]string{"title": "A thread", "body": "About nothing much."},
			"Idempotency-Key", fmt.Sprintf("%s-post-%04d", name, i)).Str("id")
		if s := c.shardOf(id); !covered[s] {
			covered[s] = true
			l.posts = append(l.posts, id)
		}
	}
	return l
}

// shardOf returns the shard that an item is in.
func (c *Cluster) shardOf(id string) int {
	c.tb.Helper()
	parsed, err := ticketing.ParseID(id)
	if err != nil {
		c.tb.Fatal(err)
	}
	return parsed.Slot().Shard(c.shards)
}

// Run writes with a number of clients until ctx ends. pick chooses the node for every attempt.
func (l *Load) Run(ctx context.Context, clients int, pick func() *Node) {
	var wg sync.WaitGroup
	start := time.Now()
	for i := range clients {
		wg.Go(func() {
			user := l.user.with(patience)
			for n := i; ; n += clients {
				if l.Rate > 0 && !sleepUntil(ctx, start.Add(time.Duration(float64(n)/l.Rate*float64(time.Second)))) || ctx.Err() != nil {
					return
				}
				key, post := l.begin(i)
				l.write(ctx, user, key, post, pick)
			}
		})
	}
	wg.Wait()
}

// sleepUntil is the pace of a load. It reports false if ctx ends first.
func sleepUntil(ctx context.Context, at time.Time) bool {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// begin takes the next key, and the post that a client's comments go to.
func (l *Load) begin(client int) (key, post string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	key, post = fmt.Sprintf("%s-%06d", l.name, l.next), l.posts[client%len(l.posts)]
	l.open[key] = post
	return key, post
}

// write sends one comment until it is answered, as often as Retries says.
func (l *Load) write(ctx context.Context, user *Client, key, post string, pick func() *Node) {
	at, last := time.Now(), ""
	var not *Node // a request is sent again through another node
	for try := 0; l.Retries < 0 || try <= l.Retries; try++ {
		if try > 0 && l.Retries < 0 {
			pause()
		}
		n := another(pick, not)
		if n == nil {
			if ctx.Err() != nil {
				return
			}
			continue
		}
		not = n
		r, err := user.Do(context.WithoutCancel(ctx), n, http.MethodPost, "/api/posts/"+post+"/comments",
			map[string]string{"text": "A remark with the number " + key + "."}, "Idempotency-Key", key)
		switch {
		case err != nil:
			last = n.Name + ": " + err.Error()
		case r.Status == http.StatusServiceUnavailable:
			last = fmt.Sprintf("%s: 503 %s", n.Name, r.Str("detail"))
			if l.Retries >= 0 {
				try = l.Retries // only a connection that was closed is a reason to try again
			}
		default:
			l.answered(key, post, at, r)
			return
		}
		if ctx.Err() != nil {
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, fmt.Sprintf("%s after %v: %s", key, time.Since(at).Round(time.Millisecond), last))
}

// another picks a node that is not a certain one, if there is any other.
func another(pick func() *Node, not *Node) (n *Node) {
	for range 10 {
		if n = pick(); n != not {
			break
		}
	}
	return n
}

func (l *Load) answered(key, post string, at time.Time, r Reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := r.Str("id")
	if r.Status != http.StatusCreated {
		l.failed = append(l.failed, fmt.Sprintf("%s: status %d %s", key, r.Status, r.Raw))
		return
	}
	if before, ok := l.acked[key]; ok && before.id != id {
		l.failed = append(l.failed, fmt.Sprintf("%s is comment %s and then %s", key, before.id, id))
	}
	delete(l.open, key)
	l.acked[key] = comment{post, id}
	l.acks = append(l.acks, ack{at, time.Now(), l.c.shardOf(post)})
}

// fault notes something that must not happen.
func (l *Load) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, fmt.Sprintf(format, args...))
}

// Finish repeats what has no answer, and fails the test if anything went wrong.
func (l *Load) Finish(tb testing.TB) {
	tb.Helper()
	l.mu.Lock()
	open := make(map[string]string, len(l.open))
	for k, p := range l.open {
		open[k] = p
	}
	l.mu.Unlock()
	for key, post := range open {
		r := l.user.must(tb, l.c.anyLive(), 201, "POST", "/api/posts/"+post+"/comments",
			map[string]string{"text": "A remark with the number " + key + "."}, "Idempotency-Key", key)
		l.answered(key, post, time.Now(), r)
	}
	for _, f := range l.failures() {
		tb.Error(f)
	}
}

func (l *Load) failures() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.failed
	l.failed = nil
	if len(f) > 20 {
		f = append(f[:20:20], fmt.Sprintf("and %d more", len(f)-20))
	}
	return f
}

// Acked returns how many writes were acknowledged.
func (l *Load) Acked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// Verify reads everything that was acknowledged by some nodes in turn.
func (l *Load) Verify(tb testing.TB, via ...*Node) {
	tb.Helper()
	l.mu.Lock()
	all := make([]comment, 0, len(l.acked))
	for _, m := range l.acked {
		all = append(all, m)
	}
	l.mu.Unlock()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < len(all) && !tb.Failed(); i += 8 {
				m, n := all[i], via[i%len(via)]
				if there, what := l.find(n, m); !there {
					tb.Errorf("%s: the acknowledged comment %s is not there: %s", n.Name, m.id, what)
				}
			}
		})
	}
	wg.Wait()
}

// there reports whether a node shows a comment.
func (l *Load) there(n *Node, m comment) bool {
	there, _ := l.find(n, m)
	return there
}

// find reads a comment until there is an answer, and returns what the last one was.
func (l *Load) find(n *Node, m comment) (there bool, what string) {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); pause() {
		r, err := l.user.Do(context.Background(), n, http.MethodGet, "/api/posts/"+m.post+"/comments/"+m.id, nil)
		if what = fmt.Sprintf("status %d: %.500s (%v)", r.Status, r.Raw, err); err == nil && r.Status != http.StatusServiceUnavailable {
			return r.Status == http.StatusOK && r.Str("id") == m.id, what
		}
	}
	return false, what
}

// outage returns how long nothing of a shard was acknowledged around a moment: the longest pause between two acknowledgements of which the
// later one came after it.
func (l *Load) outage(shard int, since time.Time) (longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ends []time.Time
	for _, a := range l.acks {
		if a.shard == shard {
			ends = append(ends, a.end)
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	for i, end := range ends {
		before := since
		if i > 0 && ends[i-1].After(since) {
			before = ends[i-1]
		}
		if end.After(since) {
			longest = max(longest, end.Sub(before))
		}
	}
	return longest
}

// quantile returns how long a part of the acknowledged writes since a moment took at most.
func (l *Load) quantile(q float64, since time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var took []time.Duration
	for _, a := range l.acks {
		if a.at.After(since) {
			took = append(took, a.end.Sub(a.at))
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(len(took)-1, int(q*float64(len(took))))]
}

// since counts the writes that were acknowledged after a moment.
func (l *Load) since(at time.Time) (count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.acks {
		if a.end.After(at) {
			count++
		}
	}
	return count
}

// anyLive returns one of the nodes that run; nil if none does.
func (c *Cluster) anyLive() *Node {
	live := c.Live()
	if len(live) == 0 {
		return nil
	}
	return live[rand.IntN(len(live))]
}

// everyShard reports whether every shard has acknowledged a write that began after a moment.
func (l *Load) everyShard(after time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[int]bool{}
	for _, a := range l.acks {
		if a.at.After(after) {
			seen[a.shard] = true
		}
	}
	return len(seen) == l.c.shards
}

// shardSince reports whether a shard has acknowledged a write that began after a moment.
func (l *Load) shardSince(shard int, at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.acks, func(a ack) bool { return a.shard == shard && a.at.After(at) })
}
