package clustertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// item is a comment that clients read and change.
type item struct{ post, id string }

func (i item) path() string { return "/api/posts/" + i.post + "/comments/" + i.id }

// workload is clients who work with the same comments through random nodes, and note what they see.
type workload struct {
	c    *Cluster
	load *Load // its author, its posts, and what it was acknowledged
	seen *history

	mu    sync.Mutex
	items []item            // held: mu
	first map[string]string // held: mu; items → the text that they were created with; e-mail addresses begin without an owner

	next    atomic.Int64
	unknown atomic.Int64 // attempts without an answer
	count   atomic.Int64 // operations that were answered
}

// pool is how many comments are worked with at a time.
const pool = 8

func (c *Cluster) newWorkload(name string) *workload {
	c.tb.Helper()
	w := &workload{c: c, load: c.NewLoad(name), seen: &history{began: time.Now()}, first: map[string]string{}}
	for range pool {
		w.create(context.Background(), w.load.user, len(w.items))
	}
	return w
}

// run works with a number of clients until ctx ends. What was begun is finished within grace.
func (w *workload) run(ctx context.Context, clients int, seed uint64, grace time.Duration) {
	var wg sync.WaitGroup
	last, stop := context.WithCancel(context.Background())
	defer stop()
	context.AfterFunc(ctx, func() { time.AfterFunc(grace, stop) })
	for i := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			user := w.load.user.with(4 * time.Second)
			user.home = i
			for ctx.Err() == nil {
				w.act(last, user, i, rng)
			}
		})
	}
	wg.Wait()
}

// favourite chooses a node for a client: mostly its own, so that not everybody waits for the same one.
func (c *Cluster) favourite(user *Client) *Node {
	nodes := c.Nodes()
	if n := nodes[user.home%len(nodes)]; rand.IntN(4) > 0 && n.Running() {
		return n
	}
	return c.anyLive()
}

// act does one thing.
func (w *workload) act(ctx context.Context, user *Client, client int, rng *rand.Rand) {
	w.mu.Lock()
	at := rng.IntN(len(w.items))
	it := w.items[at]
	w.mu.Unlock()
	switch p := rng.IntN(100); {
	case p < 50:
		w.get(ctx, user, client, it)
	case p < 88:
		w.edit(ctx, user, client, it)
	case p < 92:
		w.remove(ctx, user, client, it)
	case p < 99 || rng.IntN(4) > 0:
		w.create(ctx, user, at)
	default:
		w.contend(ctx)
	}
}

// send sends a request through random nodes until it is answered. tries is 1 if the first attempt was; ok is false if ctx ended before.
func (w *workload) send(ctx context.Context, user *Client, method, path string, body any, header ...string) (r Reply, tries int, lastCall int64, ok bool) {
	for ctx.Err() == nil {
		n := w.c.favourite(user)
		if n == nil {
			pause()
			continue
		}
		tries++
		lastCall = w.seen.now()
		r, err := user.Do(ctx, n, method, path, body, header...)
		if err == nil && r.Status != http.StatusServiceUnavailable {
			w.count.Add(1)
			return r, tries, lastCall, true
		}
		w.unknown.Add(1)
		pause()
	}
	return r, tries, lastCall, false
}

func (w *workload) key(what string) string {
	return fmt.Sprintf("%s-%s-%06d", w.load.name, what, w.next.Add(1))
}

