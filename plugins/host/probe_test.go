package host

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ticketing"
	"ticketing/plugins/host/hosttest"
)

// A shortContext ends after it was asked so often whether it has.
type shortContext struct {
	context.Context
	asked, ends int
}

func (c *shortContext) Err() error {
	if c.asked++; c.asked > c.ends {
		return context.DeadlineExceeded
	}
	return nil
}

// A golden test of a thousand items ends with its context, with its first failure, and when the fuel for all tests is used up.
func TestGoldenTestsEnd(t *testing.T) {
	h := New(hosttest.NewSource(), Options{})
	t.Cleanup(h.Close)
	run := func(module []byte, ends int, left uint64) (f *ticketing.GoldenFault, ctx *shortContext, err error) {
		v, err := h.build(t.Context(), versionKey{digest: ticketing.DigestOf(module)}, module)
		if err != nil {
			t.Fatal(err)
		}
		defer v.close()
		v.golden = []ticketing.GoldenCase{{Name: "often", Item: ticketing.GoldenItem{Text: "x", Repeat: 1_000}}}
		ctx = &shortContext{t.Context(), 0, ends}
		trials, err := h.trials(ctx, v, left)
		if len(trials) > 0 {
			f = trials[0].Fault
		}
		return f, ctx, err
	}
	if _, ctx, err := run(hosttest.Empty, 10, probeFuel); ticketing.KindOf(err) != ticketing.Unavailable || !errors.Is(err, context.DeadlineExceeded) || ctx.asked != 11 {
		t.Errorf("out of time: asked %d times, %v", ctx.asked, err)
	}
	if f, ctx, err := run(hosttest.Trap, 1_000, probeFuel); err != nil || f == nil || ctx.asked != 1 {
		t.Errorf("a failure: asked %d times, %+v, %v", ctx.asked, f, err)
	}
	if _, ctx, err := run(hosttest.Empty, 1_000, 500); ticketing.KindOf(err) != ticketing.Invalid || !strings.Contains(err.Error(), "units of fuel together") || ctx.asked > 500 {
		t.Errorf("out of fuel: asked %d times, %v", ctx.asked, err)
	}
	if f, ctx, err := run(hosttest.Empty, 3_000, probeFuel); f != nil || err != nil || ctx.asked != 3_000 {
		t.Errorf("all is well: asked %d times, %+v, %v", ctx.asked, f, err)
	}
}
