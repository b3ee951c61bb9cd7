package contract

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
)

// kills is how often the server is killed: 20 times in make test, as CHAOS_SEEDS says in make chaos.
func kills(otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv("CHAOS_SEEDS")); err == nil {
		return n
	}
	return otherwise
}

// writers post comments, each under a key of its own that it repeats until it has an answer.
type writers struct {
	mu       sync.Mutex
	acked    map[string]string // key → comment id
	pending  map[string]bool   // keys whose outcome is unknown
	conflict []string
}

func (w *writers) write(ctx context.Context, c *client, post, key string) bool {
	w.mu.Lock()
	w.pending[key] = true
	w.mu.Unlock()
	r, err := c.do(ctx, "POST", "/api/posts/"+post+"/comments", map[string]string{"text": "A remark with the number " + key + "."}, "Idempotency-Key", key)
	if err != nil || r.status == http.StatusServiceUnavailable {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.pending, key)
	switch {
	case r.status != http.StatusCreated:
		w.conflict = append(w.conflict, fmt.Sprintf("%s: status %d %s", key, r.status, r.raw))
	case w.acked[key] != "" && w.acked[key] != r.str("id"):
		w.conflict = append(w.conflict, fmt.Sprintf("%s: comment %s and then %s", key, w.acked[key], r.str("id")))
	default:
		w.acked[key] = r.str("id")
	}
	return true
}

// TestKill kills the server under load, again and again. Everything that was acknowledged is there, once; what was not is repeated under the same
// key, and is there once too; every revision has one automatic decision; the event logs have no gap.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	seed := uint64(42)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := serve(t, dir)
	user := s.signUp("ada")
	post := user.must(t, 201, "POST", "/api/posts", map[string]string{"title": "A thread", "body": "About nothing much."}).str("id")
	w := &writers{acked: map[string]string{}, pending: map[string]bool{}}
	for round := range kills(20) {
		w.round(t, s, user, post, round, time.Duration(100+rng.IntN(500))*time.Millisecond)
		s = serve(t, dir)
		user.url = s.url
	}
	w.finish(t, user, post)
	op := s.operator()
	wait(t, "everything is decided", func() bool { return pending(t, op) == 0 })
	for key, id := range w.acked {
		if r := user.must(t, 200, "GET", "/api/posts/"+post+"/comments/"+id, nil); r.str("id") != id {
			t.Errorf("%s: %s", key, r.raw)
		}
	}
	s.stop()
	a := auditNode(t, vfs.Default, dir)
	a.check(t)
	for key, id := range w.acked {
		if parsed, err := ticketing.ParseID(id); err != nil || a.created[parsed] != 1 {
			t.Errorf("the acknowledged comment %s (%s) was created %d times", id, key, a.created[parsed])
		}
	}
	if len(a.created) != len(w.acked) {
		t.Errorf("%d comments are stored, %d were acknowledged", len(a.created), len(w.acked))
	}
	t.Logf("%d kills, %d comments, events %v", kills(20), len(w.acked), a.events)
}

// round writes from several connections until the server is killed.
func (w *writers) round(t *testing.T, s *server, user *client, post string, round int, after time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				w.write(ctx, user, post, fmt.Sprintf("key-%03d-%02d-%05d", round, i, n))
			}
		})
	}
	timer := time.NewTimer(after) // the moment of the kill; nothing is waited for
	<-timer.C
	s.kill()
	cancel()
	wg.Wait()
}

// finish repeats what has no answer yet.
func (w *writers) finish(t *testing.T, user *client, post string) {
	t.Helper()
	for len(w.pending) > 0 {
		var keys []string
		for k := range w.pending {
			keys = append(keys, k)
		}
		for _, k := range keys {
			w.write(t.Context(), user, post, k)
		}
	}
	for _, c := range w.conflict {
		t.Error(c)
	}
}

// pending returns how many items wait for a decision.
func pending(t *testing.T, op *client) int {
	t.Helper()
	r := op.must(t, 200, "GET", "/api/stats", nil)
	n := 0
	for _, kind := range []string{"posts", "comments"} {
		if m, ok := r.body[kind].(map[string]any); ok {
			p, _ := m["pending"].(float64)
			n += int(p)
		}
	}
	return n
}