// create makes a comment and puts it in a place of the pool.
func (w *workload) create(ctx context.Context, user *Client, at int) {
	key, post := w.load.begin(at)
	text := "A remark with the number " + key + "."
	r, _, _, ok := w.send(ctx, user, http.MethodPost, "/api/posts/"+post+"/comments", map[string]string{"text": text}, "Idempotency-Key", key)
	if !ok {
		return
	}
	w.load.answered(key, post, time.Now(), r)
	if r.Status != http.StatusCreated {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.first[r.Str("id")] = text
	if at < len(w.items) {
		w.items[at] = item{post, r.Str("id")}
	} else {
		w.items = append(w.items, item{post, r.Str("id")})
	}
}

// get reads a comment, and returns its text and version. An attempt without an answer is no operation: it had no effect.
func (w *workload) get(ctx context.Context, user *Client, client int, it item) (text, etag string) {
	for ctx.Err() == nil {
		n := w.c.favourite(user)
		if n == nil {
			pause()
			continue
		}
		called := w.seen.now()
		r, err := user.Do(ctx, n, http.MethodGet, it.path(), nil)
		switch {
		case err != nil || r.Status == http.StatusServiceUnavailable:
			w.unknown.Add(1)
			pause()
			continue
		case r.Status == http.StatusOK || r.Status == http.StatusNotFound:
			w.seen.add(client, called, input{Item: it.id, Op: opGet}, output{r.Status, r.Str("text")})
			w.count.Add(1)
		default:
			w.load.fault("get: status %d: %s", r.Status, r.Raw)
		}
		return r.Str("text"), r.Header.Get("ETag")
	}
	return "", ""
}

// edit changes a comment that the client has just read.
func (w *workload) edit(ctx context.Context, user *Client, client int, it item) {
	before, etag := w.get(ctx, user, client, it)
	if etag == "" {
		return
	}
	in := input{Item: it.id, Op: opEdit, Expect: before, Text: "Changed by " + w.key("edit") + "."}
	w.change(ctx, user, client, it, in, etag)
}

// remove deletes a comment that the client has just read.
func (w *workload) remove(ctx context.Context, user *Client, client int, it item) {
	before, etag := w.get(ctx, user, client, it)
	if etag == "" {
		return
	}
	w.change(ctx, user, client, it, input{Item: it.id, Op: opDelete, Expect: before}, etag)
}

func (w *workload) change(ctx context.Context, user *Client, client int, it item, in input, etag string) {
	method, body := http.MethodPatch, any(map[string]string{"text": in.Text})
	if in.Op == opDelete {
		method, body = http.MethodDelete, nil
	}
	called := w.seen.now()
	r, tries, lastCall, ok := w.send(ctx, user, method, it.path(), body, "If-Match", etag, "Idempotency-Key", w.key("change"))
	switch {
	case !ok:
		w.seen.add(client, called, in, output{})
	case r.Status == http.StatusNotFound && tries > 1:
		// Whether an earlier attempt changed it before somebody deleted it is not known; that it is deleted now is.
		w.seen.add(client, called, in, output{})
		w.seen.add(client, lastCall, input{Item: it.id, Op: opGet}, output{Status: r.Status})
	case r.Status == 200 || r.Status == 204 || r.Status == 404 || r.Status == 412:
		w.seen.add(client, called, in, output{Status: r.Status})
	default:
		w.load.fault("%s: status %d: %s", in.Op, r.Status, r.Raw)
	}
}

// contend lets three clients sign up with the same address: one gets it.
func (w *workload) contend(ctx context.Context) {
	email := w.key("mail") + "@example.org"
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			user := newClient(4 * time.Second)
			key := w.key("sign-up")
			name := strings.ReplaceAll(key, "-", "")
			called := w.seen.now()
			r, _, _, ok := w.send(ctx, user, http.MethodPost, "/api/users/signup", map[string]string{"email": email, "name": name[:min(len(name), 30)], "password": "a passphrase of " + key},
				"Idempotency-Key", key)
			out := output{}
			if ok {
				if out.Status = r.Status; r.Status == http.StatusBadRequest && strings.Contains(r.Raw, "in use") {
					out.Status = http.StatusConflict
				}
			}
			w.seen.add(1000+i, called, input{Item: email, Op: opSignUp, Text: key}, out)
		})
	}
	wg.Wait()
}

// final reads every comment that ever was, through a node, into the history.
func (w *workload) final(n *Node) {
	user := w.load.user.with(patience)
	w.load.mu.Lock()
	all := make([]item, 0, len(w.load.acked))
	for _, m := range w.load.acked {
		all = append(all, item(m))
	}
	w.load.mu.Unlock()
	for _, it := range all {
		called := w.seen.now()
		r := user.mustEither(w.c.tb, n, it.path())
		w.seen.add(2000, called, input{Item: it.id, Op: opGet}, output{r.Status, r.Str("text")})
	}
}
