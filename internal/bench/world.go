package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"ticketing"
	"ticketing/client"
	"ticketing/internal/youtube"
)

// tokenAge is how old the authors' tokens may be when a phase begins; they live for 15 minutes.
const tokenAge = 4 * time.Minute

// author is a user of the benchmark.
type author struct {
	email, password string
	api             *client.Client
}

// world is what the load needs: authors, posts, and texts as JSON.
type world struct {
	hosts    []string // of the servers: for the Host header, and to dial
	operator *client.Client
	authors  []author
	posts    []ticketing.ID
	bodies   [][]byte
	signedIn time.Time
}

// ReadTexts reads the comments of YouTube comment files.
func ReadTexts(files []string) (texts []string, err error) {
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		rows, _, err := youtube.Read(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, r := range rows {
			texts = append(texts, r.Text)
		}
	}
	if len(texts) == 0 {
		return nil, errors.New("there are no texts to send")
	}
	return texts, nil
}

// newWorld signs authors up and writes the posts.
func newWorld(ctx context.Context, urls []string, operator *client.Client, o Options) (*world, error) {
	w := &world{operator: operator}
	for _, url := range urls {
		w.hosts = append(w.hosts, strings.TrimPrefix(url, "http://"))
	}
	for _, t := range o.Texts {
		b, err := json.Marshal(map[string]string{"text": t})
		if err != nil {
			return nil, err
		}
		w.bodies = append(w.bodies, b)
	}
	run := strings.ToLower(rand.Text()[:10])
	for i := range o.Users {
		api, err := client.New(urls[i%len(urls)], client.Options{})
		if err != nil {
			return nil, err
		}
		w.authors = append(w.authors, author{fmt.Sprintf("bench-%s-%d@example.org", run, i), "bench-" + rand.Text(), api})
	}
	err := w.each(func(i int, a author) error {
		_, err := a.api.SignUp(ctx, a.email, a.password, fmt.Sprintf("Bench %d", i))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("signing up: %w", err)
	}
	if err := w.signIn(ctx); err != nil {
		return nil, err
	}
	return w, w.writePosts(ctx, run, o.Posts)
}

// host returns the server that a worker speaks to.
func (w *world) host(worker int) string { return w.hosts[worker%len(w.hosts)] }

// each runs a step for every author, some at a time: passwords cost the server memory and time.
func (w *world) each(do func(i int, a author) error) error {
	errs := make([]error, len(w.authors))
	slots := make(chan struct{}, 4)
	var wg sync.WaitGroup
	for i, a := range w.authors {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(i, a)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// signIn gets tokens for all authors, unless those that they have are young.
func (w *world) signIn(ctx context.Context) error {
	if time.Since(w.signedIn) < tokenAge {
		return nil
	}
	err := w.each(func(_ int, a author) error { return a.api.SignIn(ctx, a.email, a.password) })
	if err != nil {
		return fmt.Errorf("signing in: %w", err)
	}
	w.signedIn = time.Now()
	return nil
}

func (w *world) writePosts(ctx context.Context, run string, n int) error {
	for i := range n {
		a := w.authors[i%len(w.authors)]
		p, err := a.api.CreatePost(ctx, fmt.Sprintf("bench-%s-%d", run, i), fmt.Sprintf("Thread %d", i), "A thread for the load generator.")
		if err != nil {
			return fmt.Errorf("writing a post: %w", err)
		}
		w.posts = append(w.posts, p.ID)
	}
	return nil
}

// decided waits until nothing is pending and at least n comments are decided, and returns the totals. It gives up when nothing moves.
func (w *world) decided(ctx context.Context, n uint64) (ticketing.Totals, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last, moved := uint64(0), time.Now()
	for {
		t, err := w.operator.Stats(ctx)
		if err != nil {
			return t, err
		}
		done := decidedOf(t)
		if t.Comments["pending"] == 0 && t.Posts["pending"] == 0 && done >= n {
			return t, nil
		}
		if done != last {
			last, moved = done, time.Now()
		}
		if time.Since(moved) > 30*time.Second {
			return t, fmt.Errorf("%d comments are decided and %d pending of %d, and nothing moves", done, t.Comments["pending"], n)
		}
		select {
		case <-ctx.Done():
			return t, ctx.Err()
		case <-tick.C:
		}
	}
}

func decidedOf(t ticketing.Totals) uint64 {
	return t.Comments["approved"] + t.Comments["rejected"] + t.Comments["held"]
}

// liftRate switches the spam rule's limit on an author's rate off, and returns how to switch it on again: a few authors send everything
// here, and all would be held for that alone. Every comment is still judged by every rule.
func liftRate(ctx context.Context, operator *client.Client) (restore func() error, err error) {
	none := func() error { return nil }
	rules, err := operator.Rules(ctx)
	if err != nil {
		return none, err
	}
	for _, r := range rules {
		if r.Name != "spam" || r.Active == "" {
			continue
		}
		config := map[string]json.RawMessage{}
		if err := json.Unmarshal(r.Config, &config); err != nil {
			return none, err
		}
		config["rate"] = json.RawMessage(`{"items":0}`)
		lifted, err := json.Marshal(config)
		if err != nil {
			return none, err
		}
		change := client.RuleChange{Active: r.Active, Config: lifted, OnFailure: r.OnFailure, Scope: r.Scope}
		now, err := operator.SetRule(ctx, r.Name, r.ETag, change)
		if err != nil {
			return none, fmt.Errorf("the rule spam: %w", err)
		}
		return func() error {
			change.Config = r.Config
			_, err := operator.SetRule(context.WithoutCancel(ctx), r.Name, now.ETag, change)
			return err
		}, nil
	}
	return none, nil
}
