package ticketing

import (
	"context"
	"sync/atomic"
)

type staleKey struct{}

// AllowStale lets queries be answered from a copy that may be behind, when nobody answers who certainly has the newest state, as after the
// loss of a majority. used reports whether one was.
func AllowStale(ctx context.Context) (_ context.Context, used func() bool) {
	b := new(atomic.Bool)
	return context.WithValue(ctx, staleKey{}, b), b.Load
}

// StaleAllowed returns what to call when a query under ctx is answered from a copy that may be behind, nil if none may be.
func StaleAllowed(ctx context.Context) (use func()) {
	b, _ := ctx.Value(staleKey{}).(*atomic.Bool)
	if b == nil {
		return nil
	}
	return func() { b.Store(true) }
}
