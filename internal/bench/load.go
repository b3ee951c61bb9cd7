package bench

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load is a number of workers, each with a connection, that send until time is up or enough was accepted.
type load struct {
	connections int
	rate        float64 // arrivals a second; 0: a closed loop
	until       time.Time
	enough      int64    // accepted requests; 0: only time counts
	success     int      // the status
	seconds     *seconds // nil: not told apart

	start    time.Time
	arrivals atomic.Int64
	accepted atomic.Int64
	rec      *recorder
}

// busyPause is how long a worker of a closed loop waits after a refusal.
const busyPause = 20 * time.Millisecond

// run sends what the requests make, and returns when the last reply is there. The workers are spread over the addresses. request appends
// the n-th request of a worker to b.
func (l *load) run(ctx context.Context, addrs []string, request func(b []byte, worker, n int) []byte) {
	l.rec = newRecorder()
	l.start = time.Now()
	var wg sync.WaitGroup
	for i := range l.connections {
		wg.Go(func() { l.worker(ctx, addrs[i%len(addrs)], i, request) })
	}
	wg.Wait()
}

func (l *load) worker(ctx context.Context, addr string, i int, request func(b []byte, worker, n int) []byte) {
	c := newConn(addr)
	defer c.close()
	var b []byte
	for n := 0; ctx.Err() == nil && (l.enough == 0 || l.accepted.Load() < l.enough); n++ {
		begin, ok := l.next()
		if !ok {
			return
		}
		b = request(b[:0], i, n)
		status, _, err := c.do(b)
		if err == nil && status == l.success {
			took := time.Since(begin)
			l.rec.record(i, took)
			if l.seconds != nil {
				l.seconds.record(begin.Sub(l.start), took)
			}
			l.accepted.Add(1)
			continue
		}
		l.rec.fail(status, err)
		if l.rate == 0 {
			time.Sleep(busyPause)
		}
	}
}

// next waits for the next arrival and returns when it should have been sent; false when time is up. In a closed loop that is now.
func (l *load) next() (time.Time, bool) {
	now := time.Now()
	if l.rate == 0 {
		return now, now.Before(l.until)
	}
	at := l.start.Add(time.Duration(float64(l.arrivals.Add(1)-1) / l.rate * float64(time.Second)))
	if !at.Before(l.until) {
		return at, false
	}
	if d := at.Sub(now); d > 0 {
		time.Sleep(d)
	}
	return at, true
}

// comments makes requests that write comments: a worker is always the same author, and goes through texts and posts in its own order.
func (w *world) comments(offset int) func(b []byte, worker, n int) []byte {
	heads := make([][]byte, len(w.authors))
	for i, a := range w.authors {
		heads[i] = []byte("\r\nAuthorization: Bearer " + a.api.Token() + "\r\nContent-Type: application/json\r\nContent-Length: ")
	}
	return func(b []byte, worker, n int) []byte {
		body := w.bodies[(offset+worker*101+n)%len(w.bodies)]
		b = append(b, "POST /api/posts/"...)
		b = w.posts[(worker+n)%len(w.posts)].Append(b)
		b = append(append(b, "/comments HTTP/1.1\r\nHost: "...), w.host(worker)...)
		b = append(b, heads[worker%len(heads)]...)
		b = strconv.AppendInt(b, int64(len(body)), 10)
		b = append(b, "\r\n\r\n"...)
		return append(b, body...)
	}
}

// feed makes requests for the first page.
func (w *world) feed() func(b []byte, worker, n int) []byte {
	return func(b []byte, worker, _ int) []byte {
		b = append(append(b, "GET /api/feed?limit=20 HTTP/1.1\r\nHost: "...), w.host(worker)...)
		return append(b, "\r\n\r\n"...)
	}
}
