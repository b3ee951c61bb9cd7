package replica

import (
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// commits lets a commit end after another until stop is closed; each takes as long as took says.
func commits(p *Pace, stop <-chan struct{}, took func() time.Duration) {
	for {
		end := p.begin()
		select {
		case <-time.After(took()):
			end()
		case <-stop:
			end()
			return
		}
	}
}

// copied returns how many bytes a copy may send within a time.
func copied(t *testing.T, p *Pace, d time.Duration) (bytes int) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); bytes += 64 << 10 {
		if err := p.Wait(nil, 64<<10); err != nil {
			t.Fatal(err)
		}
	}
	return bytes
}

func around(got, want int) bool { return got > want*9/10 && got < want*11/10 }

// TestPace: copies get their rate while nobody suffers, a small part of it while commits take much longer than without them, and all of it again.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 64e6
		p, stop := NewPace(most), make(chan struct{})
		defer close(stop)
		var slow atomic.Int64
		slow.Store(1)
		go commits(p, stop, func() time.Duration { return time.Duration(slow.Load()) * 10 * time.Millisecond })
		time.Sleep(calmAfter) // its commits are what undisturbed ones take
		if n := copied(t, p, judgeEvery); !around(n, most/4/10) {
			t.Errorf("it begins with %d bytes", n)
		}
		copied(t, p, time.Second)
		if n := copied(t, p, time.Second); !around(n, most) {
			t.Errorf("undisturbed: %d bytes", n)
		}
		slow.Store(4)
		copied(t, p, time.Second)
		if n := copied(t, p, time.Second); !around(n, most*leastPart) {
			t.Errorf("while commits suffer: %d bytes", n)
		}
		slow.Store(1)
		copied(t, p, 2*time.Second)
		if n := copied(t, p, time.Second); !around(n, most) {
			t.Errorf("afterwards: %d bytes", n)
		}
	})
}

// TestPaceTimes: what costs less than a copy may go on faster by as much.
func TestPaceTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, times = 64 << 10, 4
		took := func(times int) time.Duration {
			w := pacedWriter{io.Discard, NewPace(1e6), nil, times}
			begun := time.Now()
			for range 2 { // the second waits for the first
				if _, err := w.Write(make([]byte, size)); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(begun)
		}
		if whole, part := took(1), took(times); part == 0 || !around(int(whole), times*int(part)) {
			t.Errorf("%v, and %v at %d times the rate", whole, part, times)
		}
	})
}

// TestPaceOfAStall: a commit that does not end at all is one that suffers.
func TestPaceOfAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := NewPace(64e6), make(chan struct{})
		defer close(stop)
		var took atomic.Int64
		took.Store(int64(10 * time.Millisecond))
		go commits(p, stop, func() time.Duration { return time.Duration(took.Load()) })
		time.Sleep(calmAfter)
		took.Store(int64(time.Hour))
		copied(t, p, time.Second)
		if n := copied(t, p, time.Second); !around(n, 8e6) {
			t.Errorf("%d bytes", n)
		}
	})
}

func TestPaceStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := (*Pace)(nil).Wait(nil, 1<<40); err != nil {
			t.Error(err)
		}
		p, stop, begun := NewPace(1), make(chan struct{}), time.Now()
		for range 2 { // the second waits for the first
			if err := p.Wait(stop, 100); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took != longestPause {
			t.Errorf("a wait took %v", took)
		}
		close(stop)
		if err := p.Wait(stop, 100); !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
	})
}
