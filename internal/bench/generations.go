package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ticketing"
	"ticketing/client"
	"ticketing/plugins/rules"
)

// Generations is how long changes of the rules took, in milliseconds, medians, without other load.
type Generations struct {
	Changes  int     `json:"changes"`
	Compiled Live    `json:"compiled"` // of a module that every node has compiled before
	Fresh    Live    `json:"fresh"`    // of a module that no node has seen before
	UploadMs float64 `json:"uploadMs"` // of the fresh module, which is also checked
}

// Live is counted from the sending of the command that changes the rules.
type Live struct {
	AnsweredMs float64 `json:"answeredMs"` // until the answer, which says that every shard has taken the generation
	JudgedMs   float64 `json:"judgedMs"`   // until comments that were sent after the answer, through every node, were judged by it
}

// generations changes the rules a number of times in each way.
func (b *bencher) generations(ctx context.Context, times int) (*Generations, error) {
	if err := b.w.signIn(ctx); err != nil {
		return nil, err
	}
	g := &Generations{Changes: times}
	var compiled, fresh lives
	var uploads []float64
	for range times {
		if err := b.change(ctx, &compiled, nil); err != nil {
			return nil, err
		}
		module := unseen(rules.Builtin()[0].Module)
		begin := time.Now()
		v, _, err := b.w.operator.Upload(ctx, rules.Builtin()[0].Name, module)
		if err != nil {
			return nil, fmt.Errorf("uploading a module: %w", err)
		}
		uploads = append(uploads, millis(time.Since(begin)))
		if err := b.change(ctx, &fresh, &v.Digest); err != nil {
			return nil, err
		}
	}
	g.Compiled, g.Fresh, g.UploadMs = compiled.medians(), fresh.medians(), middle(uploads)
	return g, nil
}

// unseen returns a module that does the same and has another digest: it has one more section, of a kind that is there to be skipped.
func unseen(module []byte) []byte {
	name, content := "bench", rand.Text()
	section := append([]byte{byte(len(name))}, name...)
	section = append(section, content...)
	out := append([]byte(nil), module...)
	return append(append(out, 0, byte(len(section))), section...)
}

// lives collects the changes of a kind.
type lives struct{ answered, judged []float64 }

func (l *lives) medians() Live { return Live{middle(l.answered), middle(l.judged)} }

// change makes a new generation, in which the first rule has another config, or another module if one is given, and waits until all judge
// by it.
func (b *bencher) change(ctx context.Context, l *lives, module *ticketing.Digest) error {
	op := b.w.operator
	r, err := op.Rule(ctx, rules.Builtin()[0].Name)
	if err != nil {
		return err
	}
	c := client.RuleChange{Active: r.Active, OnFailure: r.OnFailure, Scope: r.Scope}
	if module != nil {
		c.Active = module.String()
	}
	if c.Config, err = withTerm(r.Config); err != nil {
		return err
	}
	begin := time.Now()
	now, err := op.SetRule(ctx, r.Name, r.ETag, c)
	if err != nil {
		return fmt.Errorf("the rule %s: %w", r.Name, err)
	}
	answered := time.Since(begin)
	if err := b.judgedBy(ctx, now.Generation); err != nil {
		return err
	}
	l.answered, l.judged = append(l.answered, millis(answered)), append(l.judged, millis(time.Since(begin)))
	return nil
}

// withTerm returns the config with a word that nothing was blocked for before.
func withTerm(config json.RawMessage) (json.RawMessage, error) {
	const label = "bench"
	c := map[string]json.RawMessage{}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, err
	}
	var match, kept []map[string]any
	if err := json.Unmarshal(c["match"], &match); err != nil {
		return nil, err
	}
	for _, m := range match {
		if m["label"] != label {
			kept = append(kept, m)
		}
	}
	kept = append(kept, map[string]any{"label": label, "action": "hold", "detail": "It contains a word that nobody uses.", "words": []string{rand.Text()}})
	b, err := json.Marshal(kept)
	if err != nil {
		return nil, err
	}
	c["match"] = b
	return json.Marshal(c)
}

// judges is how many authors write when a generation is looked for: enough to meet every node and most shards.
const judges = 24

// judgedBy writes comments through every node, and returns when all are judged. One that was judged by an older generation is an error.
func (b *bencher) judgedBy(ctx context.Context, generation uint64) error {
	errs := make(chan error, judges)
	for i := range judges {
		go func() { errs <- b.judged(ctx, i, generation) }()
	}
	var err error
	for range judges {
		err = errors.Join(err, <-errs)
	}
	return err
}

func (b *bencher) judged(ctx context.Context, i int, generation uint64) error {
	a := b.w.authors[i%len(b.w.authors)]
	c, err := a.api.CreateComment(ctx, "", b.w.posts[i%len(b.w.posts)], ticketing.ID{}, "Is this judged by the new rules?")
	if err != nil {
		return err
	}
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for begin := time.Now(); time.Since(begin) < sampleExpiry; {
		ds, err := b.w.operator.Decisions(ctx, c.ID)
		if err != nil && ticketing.KindOf(err) != ticketing.NotFound {
			return err
		}
		if len(ds) > 0 && ds[0].Generation < generation {
			return fmt.Errorf("a comment was judged by generation %d after %d was live", ds[0].Generation, generation)
		}
		if len(ds) > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
	return fmt.Errorf("a comment is not judged after %v", sampleExpiry)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
