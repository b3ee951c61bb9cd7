package host

import (
	"context"
	"errors"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// failedLate is the reason of a call that took too long.
const failedLate = "deadline"

// errDeadline is the failure of a call that took too long.
var errDeadline = errors.New(failedLate)

// A limiter bounds the time that a guest may take.
type limiter interface {
	// configure prepares the runtime of a version.
	configure(c wazero.RuntimeConfig) wazero.RuntimeConfig
	// call calls a guest's function. A call that takes longer than d ends with errDeadline.
	call(ctx context.Context, fn api.Function, stack []uint64, d time.Duration) error
	// run runs f, which runs a guest in any other way, under the same bound.
	run(ctx context.Context, d time.Duration, f func(context.Context) error) error
	// overdue reports whether the deadline of the running call has passed; host functions ask, as nothing interrupts them.
	overdue() bool
}

// unlimited is for modules whose source is ours.
type unlimited struct{}

func (unlimited) configure(c wazero.RuntimeConfig) wazero.RuntimeConfig { return c }

func (unlimited) call(ctx context.Context, fn api.Function, stack []uint64, _ time.Duration) error {
	return fn.CallWithStack(ctx, stack)
}

func (unlimited) run(ctx context.Context, _ time.Duration, f func(context.Context) error) error {
	return f(ctx)
}

func (unlimited) overdue() bool { return false }

// deadline lets wazero watch the clock: compiled code looks at a flag in every loop. It is slow, and blind for calls
// without loops; metering the code replaces it.
type deadline struct {
	now   func() time.Time
	until time.Time // of the running call
}

func (*deadline) configure(c wazero.RuntimeConfig) wazero.RuntimeConfig {
	return c.WithCloseOnContextDone(true)
}

func (l *deadline) call(ctx context.Context, fn api.Function, stack []uint64, d time.Duration) error {
	return l.run(ctx, d, func(ctx context.Context) error { return fn.CallWithStack(ctx, stack) })
}

func (l *deadline) run(ctx context.Context, d time.Duration, f func(context.Context) error) error {
	l.until = l.now().Add(d)
	bounded, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err := f(bounded)
	if l.overdue() {
		return errDeadline
	}
	return err
}

func (l *deadline) overdue() bool { return l.now().After(l.until) }
